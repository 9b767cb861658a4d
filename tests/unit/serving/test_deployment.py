"""What is loaded, what is missing, and what changes while the service runs."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from profilestore.encoding import Feature, plan
from profilestore.errors import MissingStageError, ProfilestoreError
from serving.deployment import Deployment, SharedStore, Watched


@pytest.mark.parametrize(
    ("without", "what", "run"),
    [
        ("registry", "feature registry", "make apply"),
        ("people", "online store", "make materialize"),
        ("bundle", "model bundle", "make train"),
    ],
)
def test_what_is_missing_is_named_with_what_builds_it(deploy, without, what, run) -> None:
    missing = deploy(without).missing()
    assert [(part.what, part.run) for part in missing] == [(what, run)]
    assert run in missing[0].reason


def test_all_that_is_missing_is_named_in_the_order_of_building(deploy) -> None:
    assert [part.run for part in deploy("registry", "people", "bundle").missing()] == [
        "make apply",
        "make materialize",
        "make train",
    ]


def test_nothing_is_missing_when_all_is_there(deploy) -> None:
    assert deploy().missing() == []


def test_the_clock_may_be_missing(deploy) -> None:
    assert deploy("clock").clock() is None


def test_a_model_for_other_features_is_refused_by_name(deploy, bundle, settings) -> None:
    gone = Feature("user_activity", "clicks_7d", "user", "number")
    other = replace(bundle, encoding=plan([gone], "user"))
    deployment = deploy()
    deployment._bundle._load = lambda: other
    with pytest.raises(ProfilestoreError, match="user_activity__clicks_7d"):
        deployment.bundle()
    assert [part.what for part in deployment.missing()] == ["model bundle"]


def test_a_new_bundle_is_picked_up(deploy, bundle, settings) -> None:
    bundles = [bundle]
    deployment = deploy()
    deployment._bundle._load = lambda: bundles[-1]
    assert deployment.bundle().version == bundle.version
    bundles.append(replace(bundle, manifest={**bundle.manifest, "version": "next"}))
    assert deployment.bundle().version == bundle.version
    (settings.models / "current.json").write_text('{"version": "next"}')
    assert deployment.bundle().version == "next"


class TestWatched:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "watched"
        file.write_text("1")
        return file

    def test_a_torn_file_leaves_the_one_before_in_use(self, file: Path) -> None:
        watched = Watched("number", lambda: int(file.read_text()), [file])
        assert watched.get() == 1
        file.write_text("torn")
        assert watched.get() == 1
        file.write_text("333")
        assert watched.get() == 333

    def test_a_torn_file_at_the_start_is_an_error_that_says_which(self, file: Path) -> None:
        file.write_text("torn")
        watched = Watched("number", lambda: int(file.read_text()), [file])
        for _ in range(2):
            with pytest.raises(ProfilestoreError, match=r"the number is broken.*torn"):
                watched.get()
        file.write_text("22")
        assert watched.get() == 22

    def test_what_was_taken_away_is_not_served_on(self, file: Path) -> None:
        def read() -> int:
            if not file.exists():
                raise MissingStageError("gone")
            return 1

        watched = Watched("number", read, [file])
        assert watched.get() == 1
        file.unlink()
        with pytest.raises(MissingStageError, match="gone"):
            watched.get()

    def test_nobody_waits_while_a_new_one_is_read(self, file: Path) -> None:
        reading, go_on = threading.Event(), threading.Event()

        def read() -> str:
            text = file.read_text()
            if text == "new":
                reading.set()
                assert go_on.wait(10)
            return text

        watched = Watched("text", read, [file])
        assert watched.get() == "1"
        file.write_text("new")
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(watched.get)
            assert reading.wait(10)
            assert watched.get() == "1"
            go_on.set()
            assert slow.result(10) == "new"
        assert watched.get() == "new"

    def test_many_threads_at_the_start_load_once(self, file: Path) -> None:
        loads: list[int] = []

        def read() -> int:
            loads.append(1)
            time.sleep(0.01)
            return 7

        watched = Watched("number", read, [file])
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: watched.get(), range(40))) == {7}
        assert len(loads) == 1


class TestSharedStore:
    def test_one_at_a_time_reads_from_eight_threads(self, store) -> None:
        inside, most = 0, 0

        class OneAtATime:
            def __getattr__(self, name: str):
                return getattr(store, name)

            def online(self, *args, **kwargs):
                nonlocal inside, most
                inside += 1
                most = max(most, inside)
                time.sleep(0.0002)
                inside -= 1
                return store.online(*args, **kwargs)

        shared = SharedStore(OneAtATime())
        with ThreadPoolExecutor(8) as pool:
            rows = list(
                pool.map(
                    lambda n: shared.online("items_v1", "item", [f"i{n % 30 + 1}"]), range(400)
                )
            )
        assert most == 1
        for n, found in enumerate(rows):
            assert found[0]["item_attributes"].values["title"] == f"Film {n % 30 + 1}"

    def test_a_long_read_goes_in_pieces_and_comes_back_whole(self, store) -> None:
        keys = [f"i{n}" for n in range(1, 1203)]
        rows = SharedStore(store).online("items_v1", "item", keys)
        assert [len(asked) for _, asked in store.asked] == [200, 200, 200, 200, 200, 200, 2]
        assert rows == store.online("items_v1", "item", keys)

    def test_who_asks_for_one_does_not_wait_for_a_long_read(self, store) -> None:
        online = store.online

        def slow(service, entity, keys, **more):
            time.sleep(0.01 if len(keys) > 1 else 0)
            return online(service, entity, keys, **more)

        store.online = slow
        shared = SharedStore(store)
        with ThreadPoolExecutor(1) as pool:
            long = pool.submit(shared.online, "items_v1", "item", [f"i{n}" for n in range(20_000)])
            while not store.asked:
                time.sleep(0.001)
            for _ in range(5):
                shared.online("items_v1", "item", ["i1"])
                assert not long.done()
            assert len(long.result(60)) == 20_000

    def test_a_torn_online_store_is_told_as_such(self, store) -> None:
        def torn(*_: object, **__: object) -> None:
            raise sqlite3.DatabaseError("database disk image is malformed")

        store.online = torn
        with pytest.raises(ProfilestoreError, match=r"malformed.*make apply materialize"):
            SharedStore(store).online("items_v1", "item", ["i1"])


def test_a_deployment_of_an_empty_home_misses_everything(tmp_path: Path, settings) -> None:
    missing = Deployment(replace(settings, home=tmp_path / "empty")).missing()
    assert [part.run for part in missing] == ["make apply", "make materialize", "make train"]
