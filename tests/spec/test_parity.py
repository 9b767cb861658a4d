"""One truth: what is online after a materialisation is what is offline at that instant.

Random histories, materialised, changed at random (rows that come late, are corrected, are removed;
rows dated in the future whose time has come), and materialised again incrementally.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.infra.common.materialization_job import MaterializationTask
from feast.types import Array, Int64, String
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.online_store import store as online_store
from profilestore.online_store.database import database

BASE = datetime(2024, 1, 1, tzinfo=UTC)
BEGINNING = BASE - timedelta(days=365)
# One microsecond apart, so that every edge is met.
MOMENTS = st.integers(0, 9).map(lambda n: BASE + timedelta(microseconds=n))
USERS = st.sampled_from([1, 2, -3])
ITEMS = st.sampled_from(["a", "b", "ü" * 300])
KEYS = {"by_user": ("user",), "by_pair": ("user", "item"), "for_all": ()}
TTLS = (None, 1, 3)

# Of rows equal in event and created time either is an answer: there are none.
histories = st.lists(
    st.tuples(
        USERS | st.none(),
        ITEMS | st.none(),
        MOMENTS,
        MOMENTS | st.none(),
        st.integers(-5, 5) | st.none(),
        st.lists(st.sampled_from(["x", "yy", ""]), max_size=3) | st.none(),
    ),
    unique_by=lambda row: row[2:4],
    max_size=20,
)
SCHEMA = pa.schema(
    [
        ("user", pa.int64()),
        ("item", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("learned", pa.timestamp("us", "UTC")),
        ("value", pa.int64()),
        ("words", pa.list_(pa.string())),
    ]
)


@pytest.fixture(scope="module")
def feast(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    folder = tmp_path_factory.mktemp("parity")
    (folder / "feature_store.yaml").write_text(
        "project: parity\nprovider: local\nregistry: registry.db\n"
        "entity_key_serialization_version: 3\n"
        "offline_store: {type: profilestore.offline_store.NativeDuckDBOfflineStore}\n"
        "batch_engine: {type: profilestore.compute_engine.NativeDuckDBComputeEngine}\n"
        "online_store: {type: profilestore.online_store.LMDBOnlineStore, path: online, "
        "sync: false}\n"
    )
    write(folder, [])
    store = FeatureStore(repo_path=str(folder))
    entities = {
        "user": Entity(name="user", join_keys=["user"], value_type=ValueType.INT64),
        "item": Entity(name="item", join_keys=["item"], value_type=ValueType.STRING),
    }
    fields = {"user": Int64, "item": String, "value": Int64, "words": Array(String)}
    views = [
        FeatureView(
            name=f"{kind}_{ttl or 'ever'}",
            entities=[entities[key] for key in keys],
            ttl=timedelta(microseconds=ttl) if ttl else None,
            source=FileSource(
                name=f"{kind}_{ttl}",
                path="history.parquet",
                timestamp_field="at",
                created_timestamp_column="learned",
            ),
            schema=[Field(name=n, dtype=fields[n]) for n in (*keys, "value", "words")],
        )
        for kind, keys in KEYS.items()
        for ttl in TTLS
    ]
    store.apply([*entities.values(), *views])
    return store


def write(folder, rows) -> None:
    columns = list(zip(*rows, strict=True)) or [[] for _ in SCHEMA]
    pq.write_table(
        pa.table(dict(zip(SCHEMA.names, columns, strict=True)), SCHEMA), folder / "history.parquet"
    )


def materialize(feast: FeatureStore, start: datetime, end: datetime, earlier: list) -> None:
    """As Feast's `materialize` with that registry state, without its second of bookkeeping."""
    provider = feast._get_provider()
    views = feast.list_feature_views()
    for view in views:
        view.materialization_intervals = earlier
    tasks = [MaterializationTask(feast.project, view, start, end) for view in views]
    for job in provider.batch_engine.materialize(feast.registry, tasks):
        if job.error():
            raise job.error()


def as_online(feast: FeatureStore) -> dict:
    """(view, keys) -> values, for every entity that can be asked for."""
    found = {}
    for kind, keys in KEYS.items():
        rows = entity_rows(keys)
        for ttl in TTLS:
            view = f"{kind}_{ttl or 'ever'}"
            answer = feast.get_online_features(
                features=[f"{view}:value", f"{view}:words"], entity_rows=rows or [{"any": 1}]
            ).to_dict()
            for n, row in enumerate(rows or [{}]):
                found[view, tuple(row.values())] = (answer["value"][n], answer["words"][n])
    return found


def as_offline(feast: FeatureStore, now: datetime) -> dict:
    found = {}
    for kind, keys in KEYS.items():
        rows = entity_rows(keys) or [{}]
        spine = pa.Table.from_pylist([{**row, "event_timestamp": now} for row in rows])
        for ttl in TTLS:
            view = f"{kind}_{ttl or 'ever'}"
            answer = feast.get_historical_features(
                entity_df=spine, features=[f"{view}:value", f"{view}:words"]
            ).to_arrow()
            for n, row in enumerate(rows):
                found[view, tuple(row.values())] = (
                    answer["value"][n].as_py(),
                    answer["words"][n].as_py(),
                )
    return found


def entity_rows(keys) -> list[dict]:
    rows = [{}]
    for key in keys:
        values = (1, 2, -3) if key == "user" else ("a", "b", "ü" * 300)
        rows = [{**row, key: value} for row in rows for value in values]
    return rows if keys else []


@given(first=histories, second=histories, instants=st.tuples(MOMENTS, MOMENTS).map(sorted))
@settings(max_examples=60, deadline=None)
def test_online_is_offline_after_each_materialisation(feast, first, second, instants) -> None:
    folder = feast.repo_path
    database((folder / "online").absolute(), map_size=2**30, sync=False).destroy()
    earlier: list = []
    with pytest.MonkeyPatch.context() as patch:
        for history, now in zip((first, second), instants, strict=True):
            patch.setattr(
                online_store,
                "_now",
                lambda now=now: (
                    (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
                ),
            )
            write(folder, history)
            materialize(feast, earlier[-1][1] if earlier else BEGINNING, now, list(earlier))
            earlier.append((earlier[-1][1] if earlier else BEGINNING, now))
            assert as_online(feast) == as_offline(feast, now)
