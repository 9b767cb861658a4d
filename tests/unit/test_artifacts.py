"""A bundle is whole or it is not there; what is torn or mixed is refused by name."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profilestore import artifacts
from profilestore.artifacts import (
    Bundle,
    BundleReads,
    current_reads,
    load,
    load_current,
    new_bundle,
    set_current,
)
from profilestore.encoding import Encoding, Vocabulary, vocabularies_to_json
from profilestore.errors import MissingStageError, ProfilestoreError
from profilestore.settings import Settings

ENCODING = Encoding(
    entity="user",
    numbers=("v__clicks",),
    ages=(),
    ids={},
    id_lists={"v__items": "item_id"},
    weights={},
    left_out={"v__title": "text without a vocabulary"},
)
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)
FILES = [
    *("encoding.json", "item_ids.json", "item_vectors.npy", "metrics.json", "query_tower.tflite"),
    *("saved_model/towers.pb", "vocabularies.json"),
]


RealTower = artifacts.QueryTower


class FakeTower:
    """Stands in for LiteRT, and remembers the file that it was given."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()


@pytest.fixture(autouse=True)
def fake_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "QueryTower", FakeTower)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(tmp_path)


def fill(
    folder: Path, tower: bytes = b"a tower", items: tuple[str, ...] = ("i1", "i2", "ü")
) -> None:
    (folder / "encoding.json").write_text(json.dumps(ENCODING.to_json()))
    vocabularies = {"item_id": Vocabulary("item_id", items)}
    (folder / "vocabularies.json").write_text(vocabularies_to_json(vocabularies))
    (folder / "item_ids.json").write_text(json.dumps(items))
    np.save(folder / "item_vectors.npy", VECTORS)
    (folder / "query_tower.tflite").write_bytes(tower)
    (folder / "metrics.json").write_text("{}")
    (folder / "saved_model").mkdir()
    (folder / "saved_model" / "towers.pb").write_bytes(b"both")


@pytest.fixture
def bundle(home: Settings) -> Callable[..., Path]:
    """Makes a bundle and makes it current; its folder."""

    def make(version: str = "v1", **parts: Any) -> Path:
        with new_bundle(home, version, {"feature_service": "retrieval_v1"}) as folder:
            fill(folder, **parts)
        return home.models / version

    return make


def below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_written_is_what_is_loaded(home: Settings, bundle: Callable[..., Path]) -> None:
    path = bundle()
    loaded = load_current(home)
    assert isinstance(loaded, Bundle)
    assert (loaded.path, loaded.version, loaded.feature_service) == (path, "v1", "retrieval_v1")
    assert loaded.encoding == ENCODING
    assert loaded.vocabularies["item_id"].values == ["i1", "i2", "ü"]
    assert loaded.item_ids == ["i1", "i2", "ü"]
    assert loaded.item_vectors.dtype == np.float32
    np.testing.assert_array_equal(loaded.item_vectors, VECTORS)
    assert loaded.query_tower.content == b"a tower"  # type: ignore[attr-defined]
    assert sorted(loaded.manifest["files"]) == FILES


def test_nothing_trained_says_what_to_run(home: Settings) -> None:
    with pytest.raises(MissingStageError, match=r"no model bundle in .*make train") as caught:
        load_current(home)
    assert caught.value.exit_code == 4


def test_nobody_sees_a_bundle_before_it_is_whole(
    home: Settings, bundle: Callable[..., Path]
) -> None:
    bundle("v1")
    with new_bundle(home, "v2", {"feature_service": "s"}) as folder:
        fill(folder)
        assert not (home.models / "v2").exists()
        assert load_current(home).version == "v1"
        # What lists the versions does not take the draft for one.
        assert [one.name for one in home.models.glob("[!.]*")] != [folder.name]
        assert folder.name.startswith(".")
    assert load_current(home).version == "v2"
    assert sorted(one.name for one in home.models.iterdir()) == ["current.json", "v1", "v2"]
    assert load(home.models / "v1").version == "v1"


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("filled", [False, True])
def test_a_block_that_raises_changes_nothing(
    home: Settings, bundle: Callable[..., Path], fault: type[BaseException], filled: bool
) -> None:
    def fails() -> None:
        with new_bundle(home, "v2", {}) as folder:
            if filled:
                fill(folder, b"another tower")
            raise fault

    bundle("v1")
    before = below(home.models)
    with pytest.raises(fault):
        fails()
    assert below(home.models) == before
    assert load_current(home).version == "v1"


def test_the_first_bundle_that_fails_leaves_no_bundle(home: Settings) -> None:
    with pytest.raises(RuntimeError), new_bundle(home, "v1", {}):
        raise RuntimeError
    assert list(home.models.iterdir()) == []
    with pytest.raises(MissingStageError):
        load_current(home)


@pytest.mark.parametrize("step", ["_sha256", "rename"])
def test_a_disk_that_refuses_changes_nothing(
    home: Settings,
    bundle: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    bundle("v1")
    before = below(home.models)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((artifacts, step) if step == "_sha256" else (Path, step)), fails)
        with pytest.raises(ProfilestoreError, match=r"No space left.*last good bundle stays"):
            bundle("v2")
    assert below(home.models) == before


def test_a_version_is_never_overwritten(home: Settings, bundle: Callable[..., Path]) -> None:
    bundle("v1")
    before = below(home.models)
    with pytest.raises(ProfilestoreError, match=r"exist|not empty"):
        bundle("v1", tower=b"another tower")
    assert below(home.models) == before


def test_the_manifests_own_words_cannot_replace_the_stamp(home: Settings) -> None:
    with new_bundle(home, "v1", {"files": {}, "feature_service": "s"}) as folder:
        fill(folder)
    manifest = json.loads((home.models / "v1" / "bundle.json").read_text())
    assert sorted(manifest["files"]) == FILES
    assert manifest["version"] == "v1"


def test_current_can_go_back(home: Settings, bundle: Callable[..., Path]) -> None:
    bundle("v1", tower=b"one")
    bundle("v2", tower=b"two")
    set_current(home, "v1")
    assert load_current(home).query_tower.content == b"one"  # type: ignore[attr-defined]
    assert sorted(one.name for one in home.models.iterdir()) == ["current.json", "v1", "v2"]


def test_the_pointer_is_replaced_in_one_step(
    home: Settings, bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads while it is being written reads the former one."""
    bundle("v1")
    bundle("v2")
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(json.loads((home.models / "current.json").read_text()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    set_current(home, "v1")
    assert seen == [{"version": "v2"}]
    assert load_current(home).version == "v1"


def test_a_pointer_to_nothing(home: Settings, bundle: Callable[..., Path]) -> None:
    bundle("v1")
    set_current(home, "v0")
    with pytest.raises(MissingStageError, match=r"no bundle at .*v0: bundle\.json is missing"):
        load_current(home)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fault", ["changed", "cut", "missing"])
def test_a_torn_file_is_refused_by_name(bundle: Callable[..., Path], name: str, fault: str) -> None:
    path = bundle()
    file = path / name
    content = file.read_bytes()
    if fault == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if fault == "cut" else content[:-1] + b"?")
    with pytest.raises(ProfilestoreError) as caught:
        load(path)
    assert f"bundle v1: {file} is not the file it was exported with" in str(caught.value)
    assert ("found nothing" in str(caught.value)) == (fault == "missing")


@pytest.mark.parametrize("name", ["query_tower.tflite", "item_ids.json", "vocabularies.json"])
def test_a_file_of_another_bundle_is_refused_by_name(
    home: Settings, bundle: Callable[..., Path], name: str
) -> None:
    old = bundle("v1", tower=b"one", items=("a", "b", "c"))
    new = bundle("v2", tower=b"two")
    (new / name).write_bytes((old / name).read_bytes())
    with pytest.raises(ProfilestoreError, match="bundle v2: ") as caught:
        load_current(home)
    assert str(new / name) in str(caught.value)


@pytest.mark.parametrize("name", ["notes.txt", "saved_model/more.pb"])
def test_a_file_that_nobody_exported_is_refused_by_name(
    bundle: Callable[..., Path], name: str
) -> None:
    path = bundle()
    (path / name).write_text("")
    with pytest.raises(ProfilestoreError, match="bundle v1: ") as caught:
        load(path)
    assert str(path / name) in str(caught.value)


def test_a_manifest_that_forgets_a_file_does_not_let_it_in(bundle: Callable[..., Path]) -> None:
    path = bundle()
    manifest = json.loads((path / "bundle.json").read_text())
    del manifest["files"]["query_tower.tflite"]
    (path / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(ProfilestoreError) as caught:
        load(path)
    assert str(path / "query_tower.tflite") in str(caught.value)


def test_a_bundle_under_another_versions_name(home: Settings, bundle: Callable[..., Path]) -> None:
    path = bundle("v1")
    moved = path.rename(home.models / "v2")
    with pytest.raises(ProfilestoreError) as caught:
        load(moved)
    assert f"bundle at {moved} says that it is version v1" in str(caught.value)


def test_another_bundles_manifest(bundle: Callable[..., Path]) -> None:
    old, new = bundle("v1"), bundle("v2", tower=b"two")
    (new / "bundle.json").write_bytes((old / "bundle.json").read_bytes())
    with pytest.raises(ProfilestoreError, match="says that it is version v1"):
        load(new)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": "v1"}', "\x00"])
def test_a_torn_manifest_is_refused_by_name(bundle: Callable[..., Path], content: str) -> None:
    path = bundle()
    (path / "bundle.json").write_text(content)
    with pytest.raises(ProfilestoreError) as caught:
        load(path)
    assert str(path / "bundle.json") in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 1}'])
def test_a_torn_pointer_is_refused_by_name(
    home: Settings, bundle: Callable[..., Path], content: str
) -> None:
    bundle()
    (home.models / "current.json").write_text(content)
    with pytest.raises(ProfilestoreError) as caught:
        load_current(home)
    assert str(home.models / "current.json") in str(caught.value)


def test_of_two_bundles_of_one_version_the_first_stays_whole(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = new_bundle(home, "v1", {})
    fill(slow.__enter__(), b"slow")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)  # another process
        with new_bundle(home, "v1", {}) as folder:
            fill(folder, b"quick")
    with pytest.raises(ProfilestoreError, match=r"exist|not empty"):
        slow.__exit__(None, None, None)
    assert load_current(home).query_tower.content == b"quick"  # type: ignore[attr-defined]
    assert sorted(one.name for one in home.models.iterdir()) == ["current.json", "v1"]


def test_the_towers_inputs_have_names_that_litert_keeps() -> None:
    assert artifacts.tensor_name("v__items__weights") == "v_items_weights"
    assert artifacts.tensor_name("numbers") == "numbers"


def test_the_interpreter_is_asked_under_those_names_one_call_at_a_time() -> None:
    tower = object.__new__(RealTower)
    asked: list[dict[str, Any]] = []
    output = np.array([[1.0, 2.0]], np.float32)

    def run(**inputs: Any) -> dict[str, Any]:
        assert tower._lock.locked()
        asked.append(inputs)
        return {"vector": output}

    tower._run, tower._lock = run, threading.Lock()
    found = tower({"v__items": np.zeros((1, 50), np.int32)})
    output[:] = 0  # the interpreter uses its buffer again
    assert found.tolist() == [1.0, 2.0]
    assert list(asked[0]) == ["v_items"]


def test_what_the_current_bundle_reads_is_known_without_its_model(
    home: Settings, bundle: Callable[..., Path]
) -> None:
    with pytest.raises(MissingStageError, match="make train"):
        current_reads(home)
    (bundle() / "query_tower.tflite").write_bytes(b"torn")
    assert current_reads(home) == BundleReads(
        "v1", "retrieval_v1", frozenset({"v__clicks", "v__items"})
    )


@pytest.mark.parametrize("content", ["", "[]", '{"numbers": 1}'])
def test_a_bundle_that_does_not_say_what_it_reads_is_refused(
    home: Settings, bundle: Callable[..., Path], content: str
) -> None:
    (bundle() / "encoding.json").write_text(content)
    with pytest.raises(ProfilestoreError, match=r"v1 does not say what it reads"):
        current_reads(home)
