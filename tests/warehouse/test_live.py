"""A day both ways: what live columns say once its events were told one by one, and what the next
build makes of the live log."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from warehouse_logs import Event, write_source

from profilestore import lake
from profilestore.feature_store import FeatureStore
from profilestore.instants import to_micros
from profilestore.privacy.pseudonyms import pseudonym
from profilestore.settings import Settings, child_environment
from profilestore.sources import land_live_log, packs_to_build, write_raw_logs
from serving.app import create_app

REPO = Path(__file__).resolve().parents[2]
PHRASE = "zebra-quilt phrase of a test's deployment"
# The first six are in the log, two of them with more events than a history keeps; the rest are new.
KNOWN = [f"person-{n}" for n in range(6)]
NEW = ["new-0", "new-1"]
ITEMS = [f"i{n}" for n in range(20)]
TOLD = 240


@dataclass(frozen=True)
class Day:
    """What was there in the evening of a day of live events.

    Attributes:
        live: person -> live column -> value, before the build.
        built: the same from the marts, after it.
        again: the same online, after the build was materialised and the service had seen it.
        later: online, when one more event came after that, of the first person.
    """

    settings: Settings
    live: dict[str, dict[str, Any]]
    built: dict[str, dict[str, Any]]
    again: dict[str, dict[str, Any]]
    later: dict[str, dict[str, Any]]


def run(settings: Settings, folder: Path, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=child_environment(
            PROFILESTORE_HOME=str(settings.home),
            PROFILESTORE_PSEUDONYM_KEY=PHRASE,
            DBT_PROFILES_DIR=str(settings.dbt_project),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def past(rng: random.Random, now: datetime) -> list[Event]:
    counts = dict(zip(KNOWN, (80, 60, 20, 5, 1, 1), strict=True))
    return [
        Event(
            f"past-{user}-{n}",
            user,
            rng.choice(ITEMS),
            rng.choice(["view", "rating"]),
            to_micros(now - timedelta(seconds=rng.randrange(86_400, 40 * 86_400))),
        )
        for user, count in counts.items()
        for n in range(count)
    ]


def day(rng: random.Random, now: datetime) -> list[dict[str, Any]]:
    """Events of the last day and, told late, of before; some of them at one instant, and some
    without an item."""
    told = []
    for n in range(TOLD):
        is_late = rng.random() < 0.1
        span = 30 * 86_400 if is_late else 86_000
        at = now - timedelta(seconds=rng.randrange(1, span))
        if told and rng.random() < 0.1:
            at = datetime.fromisoformat(rng.choice(told)["event_timestamp"])
        event = {
            "event_id": f"live-{rng.randrange(10**9):09}-{n}",
            "user_id": rng.choice([*KNOWN, *NEW]),
            "event_type": rng.choice(["view", "rating", "login"]),
            "event_timestamp": at.isoformat(),
        }
        if event["event_type"] != "login":
            event["item_id"] = rng.choice(ITEMS)
        told.append(event)
    return told


def live_values(settings: Settings, people: list[str]) -> dict[str, dict[str, Any]]:
    """Every live column that is online."""
    store = FeatureStore(settings)
    wanted = store.tagged("user", "live")
    rows = store.online("profile_v1", "user", people)
    return {
        user: {one.column: row[one.view].values[one.name] for one in wanted}
        for user, row in zip(people, rows, strict=True)
    }


def built_values(settings: Settings, people: list[str]) -> dict[str, dict[str, Any]]:
    """The same columns from the marts, as of now."""
    store = FeatureStore(settings)
    wanted = [one.column for one in store.tagged("user", "live")]
    now = datetime.now(UTC).isoformat()
    spine = " UNION ALL ".join(
        f"SELECT '{user}' AS user_id, TIMESTAMPTZ '{now}' AS event_timestamp" for user in people
    )
    frame = store.training_frame("profile_v1", spine, columns=wanted).read_all().to_pylist()
    return {row["user_id"]: {column: row[column] for column in wanted} for row in frame}


@pytest.fixture(scope="module")
def replayed(
    tmp_path_factory: pytest.TempPathFactory,
    home_in: Callable[[Path], Settings],
) -> Day:
    rng = random.Random(26)
    now = datetime.now(UTC)
    settings = home_in(tmp_path_factory.mktemp("live"))
    shutil.copytree(REPO / "feature_repo", settings.feature_repo)
    categories = {item: ["a"] for item in ITEMS}
    source = write_source(
        tmp_path_factory.mktemp("log") / "source", past(rng, now), categories, "none"
    )
    people = [pseudonym(user, PHRASE.encode()) for user in (*KNOWN, *NEW)]

    def build(*wanted: str) -> None:
        write_raw_logs(str(source), settings, now=datetime.now(UTC))
        land_live_log(settings, now=datetime.now(UTC))
        variables = json.dumps({"source_packs": packs_to_build(settings)})
        dbt = str(Path(sys.executable).with_name("dbt"))
        # Without the tests of the marts, which take longer than the marts.
        without = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        run(settings, settings.dbt_project, dbt, "build", "--vars", variables, *without, *wanted)

    build()
    settings.online.mkdir()
    run(settings, settings.feature_repo, str(Path(sys.executable).with_name("feast")), "apply")
    FeatureStore(settings).materialize()
    told = day(rng, now)
    with TestClient(create_app(settings)) as client:

        def post(batch: list[dict[str, Any]]) -> dict[str, Any]:
            answer = client.post("/v1/events", json=batch)
            assert answer.status_code == 200, answer.text
            said: dict[str, Any] = answer.json()
            assert said["is_shown"]
            return said

        left = list(told)
        while left:
            size = rng.choice([1, 1, 5, 20])
            batch, left = left[:size], left[size:]
            assert post(batch)["accepted"] == len(batch)
            if rng.random() < 0.2:
                assert post(batch)["repeated"] == len(batch)
        live = live_values(settings, people)
        build("--select", "+user_activity", "+user_history")
        built = built_values(settings, people)
        FeatureStore(settings).materialize()
        post([told[0]])  # a repetition, by which the service looks at what was filled
        again = live_values(settings, people)
        post([{"event_id": "last", "user_id": people[0], "event_type": "view", "item_id": "i0"}])
        later = live_values(settings, people)
    return Day(settings, live, built, again, later)


def test_the_build_agrees_with_what_was_live(replayed: Day) -> None:
    assert len(next(iter(replayed.live.values()))) >= 6
    assert replayed.built == replayed.live


def test_every_event_was_told_and_accepted(replayed: Day) -> None:
    counts = [row["user_activity__events_lifetime"] for row in replayed.live.values()]
    assert sum(counts) == 80 + 60 + 20 + 5 + 1 + 1 + TOLD
    assert max(len(row["user_history__item_ids"]) for row in replayed.live.values()) == 50
    assert packs_to_build(replayed.settings) == ("files", "live")
    with lake.connect() as connection:
        lake.attach_lake(connection, replayed.settings.lake_catalog, replayed.settings.lake_files)
        found = connection.execute(
            "SELECT count(*) FROM lake.int_events_canonical WHERE source = 'live'"
        ).fetchone()
    assert found == (TOLD,)


def test_what_a_build_has_learned_is_not_counted_again(replayed: Day) -> None:
    assert replayed.again == replayed.live


def test_live_goes_on_from_what_was_built(replayed: Day) -> None:
    (changed, *same) = replayed.later
    assert {user: replayed.later[user] for user in same} == {
        user: replayed.live[user] for user in same
    }
    before, after = replayed.live[changed], replayed.later[changed]
    assert after["user_activity__events_lifetime"] == before["user_activity__events_lifetime"] + 1
    assert after["user_history__item_ids"] == ["i0", *before["user_history__item_ids"]][:50]


def test_kills_neither_lose_nor_double_what_is_online(replayed: Day) -> None:
    """The counts of somebody new, whose events were told to processes that were killed."""
    settings, rng = replayed.settings, random.Random(27)
    user_id = pseudonym("killed", PHRASE.encode())
    sent: list[dict[str, Any]] = []
    answered = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "profilestore", "serve", "--port", "0"],
            cwd=REPO,
            env=child_environment(
                PROFILESTORE_HOME=str(settings.home), PROFILESTORE_PSEUDONYM_KEY=PHRASE
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        address = process.stdout.readline().split()[3]
        killer = threading.Timer(rng.uniform(0.5, 4), process.kill)
        killer.start()
        unanswered = sent[answered:]
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            while True:
                if not unanswered:
                    unanswered = [
                        {
                            "event_id": f"killed-{len(sent) + n}",
                            "user_id": user_id,
                            "event_type": "view",
                            "item_id": rng.choice(ITEMS),
                        }
                        for n in range(rng.randint(1, 9))
                    ]
                    sent += unanswered
                request = urllib.request.Request(
                    f"{address}v1/events",
                    json.dumps(unanswered).encode(),
                    {"Content-Type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=60) as answer:
                    assert json.loads(answer.read())["is_shown"]
                answered, unanswered = len(sent), []
        killer.join()
        process.wait()
        process.stdout.close()
    assert answered > 0
    with TestClient(create_app(settings)) as client:
        assert client.post("/v1/events", json=sent[-1000:]).status_code == 200
        found = live_values(settings, [user_id])[user_id]
        recommended = client.get(f"/v1/profiles/{user_id}").json()["history"]["items"]
    assert found["user_activity__events_lifetime"] == len(sent)
    told = [event["item_id"] for event in sent]
    assert sorted(found["user_history__item_ids"]) == sorted(told[-50:])
    assert [item["item_id"] for item in recommended] == found["user_history__item_ids"]
