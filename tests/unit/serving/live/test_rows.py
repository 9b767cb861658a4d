"""The next profile and the next recommendations know an event, however often its rows are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import StoredRow, ViewRecord
from profilestore.instants import from_micros, to_micros
from profilestore.settings import Settings
from serving.app import create_app
from serving.deployment import Deployment
from serving.live.event import LiveEvent
from serving.live.intake import Intake

ANN = "u-" + "a" * 32
NEW = "u-" + "b" * 32
LIVE = {
    ("user_activity", "last_event_at"): "last",
    ("user_history", "item_ids"): "newest 50 item_id",
    ("user_history", "event_types"): "newest 50 event_type",
    ("user_history", "event_at_us"): "newest 50 happened",
}
VIEWS = ("user_activity", "user_history")


@dataclass
class TwoLayers:
    """A fake store with what was materialised and what was pushed apart, as ours has them."""

    under: Any
    materialised: dict[tuple[str, str], StoredRow] = field(default_factory=dict)
    pushes: list[tuple[str, dict[str, StoredRow]]] = field(default_factory=list)
    broken: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.under, name)

    def tagged(self, entity: str, tag: str) -> list[Feature]:
        if self.broken:
            raise ProfilestoreError("the online store is torn")
        return [
            replace(feature, tags={**feature.tags, tag: LIVE[feature.view, feature.name]})
            for feature in self.under.services["profile_v1"]
            if (feature.view, feature.name) in LIVE and feature.entity == entity
        ]

    def materialised_rows(self, view: str, keys: Sequence[str]) -> list[StoredRow | None]:
        return [self.materialised.get((key, view)) for key in keys]

    def push_rows(self, view: str, rows: Mapping[str, StoredRow]) -> None:
        self.pushes.append((view, dict(rows)))
        for key, row in rows.items():
            values = dict(row.values)
            if values.get("last_event_at") is not None:
                values["last_event_at"] = datetime.fromtimestamp(values["last_event_at"], UTC)
            self.under.rows[key, view] = ViewRecord(view, values, from_micros(row.event), "fresh")

    def materialise(self, key: str, view: str, values: dict[str, Any], at: datetime) -> None:
        self.materialised[key, view] = StoredRow(values, to_micros(at), to_micros(at))
        self.under.put(key, view, values)


@pytest.fixture
def layers(store: Any, as_of: datetime) -> TwoLayers:
    found = TwoLayers(store)
    found.materialise(ANN, "user_activity", {"events_7d": 3, "last_event_at": 7}, as_of)
    found.under.rows[ANN, "user_activity"].values["last_event_at"] = as_of
    found.materialise(
        ANN,
        "user_history",
        {"item_ids": ["i30"], "event_types": ["view"], "event_at_us": [to_micros(as_of)]},
        as_of,
    )
    return found


@pytest.fixture
def deployment(
    settings: Settings, layers: TwoLayers, bundle: Any, materialized: Any, clock: Any
) -> Deployment:
    return Deployment(
        settings,
        open_store=lambda _: layers,
        load_bundle=lambda _: bundle,
        read_people=lambda _: materialized,
        read_clock=lambda _: clock,
    )


@pytest.fixture
def live(settings: Settings, deployment: Deployment) -> Iterator[TestClient]:
    with TestClient(create_app(settings, deployment=deployment)) as client:
        yield client


def tell(client: TestClient, event_id: str, item_id: str, user_id: str = ANN) -> dict[str, Any]:
    event = {"event_id": event_id, "user_id": user_id, "event_type": "view", "item_id": item_id}
    answer = client.post("/v1/events", json=event)
    assert answer.status_code == 200
    said: dict[str, Any] = answer.json()
    return said


def test_the_next_profile_and_recommendations_know_the_event(live: TestClient, bundle: Any) -> None:
    before = live.get(f"/v1/recommendations/{ANN}?k=1").json()["recommendations"]["items"]
    assert before[0]["item_id"] == "i29"
    asked = len(bundle.query_tower.inputs)
    assert tell(live, "e1", "i29")["is_shown"] is True
    profile = live.get(f"/v1/profiles/{ANN}").json()
    assert [item["item_id"] for item in profile["history"]["items"]] == ["i29", "i30"]
    seen = datetime.fromisoformat(profile["identity"]["last_seen_at"])
    assert timedelta(0) <= datetime.now(UTC) - seen < timedelta(minutes=1)
    after = live.get(f"/v1/recommendations/{ANN}?k=1").json()["recommendations"]["items"]
    assert after[0]["item_id"] == "i28"
    old, new = bundle.query_tower.inputs[asked - 1], bundle.query_tower.inputs[-1]
    assert any(old[name].shape != new[name].shape or (old[name] != new[name]).any() for name in old)


def test_a_column_without_a_rule_keeps_its_value(live: TestClient) -> None:
    tell(live, "e1", "i1")
    assert live.get(f"/v1/profiles/{ANN}").json()["activity"]["fields"]["events_7d"]["value"] == 3


def test_somebody_nobody_knew_has_a_profile(live: TestClient) -> None:
    assert live.get(f"/v1/profiles/{NEW}").status_code == 404
    tell(live, "e1", "i30", NEW)
    profile = live.get(f"/v1/profiles/{NEW}").json()
    assert [item["item_id"] for item in profile["history"]["items"]] == ["i30"]
    assert profile["recommendations"]["method"] == "two_tower"
    assert profile["recommendations"]["items"][0]["item_id"] == "i29"


def test_a_repetition_writes_nothing(live: TestClient, layers: TwoLayers) -> None:
    tell(live, "e1", "i1")
    written = len(layers.pushes)
    assert written == len(VIEWS)
    tell(live, "e1", "i1")
    assert len(layers.pushes) == written


def test_what_a_materialisation_has_learned_is_not_added_again(
    live: TestClient, layers: TwoLayers, settings: Settings
) -> None:
    tell(live, "e1", "i1")
    tell(live, "e2", "i2")
    first = layers.pushes[1][1][ANN]
    assert first.created is not None
    # A build that had read the first event and not yet the second; a window that emptied since.
    later = from_micros(first.created + 10**7)
    layers.materialised[ANN, "user_history"] = StoredRow(
        first.values, to_micros(later), first.created
    )
    (settings.online / "materialized.json").write_text("{ }")
    layers.pushes.clear()
    tell(live, "e3", "i3", NEW)
    pushed = {view: rows[ANN] for view, rows in layers.pushes if ANN in rows}["user_history"]
    assert pushed.values["item_ids"] == ["i2", "i1", "i30"]
    assert pushed.event == to_micros(later)
    assert pushed.created is not None
    assert pushed.created > first.created


def test_a_new_filling_is_seen_without_an_event(
    live: TestClient, layers: TwoLayers, settings: Settings, wait_for: Callable[..., None]
) -> None:
    tell(live, "e1", "i1")
    layers.pushes.clear()
    (settings.online / "materialized.json").write_text("{  }")
    wait_for(lambda: len(layers.pushes) == len(VIEWS))


def test_what_the_log_has_and_the_store_lacks_is_shown_at_the_start(
    settings: Settings, deployment: Deployment, layers: TwoLayers
) -> None:
    kept_only = Intake(settings)
    taken = kept_only.take(
        [LiveEvent(event_id="e1", user_id=ANN, event_type="view", item_id="i29")]
    )
    assert (taken.accepted, taken.is_shown) == (1, False)
    kept_only.close()
    with TestClient(create_app(settings, deployment=deployment)) as client:
        items = client.get(f"/v1/profiles/{ANN}").json()["history"]["items"]
    assert [item["item_id"] for item in items] == ["i29", "i30"]


def test_an_event_is_taken_though_it_cannot_be_shown(
    live: TestClient, layers: TwoLayers, wait_for: Callable[..., None]
) -> None:
    layers.broken = True
    assert tell(live, "e1", "i29")["is_shown"] is False
    layers.broken = False
    wait_for(lambda: len(layers.pushes) == len(VIEWS))
    items = live.get(f"/v1/profiles/{ANN}").json()["history"]["items"]
    assert [item["item_id"] for item in items] == ["i29", "i30"]


@pytest.fixture
def wait_for() -> Callable[..., None]:

    def wait(is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + 15
        while not is_so():
            assert time.monotonic() < until
            time.sleep(0.02)

    return wait
