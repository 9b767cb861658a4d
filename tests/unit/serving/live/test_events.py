"""`POST /v1/events`: durable, once each, all of a batch or none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from profilestore.privacy.pseudonyms import load_or_create_key, pseudonym
from profilestore.settings import Settings
from serving.app import create_app
from serving.bodies import MOST_BYTES
from serving.deployment import Deployment
from serving.live.event import CLOCK_SKEW, ITEMLESS, EventsTaken, LiveEvent, Told
from serving.live.intake import Intake
from serving.live.log import LiveLog, Position

REPO = Path(__file__).parents[4]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def live_client(home: Settings) -> Iterator[TestClient]:
    app = create_app(home, deployment=Deployment(home))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def event(event_id: str = "e-1", **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "user_id": "ann",
        "event_type": "rating",
        "item_id": "i1",
        **fields,
    }


def logged(home: Settings) -> list[Told]:
    lines = LiveLog(home.live / "events").lines(Position("", 0))
    return [Told.from_line(line.text) for line in lines]


def test_an_event_is_in_the_log_by_pseudonym(live_client: TestClient, home: Settings) -> None:
    at = "2026-02-28T23:00:00.000001+02:00"
    answer = live_client.post("/v1/events", json=event(value=4.5, event_timestamp=at))
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 1,
        "repeated": 0,
        "is_shown": False,
        "events": [{"event_id": "e-1", "state": "accepted"}],
    }
    (told,) = logged(home)
    assert told.user_id == pseudonym("ann", load_or_create_key(home))
    assert told.happened == 1_772_312_400_000_001
    assert str(told.value) == "4.5"
    kept = b"".join(path.read_bytes() for path in home.live.rglob("*") if path.is_file())
    assert b'"ann"' not in kept


def test_a_pseudonym_is_taken_as_it_is(live_client: TestClient, home: Settings) -> None:
    known = "u-" + "0123456789abcdef" * 2
    live_client.post("/v1/events", json=event(user_id=known))
    assert [told.user_id for told in logged(home)] == [known]


def test_without_a_time_it_happened_when_it_arrived(
    live_client: TestClient, home: Settings
) -> None:
    before = datetime.now(UTC)
    live_client.post("/v1/events", json=event())
    (told,) = logged(home)
    assert told.happened == told.received
    assert before.timestamp() <= told.received / 1e6 <= datetime.now(UTC).timestamp()


def test_a_repeated_batch_changes_nothing(live_client: TestClient, home: Settings) -> None:
    batch = [event("a"), event("b"), event("a", item_id="i2")]
    first = EventsTaken.model_validate_json(live_client.post("/v1/events", json=batch).content)
    assert [one.state for one in first.events] == ["accepted", "accepted", "repeated"]
    files = {path: path.read_bytes() for path in (home.live / "events").iterdir()}
    again = EventsTaken.model_validate_json(live_client.post("/v1/events", json=batch).content)
    assert (again.accepted, again.repeated) == (0, 3)
    assert {path: path.read_bytes() for path in (home.live / "events").iterdir()} == files


def test_ids_are_known_after_a_start_and_without_the_index(home: Settings) -> None:
    first = Intake(home)
    first.take([LiveEvent(**event("a"))])
    first.close()
    second = Intake(home)
    assert second.take([LiveEvent(**event("a"))]).repeated == 1
    second.close()
    for path in (home.live / "index").iterdir():
        path.unlink()
    third = Intake(home)
    assert third.take([LiveEvent(**event("a")), LiveEvent(**event("b"))]).accepted == 1
    assert [told.event_id for told in logged(home)] == ["a", "b"]


def test_arrivals_go_forward_though_the_clock_is_set_back(home: Settings) -> None:
    clock = [NOW]
    intake = Intake(home, now=lambda: clock[0])
    intake.take([LiveEvent(**event("a"))])
    clock[0] -= timedelta(hours=1)
    intake.take([LiveEvent(**event("b"))])
    intake.close()
    intake = Intake(home, now=lambda: clock[0])
    intake.take([LiveEvent(**event("c"))])
    received = [told.received for told in logged(home)]
    assert received == sorted(set(received))
    assert len(received) == 3


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"user": "x"}, "body.user"),
        ({"event_id": "a b"}, "body.event_id"),
        ({"event_id": "x" * 129}, "body.event_id"),
        ({"event_id": 7}, "body.event_id"),
        ({"user_id": ""}, "body.user_id"),
        ({"user_id": " ann"}, "body.user_id"),
        ({"user_id": "a\u0000"}, "body.user_id"),
        ({"event_type": "Page View"}, "body.event_type"),
        ({"item_id": None}, "body.item_id"),
        ({"item_id": "x" * 257}, "body.item_id"),
        ({"event_timestamp": "2036-01-01T00:00:00Z"}, "body.event_timestamp"),
        ({"event_timestamp": "1989-12-31T23:59:59Z"}, "body.event_timestamp"),
        ({"event_timestamp": "2026-01-01T00:00:00"}, "body.event_timestamp"),
        ({"event_timestamp": "yesterday"}, "body.event_timestamp"),
        ({"value": "much"}, "body.value"),
        ({"value": 1.00001}, "body.value"),
        ({"value": 10**15}, "body.value"),
        ({"value": "Infinity"}, "body.value"),
    ],
)
@pytest.mark.parametrize("in_batch", [False, True])
def test_what_is_wrong_is_named_and_nothing_is_taken(
    live_client: TestClient, home: Settings, wrong: dict[str, Any], where: str, in_batch: bool
) -> None:
    bad = event("bad", **wrong) if "event_id" not in wrong else event(**wrong)
    answer = live_client.post("/v1/events", json=[event("good"), bad] if in_batch else bad)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = {error["where"] for error in answer.json()["errors"]}
    assert found == {where.replace("body", "body.1") if in_batch else where}
    assert logged(home) == []


def test_a_clock_a_little_ahead_is_let_through(home: Settings, live_client: TestClient) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    assert live_client.post("/v1/events", json=event(event_timestamp=soon)).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"", "application/json", 422),
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'"\xff"', "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b" " * (MOST_BYTES + 1), "application/json", 413),
    ],
)
def test_bodies_that_are_none(
    live_client: TestClient, home: Settings, content: bytes, kind: str, status: int
) -> None:
    answer = live_client.post("/v1/events", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert logged(home) == []


def test_too_many_events(live_client: TestClient, home: Settings) -> None:
    answer = live_client.post("/v1/events", json=[event(str(n)) for n in range(1001)])
    assert answer.status_code == 422
    assert "1000" in answer.json()["detail"]
    assert logged(home) == []


def test_one_process_takes_the_events_of_a_home(live_client: TestClient, home: Settings) -> None:
    other = Intake(home)
    other.open()
    answer = live_client.post("/v1/events", json=event())
    assert answer.status_code == 503
    assert "another process" in answer.json()["detail"]
    other.close()
    assert live_client.post("/v1/events", json=event()).status_code == 200


def test_requests_at_once_share_a_wait_for_the_disk(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(home)
    intake.open()
    appended = []
    begun, go = threading.Event(), threading.Event()
    append = LiveLog.append

    def slow(log: LiveLog, lines: bytes, day: datetime) -> Position:
        begun.set()
        assert go.wait(10)
        appended.append(lines.count(b"\n"))
        return append(log, lines, day)

    monkeypatch.setattr(LiveLog, "append", slow)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(intake.take, [LiveEvent(**event("first"))])
        assert begun.wait(10)
        # Eight more; two tell the same event.
        rest = [pool.submit(intake.take, [LiveEvent(**event(str(n % 7)))]) for n in range(8)]
        while len(intake._waiting) < 8:
            pass
        go.set()
        taken = [one.result() for one in rest]
    assert first.result().accepted == 1
    assert sum(one.accepted for one in taken) == 7
    assert sum(one.repeated for one in taken) == 1
    assert appended == [1, 7]


def test_who_waits_with_one_that_fails_is_told(
    home: Settings, monkeypatch: pytest.MonkeyPatch, live_client: TestClient
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    assert live_client.post("/v1/events", json=event("a")).status_code == 200
    with monkeypatch.context() as full:
        full.setattr("serving.live.log.os.write", refuse)
        answer = live_client.post("/v1/events", json=event("b"))
    assert answer.status_code == 503
    assert "Free some space" in answer.json()["detail"]
    assert live_client.post("/v1/events", json=event("b")).json()["accepted"] == 1
    assert [told.event_id for told in logged(home)] == ["a", "b"]


@given(
    st.builds(
        Told,
        event_id=st.text("abc-", min_size=1),
        user_id=st.just("u-" + "0" * 32),
        event_type=st.sampled_from(["view", "login"]),
        item_id=st.none() | st.text(min_size=1),
        happened=st.integers(0, 2**51),
        received=st.integers(0, 2**51),
        value=st.none() | st.decimals(-(10**14), 10**14, places=4),
        session_hint=st.none() | st.text(min_size=1),
        geo=st.none() | st.text(min_size=1),
    )
)
def test_a_line_is_one_line_and_says_all(told: Told) -> None:
    line = told.to_line()
    assert line.count(b"\n") == 1
    assert line.decode().splitlines() == [line[:-1].decode()]
    assert Told.from_line(line) == told


def test_limits_are_those_of_the_warehouse() -> None:
    project = yaml.safe_load((REPO / "dbt_project" / "dbt_project.yml").read_text())
    assert set(project["vars"]["events_without_item"]) == ITEMLESS
    minutes = timedelta(minutes=int(project["vars"]["clock_skew_tolerance"].split()[0]))
    assert minutes == CLOCK_SKEW


def test_openapi_describes_both_bodies(live_client: TestClient) -> None:
    schema = live_client.get("/openapi.json").json()
    described = schema["paths"]["/v1/events"]["post"]
    content = described["requestBody"]["content"]["application/json"]
    one, batch = content["schema"]["oneOf"]
    assert batch["items"] == one == {"$ref": "#/components/schemas/LiveEvent"}
    assert schema["components"]["schemas"]["LiveEvent"]["required"] == [
        "event_id",
        "user_id",
        "event_type",
    ]
    assert "list of <a" in live_client.get("/docs").text
    LiveEvent.model_validate_json(json.dumps(content["example"]))
