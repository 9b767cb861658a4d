"""Random histories and spines: our store and the slow reference agree, value for value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import mock

import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field
from feast.types import Int64, String
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_engines import plain
from spec_reference import answer
from spec_scenarios import Grid, Scenario, ViewOf

from profilestore.offline_store import DuckDBSource, point_in_time

BASE = datetime(2024, 1, 1, tzinfo=UTC)
# One microsecond apart, so that every edge is met.
MOMENTS = st.integers(0, 9).map(lambda n: BASE + timedelta(microseconds=n))
USERS = st.sampled_from([1, 2, None])
ITEMS = st.sampled_from(["a", "b", None])
KEYS = {"by_user": ("user",), "by_pair": ("user", "item"), "for_all": ()}
TTLS = (None, 1, 2, 5)

# Of rows equal in event and created time either is an answer: there are none.
histories = st.lists(
    st.tuples(USERS, ITEMS, MOMENTS | st.none(), MOMENTS | st.none()),
    unique_by=lambda row: row[2:],
    max_size=25,
)
spines = st.lists(st.tuples(ITEMS, USERS, MOMENTS | st.none()), max_size=12)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One view per kind of key and ttl, all on the file `history.parquet`."""
    folder = tmp_path_factory.mktemp("random")
    (folder / "feature_store.yaml").write_text(
        "project: random\nprovider: local\nregistry: registry.db\n"
        "entity_key_serialization_version: 3\n"
        "online_store: {type: sqlite, path: online.db}\n"
        "offline_store: {type: profilestore.offline_store.NativeDuckDBOfflineStore}\n"
    )
    store = FeatureStore(repo_path=str(folder))
    user = Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)
    item = Entity(name="item", join_keys=["item"], value_type=ValueType.STRING)
    entities = {"user": user, "item": item}
    views = []
    for kind, keys in KEYS.items():
        for ttl in TTLS:
            name = view_name(kind, ttl)
            times = {"timestamp_field": "at", "created_timestamp_column": "learned"}
            # Half of the views read their file once, as a query; half as files are read.
            source = (
                DuckDBSource(name=name, path="history.parquet", **times)
                if ttl in (None, 2)
                else DuckDBSource(
                    name=name, query=f"FROM read_parquet('{folder}/history.parquet')", **times
                )
            )
            fields = {"user": Int64, "item": String, "value": Int64}
            views.append(
                FeatureView(
                    name=name,
                    entities=[entities[key] for key in keys],
                    ttl=timedelta(microseconds=ttl) if ttl else None,
                    source=source,
                    schema=[Field(name=n, dtype=fields[n]) for n in (*keys, "value")],
                )
            )
    write(folder, Grid(("user", "item", "at", "learned", "value"), GRID_TYPES, ()))
    store.apply([user, item, *views])
    return store


GRID_TYPES = ("int", "text", "time", "time", "int")


def view_name(kind, ttl):
    return f"{kind}_{ttl or 'ever'}"


def write(folder, grid):
    pq.write_table(grid.arrow(), folder / "history.parquet")


@given(
    history=histories,
    spine=spines,
    chosen=st.lists(
        st.tuples(st.sampled_from(sorted(KEYS)), st.sampled_from(TTLS)),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    known_only=st.booleans(),
    narrow=st.booleans(),
    counted=st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_our_store_agrees_with_the_reference(
    store, history, spine, chosen, known_only, narrow, counted
):
    grid = Grid(
        ("user", "item", "at", "learned", "value"),
        GRID_TYPES,
        tuple((*row, number) for number, row in enumerate(history)),
    )
    views = tuple(
        ViewOf(
            table="history",
            keys=KEYS[kind],
            event="at",
            created="learned",
            ttl=timedelta(microseconds=ttl) if ttl else None,
            alias=view_name(kind, ttl),
        )
        for kind, ttl in chosen
    )
    scenario = Scenario(
        name="random",
        views=views,
        asked=tuple((view.name, "value") for view in views),
        histories={"history": grid},
        spine=Grid(("item", "user", "event_timestamp"), ("text", "int", "time"), tuple(spine)),
        full_names=True,
        known_only=known_only,
    )
    write(store.repo_path, grid)
    job = store.get_historical_features(
        entity_df=scenario.spine.arrow(),
        features=[f"{view.name}:value" for view in views],
        full_feature_names=True,
        filter_by_created_timestamp=known_only,
    )
    # Both with and without looking for the spine's keys first.
    with (
        mock.patch.object(point_in_time, "ROWS_PER_SPINE_ROW", -1 if narrow else 10**9),
        mock.patch.object(point_in_time, "MOST_REPEATS", 10**9 if counted else -1),
    ):
        names, rows = plain(job.to_arrow())
    expected = answer(scenario)
    assert rows == [tuple(row.values()) for row in expected]
    assert names == ["item", "user", "event_timestamp", *(f"{view.name}__value" for view in views)]
