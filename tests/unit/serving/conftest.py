"""Fakes of the two seams of serving: the online store, and the model bundle."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from profilestore.artifacts import Bundle, BundleHead
from profilestore.calibration import Calibration
from profilestore.encoding import Arrays, Feature, Vocabulary, plan
from profilestore.errors import MissingStageError
from profilestore.feature_store import Materialized, Neighbour, Person, ViewRecord
from profilestore.segmentation import Cluster, Difference, Segmentation
from profilestore.settings import Settings
from profilestore.sources import Clock
from profilestore.tags import Tag, Tags
from serving.app import create_app
from serving.deployment import Deployment

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
AS_OF = datetime(2026, 2, 28, 9, 30, tzinfo=UTC)

USER_FEATURES = [
    Feature(
        "user_activity", "events_7d", "user", "number", "Events of 7 days.", {"unit": "events"}
    ),
    Feature("user_activity", "last_event_at", "user", "timestamp", "Latest event."),
    Feature(
        "user_history", "item_ids", "user", "list_of_text", "Items.", {"vocabulary": "item_id"}
    ),
    Feature("user_history", "event_types", "user", "list_of_text"),
    Feature("user_history", "event_at_us", "user", "list_of_number"),
    Feature("user_interests", "categories", "user", "list_of_text", "", {"vocabulary": "category"}),
    Feature("user_interests", "shares", "user", "list_of_number", "", {"weights_of": "categories"}),
    Feature("user_interests", "lifts", "user", "list_of_number"),
    Feature("user_interests", "confidences", "user", "list_of_number"),
    Feature("user_interests", "event_counts", "user", "list_of_number"),
    Feature("user_interests", "first_event_at_us", "user", "list_of_number"),
    Feature("user_interests", "last_event_at_us", "user", "list_of_number"),
]
BEHAVIOUR_FEATURES = [feature for feature in USER_FEATURES if feature.view == "user_activity"]
PROFILE_FEATURES = [
    *USER_FEATURES,
    Feature("user_brands", "brands", "user", "list_of_text"),
    Feature("user_brands", "shares", "user", "list_of_number"),
    Feature("user_brands", "lifts", "user", "list_of_number"),
    Feature("user_brands", "confidences", "user", "list_of_number"),
    Feature("user_brands", "event_counts", "user", "list_of_number"),
    Feature("user_brands", "last_event_at_us", "user", "list_of_number"),
    Feature("user_rhythm", "hours_90d", "user", "list_of_number", "Hours.", {"unit": "events"}),
    Feature("user_value", "orders_365d", "user", "number", "Orders.", {"unit": "orders"}),
    Feature("user_value", "order_value_quartile_1", "user", "number"),
    Feature("user_value", "order_value_median", "user", "number", "Median.", {"unit": "money"}),
    Feature("user_value", "order_value_quartile_3", "user", "number"),
    Feature("user_value", "recency_score", "user", "number"),
    Feature("user_value", "frequency_score", "user", "number"),
    Feature("user_value", "spend_score", "user", "number"),
]
ITEM_FEATURES = [
    Feature("item_attributes", "title", "item", "text"),
    Feature("item_attributes", "categories", "item", "list_of_text"),
    Feature("item_popularity", "events_90d", "item", "number"),
    Feature("item_popularity", "events_lifetime", "item", "number"),
]
PURPOSES = {
    "profile_v1": "profile",
    "items_v1": "profile",
    "behaviour_v1": "profile",
    "retrieval_v1": "recommendation",
}
ITEMS = {f"i{n}": f"Film {n}" for n in range(1, 31)}


ARROW = {
    "number": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
    "list_of_number": pa.list_(pa.float64()),
    "list_of_text": pa.list_(pa.string()),
}


def microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass
class FakeStore:
    """A store that holds what a test puts in it."""

    services: dict[str, list[Feature]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: dict[tuple[str, str], ViewRecord] = field(default_factory=dict)
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    past: list[tuple[str, str, datetime, frozenset[str]]] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    read_people: list[tuple[str, Sequence[str] | None]] = field(default_factory=list)
    searched: list[tuple[str, list[float], int]] = field(default_factory=list)

    def put(
        self, key: str, view: str, values: Mapping[str, Any] | None, *, state: str = "fresh"
    ) -> None:
        names = {f.name for fs in self.services.values() for f in fs if f.view == view}
        filled = {**dict.fromkeys(names), **(values or {})}
        as_of = None if state == "missing" else AS_OF
        self.rows[key, view] = ViewRecord(view, filled, as_of, state)  # type: ignore[arg-type]

    def features(self, service: str) -> list[Feature]:
        return self.services[service]

    def view_tags(self, service: str) -> dict[str, dict[str, str]]:
        return {f.view: self.tags.get(f.view, {}) for f in self.services[service]}

    def purposes(self) -> dict[str, str]:
        return {name: PURPOSES.get(name, "") for name in self.services}

    def online(
        self,
        service: str,
        entity: str,
        keys: Sequence[str],
        *,
        now: datetime | None = None,
        views: Collection[str] | None = None,
    ) -> list[dict[str, ViewRecord]]:
        self.asked.append((service, list(keys)))
        there = dict.fromkeys(f.view for f in self.services[service] if f.entity == entity)
        wanted = [view for view in there if views is None or view in views]
        self.read.update(wanted)
        return [{view: self._record(key, view) for view in wanted} for key in keys]

    def as_of(
        self,
        service: str,
        entity: str,
        key: str,
        at: datetime,
        *,
        views: Collection[str] | None = None,
    ) -> dict[str, ViewRecord]:
        """What is online now, as far as it was so then."""
        self.past.append((service, key, at, frozenset(views or ())))
        (found,) = self.online(service, entity, [key], views=views)
        nothing = {
            view: ViewRecord(view, dict.fromkeys(record.values), None, "missing")
            for view, record in found.items()
        }
        return {
            view: record if record.as_of is not None and record.as_of <= at else nothing[view]
            for view, record in found.items()
        }

    def people(
        self,
        service: str,
        at: datetime,
        columns: Sequence[str],
        *,
        who: Sequence[str] | None = None,
    ) -> pa.Table:
        """Offline is what is online, of Ann and of Bob."""
        self.read_people.append((service, who))
        users = ["u-ann", "u-bob"] if who is None else list(who)
        features = {one.column: one for one in self.services[service]}
        rows = {user: self.online(service, "user", [user])[0] for user in users}
        found = {"user_id": pa.array(users, pa.string())}
        for column in columns:
            feature = features[column]
            values = [row[feature.view].values[feature.name] for row in rows.values()]
            found[column] = pa.array(values, ARROW[feature.kind])
        return pa.table(found)

    def _record(self, key: str, view: str) -> ViewRecord:
        if (key, view) not in self.rows:
            names = [f.name for fs in self.services.values() for f in fs if f.view == view]
            return ViewRecord(view, dict.fromkeys(names), None, "missing")
        return self.rows[key, view]


class FakeTower:
    """A query tower that prefers items by number: i30 is best, unless told otherwise."""

    def __init__(self) -> None:
        self.inputs: list[Arrays] = []
        self.vector = np.array([1.0, 0.0], np.float32)
        self.scores = {
            "head_returns_7d": np.array([0.0], np.float32),
            "head_spend_30d": np.array([20.0], np.float32),
            "head_next_event_type": np.array([0.0, 2.0], np.float32),
        }

    def __call__(self, inputs: Arrays) -> np.ndarray:
        return self.answer(inputs)["vector"]

    def answer(self, inputs: Arrays) -> dict[str, np.ndarray]:
        self.inputs.append(inputs)
        return {"vector": self.vector, **self.scores}


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def as_of() -> datetime:
    return AS_OF


@pytest.fixture
def store() -> FakeStore:
    """Ann has everything, Bob only activity, and each film is as popular as its number is low."""
    found = FakeStore(
        services={
            "profile_v1": list(PROFILE_FEATURES),
            "retrieval_v1": [*USER_FEATURES, *ITEM_FEATURES],
            "items_v1": list(ITEM_FEATURES),
            "behaviour_v1": list(BEHAVIOUR_FEATURES),
        },
        tags={
            "user_activity": {"block": "activity"},
            "user_history": {"block": "history"},
            "user_interests": {"block": "interests"},
            "user_brands": {"block": "brands"},
            "user_rhythm": {"block": "rhythm"},
            "user_value": {"block": "value"},
        },
    )
    found.put("u-ann", "user_activity", {"events_7d": 3, "last_event_at": AS_OF})
    found.put(
        "u-ann",
        "user_history",
        {
            "item_ids": ["i30", "i29"],
            "event_types": ["rating", "view"],
            "event_at_us": [microseconds(AS_OF), microseconds(AS_OF - timedelta(days=1))],
        },
    )
    found.put(
        "u-ann",
        "user_interests",
        {
            "categories": ["Drama", "Comedy"],
            "shares": [0.75, 0.25],
            "lifts": [2.5, 0.5],
            "confidences": [0.5, 0.125],
            "event_counts": [6, 2],
            "first_event_at_us": [microseconds(AS_OF) - 86_400_000_000, microseconds(AS_OF)],
            "last_event_at_us": [microseconds(AS_OF), microseconds(AS_OF)],
        },
    )
    found.put(
        "u-ann",
        "user_brands",
        {
            "brands": ["Acme", "Zeta"],
            "shares": [0.6, 0.4],
            "lifts": [3.0, 1.0],
            "confidences": [0.1, 0.3],
            "event_counts": [1, 9],
            "last_event_at_us": [microseconds(AS_OF), microseconds(AS_OF)],
        },
    )
    found.put("u-ann", "user_rhythm", {"hours_90d": [0] * 8 + [1, 3] + [0] * 13 + [4]})
    found.put(
        "u-ann",
        "user_value",
        {
            "orders_365d": 7,
            "order_value_quartile_1": 10.0,
            "order_value_median": 20.0,
            "order_value_quartile_3": 35.0,
            "recency_score": 5,
            "frequency_score": 4,
            "spend_score": 4,
        },
    )
    found.put("u-bob", "user_activity", {"events_7d": 1, "last_event_at": AS_OF})
    for number, (item_id, title) in enumerate(ITEMS.items(), start=1):
        found.put(item_id, "item_attributes", {"title": title, "categories": ["Drama"]})
        found.put(item_id, "item_popularity", {"events_90d": 100 - number, "events_lifetime": 1000})
    return found


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(
        path=tmp_path,
        manifest={"version": "20260301T000000-abc", "feature_service": "retrieval_v1"},
        encoding=plan(USER_FEATURES, "user"),
        vocabularies={
            "item_id": Vocabulary("item_id", list(ITEMS)),
            "category": Vocabulary("category", ["Comedy", "Drama"]),
        },
        item_ids=list(ITEMS),
        item_vectors=np.array([[n, 0.0] for n in range(1, len(ITEMS) + 1)], np.float32),
        query_tower=FakeTower(),  # type: ignore[arg-type]
        heads={
            head.name: head
            for head in (
                BundleHead(
                    *("returns_7d", "binary", "user_activity__events_7d", 8, 0.0, ()),
                    Calibration("binary", 1.0, 0.0, tuple(np.linspace(0.1, 0.6, 101))),
                    {"auc": 0.75},
                ),
                BundleHead(
                    *("spend_30d", "amount", "user_behaviour__spend_30d", 31, 0.0, ()),
                    Calibration("amount", 0.5, 0.0, tuple(np.linspace(0.0, 100.0, 101))),
                    {},
                ),
                BundleHead(
                    *("next_event_type", "category", "event_type", 0, 0.0, ("view", "buy")),
                    Calibration("category", 0.5, 0.0, tuple(np.linspace(0.5, 1.0, 101))),
                    {},
                ),
            )
        },
    )


@pytest.fixture
def materialized() -> Materialized:
    return Materialized(
        NOW, [Person("u-ann", AS_OF, 8), Person("u-bob", AS_OF - timedelta(days=2), 1)]
    )


@pytest.fixture
def clock() -> Clock:
    return Clock(
        shift_seconds=3 * 7 * 24 * 3600,
        chosen_at=NOW,
        first_event_at=datetime(1995, 1, 9, tzinfo=UTC),
        last_event_at=datetime(2016, 10, 16, tzinfo=UTC),
        why="Moved for the test.",
    )


@pytest.fixture
def tags() -> Tags:
    return Tags(
        NOW,
        [
            Tag("Drama", "user_interests__categories", 1200),
            Tag("Comedy", "user_interests__categories", None),
            Tag("Zeta", "user_brands__brands", 7),
        ],
    )


@pytest.fixture
def segmentation() -> Segmentation:
    """Two segments along one axis, the logarithm of the week's events; odd is who has many."""
    return Segmentation(
        version="20260301T000000Z",
        feature_service="behaviour_v1",
        encoding=plan(BEHAVIOUR_FEATURES, "user"),
        encoder=lambda numbers: (numbers[0, :1], float(numbers[0, 0])),
        clusters=(
            Cluster("quiet", 0.75, np.array([0.5]), ()),
            Cluster(
                "busy",
                0.25,
                np.array([2.0]),
                (Difference("user_activity__events_7d", 1.25, False),),
            ),
        ),
        quantiles=np.linspace(0.0, 2.0, 101),
    )


def _load(name: str) -> ModuleType:
    """A module beside this file: tests cannot import their neighbours by name."""
    spec = importlib.util.spec_from_file_location(
        f"serving_{name}", Path(__file__).parent / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


feast_repo = _load("feast_repo")


@pytest.fixture(scope="session")
def feast_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose registry and online store are Feast's own: see `feast_repo`."""
    settings = Settings(home=tmp_path_factory.mktemp("feast_home"))
    feast_repo.fill(settings)
    return settings


VECTORS: dict[str, dict[str, list[float]]] = {
    "user": {"u-ann": [1.0, 0.0], "u-bob": [0.6, 0.8], "u-eve": [-1.0, 0.1], "u-old": [1.0, 0.01]},
    "item": {f"i{n}": [float(n), 10.0] for n in range(1, 31)},
}


@pytest.fixture
def placed(store: FakeStore) -> FakeStore:
    """Everybody was placed by model v2, but u-old by v1."""
    store.services["vectors_v1"] = [
        Feature(f"{entity}_vectors", name, entity, kind)
        for entity in VECTORS
        for name, kind in (("vector", "list_of_number"), ("model", "text"))
    ]
    for entity, vectors in VECTORS.items():
        for key, vector in vectors.items():
            model = "v1" if key == "u-old" else "v2"
            store.put(key, f"{entity}_vectors", {"vector": vector, "model": model})

    def nearest(service: str, entity: str, vector: Sequence[float], count: int) -> list[Neighbour]:
        store.asked.append((service, []))
        wanted = np.asarray(vector) / np.linalg.norm(vector)
        found = [
            Neighbour(
                key,
                1 - float(wanted @ np.asarray(other) / np.linalg.norm(other)),
                store.rows[key, f"{entity}_vectors"].values,
            )
            for key, other in VECTORS[entity].items()
        ]
        return sorted(found, key=lambda one: one.distance)[:count]

    store.nearest = nearest  # type: ignore[attr-defined]
    return store


@pytest.fixture
def texts(store: FakeStore) -> FakeStore:
    """Ann reads; near to that is i3, then i-new, which the model does not know, then i9."""
    vector = Feature("user_content", "content_vector_recent", "user", "list_of_number")
    store.services["content_v1"] = [
        vector,
        Feature("item_content", "content_vector", "item", "list_of_number"),
    ]
    store.services["retrieval_v1"].append(vector)
    store.put("u-ann", "user_content", {"content_vector_recent": [0.0, 2.0]})
    store.put("i-new", "item_attributes", {"title": "New", "categories": ["Drama"]})

    def nearest(service: str, entity: str, vector: Sequence[float], count: int) -> list[Neighbour]:
        store.asked.append((service, []))
        store.searched.append((entity, list(vector), count))
        found = [Neighbour(key, n / 10, {}) for n, key in enumerate(("i3", "i-new", "i9"))]
        return found[:count]

    store.nearest = nearest  # type: ignore[attr-defined]
    return store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with the files whose change says that something has to be read again."""
    settings = Settings(home=tmp_path)
    for file in (
        settings.registry,
        settings.online / "materialized.json",
        settings.models / "current.json",
        settings.raw / "active.json",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    return settings


Make = Callable[..., Deployment]


@pytest.fixture
def deploy(
    settings: Settings,
    store: FakeStore,
    bundle: Bundle,
    materialized: Materialized,
    clock: Clock,
    segmentation: Segmentation,
    tags: Tags,
) -> Make:
    """Makes a deployment of the fakes; what is named in `without` is not built yet."""

    def make(*without: str, **more: Any) -> Deployment:
        def give(what: str, value: Any, run: str) -> Callable[[Settings], Any]:
            def read(_: Settings) -> Any:
                if what in without:
                    raise MissingStageError(f"no {what}. Run `{run}` first.")
                return value

            return read

        return Deployment(
            settings,
            open_store=give("registry", store, "make apply"),
            load_bundle=give("bundle", bundle, "make train"),
            read_people=give("people", materialized, "make materialize"),
            read_clock=give("clock", clock, "make logs"),
            read_tags=give("tags", tags, "make materialize"),
            load_segments=give("segments", segmentation, "python -m training profiles"),
            **more,
        )

    return make


@pytest.fixture
def client_of(settings: Settings) -> Callable[[Deployment], TestClient]:
    """A client of the service over a deployment; a fault in it is a 500, as for anybody."""
    return lambda deployment: TestClient(
        create_app(settings, deployment=deployment),
        raise_server_exceptions=False,
        follow_redirects=False,
    )


@pytest.fixture
def client(deploy: Make, client_of: Callable[[Deployment], TestClient]) -> TestClient:
    return client_of(deploy())


def pytest_make_parametrize_id(val: object) -> str | None:
    """Long and odd strings as JSON, so that the names of tests can be printed."""
    return json.dumps(val)[:60] if isinstance(val, str) else None
