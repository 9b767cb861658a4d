"""What is online after a materialisation is what the source has, however it got there."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pytest
from feast import BatchFeatureView, Entity, Field, FileSource
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import NULL_TIMESTAMP_INT_VALUE
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)
from feast.types import Decimal as FeastDecimal
from feast.value_type import ValueType

from profilestore.compute_engine import NativeDuckDBComputeEngine, rows
from profilestore.compute_engine.engine import _is_plain, reach
from profilestore.errors import InputError
from profilestore.online_store.database import BATCH, LIVE
from profilestore.online_store.keys import entity_key

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def part_size(world, part):
    online = world.store._get_provider().online_store
    with online._database(world.store.config).read() as snapshot:
        return sum(1 for _ in snapshot.begin_with(part, b""))


def test_the_engine_is_found_by_its_public_path(make_world):
    engine = make_world().store._get_provider().batch_engine
    assert isinstance(engine, NativeDuckDBComputeEngine)
    assert engine.supports_batch


@pytest.mark.parametrize(("size", "most"), [(3, 2**28), (100_000, 2**28), (100_000, 100)])
def test_the_latest_row_of_each_entity(world, now, monkeypatch, size, most):
    monkeypatch.setattr(rows, "BATCH_ROWS", size)
    monkeypatch.setattr(rows, "BATCH_BYTES", most)
    world.write(
        [(f"u{n}", n, now - DAY, now) for n in range(20)]
        + [("u3", 33, now, now), ("u4", 44, now - DAY, now + TICK), ("u5", 55, now - 2 * DAY, now)]
        # Nobody can ask for these.
        + [(None, 99, now, now)]
    )
    world.apply()
    world.materialise(now - 5 * DAY, now)
    expected = {**{n: n for n in range(20)}, 3: 33, 4: 44}
    assert world.read(*[f"u{n}" for n in range(20)], "nobody") == [*expected.values(), None]
    proto = world.store.get_online_features(["activity:clicks"], [{"user_id": "u3"}]).proto
    assert proto.results[1].event_timestamps[0].ToMicroseconds() == int(now.timestamp() * 1e6) // 1


def test_both_ends_of_the_range_are_in_it(world, now):
    world.write(
        [
            ("before", 1, now - DAY - TICK, now),
            ("first", 2, now - DAY, now),
            ("last", 3, now, now),
            ("after", 4, now + TICK, now),
        ]
    )
    world.apply()
    world.materialise(now - DAY, now)
    assert world.read("before", "first", "last", "after") == [None, 2, 3, None]


@pytest.mark.parametrize("first", ["materialise", "increment"])
def test_the_next_increment_brings_everything(world, now, first):
    """Each user is one of the ways in which a run that only looks forward goes wrong."""
    world.write(
        [
            ("unchanged", 1, now - 3 * DAY, now - 3 * DAY),
            ("late", 1, now - 4 * DAY, now - 4 * DAY),
            ("corrected", 1, now - 3 * DAY, now - 3 * DAY),
            ("corrected to an earlier time", 1, now - 3 * DAY, now),
            ("removed", 1, now - 3 * DAY, now),
            ("one row removed", 1, now - 4 * DAY, now),
            ("one row removed", 2, now - 3 * DAY, now),
            # Known beforehand: when its window will have emptied.
            ("emptied", 5, now - 3 * DAY, now - 3 * DAY),
            ("emptied", 0, now - 1 * DAY, now - 3 * DAY),
        ]
    )
    world.apply()
    if first == "materialise":
        world.materialise(now - 9 * DAY, now - 2 * DAY)
    else:
        world.increment(now - 2 * DAY)
    users = [
        "unchanged",
        "late",
        "later than all",
        "corrected",
        "corrected to an earlier time",
        "removed",
        "one row removed",
        "emptied",
        "new",
    ]
    assert world.read(*users) == [1, 1, None, 1, 1, 1, 2, 5, None]
    world.write(
        [
            ("unchanged", 1, now - 3 * DAY, now - 3 * DAY),
            ("late", 1, now - 4 * DAY, now - 4 * DAY),
            # True before the first run, learned after it.
            ("late", 2, now - 3 * DAY, now),
            ("later than all", 3, now - 5 * DAY, now),
            ("corrected", 4, now - 3 * DAY, now),
            ("corrected to an earlier time", 5, now - 5 * DAY, now),
            ("one row removed", 1, now - 4 * DAY, now),
            ("emptied", 5, now - 3 * DAY, now - 3 * DAY),
            ("emptied", 0, now - 1 * DAY, now - 3 * DAY),
            ("new", 7, now - 1 * DAY, now),
        ]
    )
    world.increment(now)
    assert world.read(*users) == [1, 2, 3, 4, 5, None, 1, 0, 7]


def test_a_column_that_was_added_is_filled_for_entities_that_did_not_change(world, now):
    world.write([("a", 1, now - 3 * DAY, now), ("b", 2, now - 3 * DAY, now)])
    world.apply()
    world.increment(now - 2 * DAY)
    world.write([("a", 1, now - 3 * DAY, now, 0.5), ("b", 2, now - 3 * DAY, now, None)])
    world.apply(world.view(columns=[("more", Float64), ("clicks", Int64)]))
    assert world.read("a", "b", feature="more") == [None, None]
    assert world.read("a", "b") == [1, 2]
    world.increment(now)
    assert world.read("a", "b", feature="more") == [0.5, None]
    assert world.read("a", "b") == [1, 2]


def test_a_push_newer_than_the_batch_is_kept_and_an_older_one_dropped(world, now):
    world.write([(user, 1, now - 3 * DAY, now - 3 * DAY) for user in ("newer", "older")])
    world.apply()
    world.increment(now - 2 * DAY)
    world.push("newer", 2, now)
    world.push("older", 2, now - 2 * DAY)
    world.push("only pushed", 2, now - 2 * DAY)
    assert world.read("newer", "older", "only pushed") == [2, 2, 2]
    assert part_size(world, LIVE) == 3
    world.write([(user, 3, now - DAY, now - DAY) for user in ("newer", "older")])
    world.increment(now)
    assert world.read("newer", "older", "only pushed") == [2, 3, 2]
    assert part_size(world, LIVE) == 2


def test_a_push_that_does_not_say_when_it_was_learned(make_world, now):
    """pandas has NaT where there is no time."""
    world = make_world()
    world.write([("a", 1, now - DAY, None), ("b", 1, now - DAY, now)])
    world.apply()
    world.increment(now)
    world.push("a", 2, now - DAY, learned=None)
    world.push("b", 2, now - DAY, learned=None)
    # Of the same event the one that was learned last; nobody knows when is before all others.
    assert world.read("a", "b") == [2, 1]
    with pytest.raises(InputError, match="'activity': a row has no event time"):
        world.push("a", 3, None)


def test_a_backfill_and_a_gap_do_not_take_the_place_of_what_is_newer(world, now):
    world.write(
        [
            ("a", 1, now - 6 * DAY, now),
            ("a", 2, now - 3 * DAY, now),
            ("b", 1, now - 6 * DAY, now),
            ("c", 3, now, now),
        ]
    )
    world.apply()
    world.materialise(now - 4 * DAY, now - 2 * DAY)
    assert world.read("a", "b", "c") == [2, None, None]
    # Of an older stretch.
    world.materialise(now - 7 * DAY, now - 5 * DAY)
    assert world.read("a", "b", "c") == [2, 1, None]
    # Of a newer one that leaves a gap.
    world.materialise(now - TICK, now + DAY)
    assert world.read("a", "b", "c") == [2, 1, 3]
    # Then all that has been asked for so far is asked for again.
    world.write([("a", 9, now - 6 * DAY, now), ("c", 3, now, now)])
    world.increment(now + 2 * DAY)
    assert world.read("a", "b", "c") == [9, None, 3]


def test_a_view_without_ttl_has_values_of_any_age(world, now):
    world.write(
        [("old", 1, now - 2000 * DAY, now), ("ancient", 2, datetime(1903, 1, 1, tzinfo=UTC), now)]
    )
    world.apply()
    world.increment(now)
    assert world.read("old", "ancient") == [1, 2]
    world.increment(now + DAY)
    assert world.read("old", "ancient") == [1, 2]


def test_a_view_with_ttl_is_asked_from_its_ttl_on(make_world, now):
    world = make_world(ttl=20 * DAY)
    world.write([("fresh", 1, now - 5 * DAY, now), ("stale", 2, now - 30 * DAY, now)])
    world.apply()
    world.increment(now)
    assert world.read("fresh", "stale") == [1, None]


def test_no_rows(world, now):
    world.write([])
    world.apply()
    world.increment(now - DAY)
    assert world.read("a") == [None]
    world.write([("a", 1, now - DAY, now)])
    world.increment(now)
    assert world.read("a") == [1]
    world.write([])
    world.increment(now + DAY)
    assert world.read("a") == [None]
    world.write([(None, 1, now, now)])
    world.increment(now + 2 * DAY)
    assert world.read("a") == [None]


def test_a_view_that_fails_leaves_all_views_as_they_were(world, now):
    for name in ("activity", "broken"):
        world.write([("a", 1, now - 3 * DAY, now)], name)
    world.apply(world.view(), world.view("broken"))
    world.increment(now - 2 * DAY)
    world.write([("a", 2, now - DAY, now)])
    world.write([("a", "two", now - DAY, now)], "broken", {"clicks": pa.string()})
    with pytest.raises(InputError) as caught:
        world.increment(now)
    for part in (
        "feature view 'broken'",
        "feature 'clicks'",
        "found string",
        "wanted Feast's INT64",
    ):
        assert part in str(caught.value)
    assert world.read("a") == [1]
    assert world.read("a", view="broken") == [1]
    for name in ("activity", "broken"):
        view = world.store.get_feature_view(name)
        assert view.most_recent_end_time == now - 2 * DAY
    # Once it is mended, both go on from where they were.
    world.write([("a", 3, now - DAY, now)], "broken")
    world.increment(now + DAY)
    assert world.read("a") == [2]
    assert world.read("a", view="broken") == [3]


def test_a_source_without_a_declared_column(make_world, now):
    world = make_world()
    world.write([("a", 1, now, now)])
    world.apply()
    world.write(pa.table({"user_id": ["a"], "at": [now], "learned_at": [now]}))
    with pytest.raises(InputError, match=r"activity.*'clicks'"):
        world.increment(now)


def test_views_are_checked_when_they_are_applied(make_world, now):
    world = make_world()
    world.write([("a", "one", now, now)], types={"clicks": pa.string()})
    with pytest.raises(InputError, match="clicks"):
        world.apply()


def test_another_offline_stores_rows(make_world, now, monkeypatch):
    """They come all at once, in several chunks, with keys that are null."""
    monkeypatch.setattr(rows, "BATCH_ROWS", 2)
    world = make_world()
    world.write([("a", 1, now, now)])
    world.apply()
    users, clicks = [["a", None], ["b", "c", None]], [[1, 2], [3, None, 5]]
    table = pa.table(
        {
            "user_id": pa.chunked_array(users),
            "clicks": pa.chunked_array(clicks),
            "at": [now] * 5,
            "learned_at": pa.array([now, now, None, now, now]),
        }
    )
    asked = []

    class Other:
        def pull_latest_from_table_or_query(self, **options):
            asked.append(options)
            return SimpleNamespace(to_arrow=lambda: table)

    engine = world.store._get_provider().batch_engine
    monkeypatch.setattr(engine, "offline_store", Other())
    world.materialise(now - DAY, now)
    assert world.read("a", "b", "c") == [1, 3, None]
    (options,) = asked
    assert options["join_key_columns"] == ["user_id"]
    assert options["feature_name_columns"] == ["clicks"]
    assert (options["timestamp_field"], options["created_timestamp_column"]) == ("at", "learned_at")
    assert (options["start_date"], options["end_date"]) == (now - DAY, now)
    assert {key for key, _ in stored_users(world)} == {"a", "b", "c"}
    table = table.drop_columns(["clicks"])
    with pytest.raises(InputError, match="gave no column 'clicks'; found: user_id, at, learned_at"):
        world.materialise(now - DAY, now)


def stored_users(world):
    """Who has a record, and its bytes."""
    online = world.store._get_provider().online_store
    with online._database(world.store.config).read() as snapshot:
        return [
            (entity_key(key[:-4]).entity_values[0].string_val, bytes(value))
            for key, value in snapshot.begin_with(BATCH, b"")
        ]


def test_columns_under_other_names(make_world, now):
    world = make_world()
    table = pa.table({"user": ["a", "b"], "n": [1, 2], "when": [now, now], "learned": [now, now]})
    world.write(table)
    source = FileSource(
        name="mapped",
        path="../activity.parquet",
        timestamp_field="when",
        created_timestamp_column="learned",
        field_mapping={"n": "clicks", "user": "user_id"},
    )
    world.apply(world.view(source=source))
    world.materialise(now - DAY, now)
    assert world.read("a", "b") == [1, 2]


def test_a_view_without_entity(make_world, now):
    world = make_world()
    world.write(pa.table({"load": [1, 2], "at": [now - DAY, now], "learned_at": [now, now]}))
    world.apply(world.view(entities=[], schema=[Field(name="load", dtype=Int64)]))
    world.materialise(now - 2 * DAY, now)
    # Some row is asked for; of whom does not matter.
    found = world.store.get_online_features(["activity:load"], [{"user_id": "any"}]).to_dict()
    assert found["load"] == [2]


# Where to ask from


@pytest.mark.parametrize(
    ("earlier", "start", "end", "expected"),
    [
        ([], 1, 5, (1, True)),
        ([(1, 5)], 5, 7, (1, True)),
        ([(1, 5)], 3, 7, (1, True)),
        ([(1, 5)], 1, 5, (1, True)),
        ([(1, 5)], 0, 5, (0, True)),
        ([(1, 5)], 0, 9, (0, True)),
        ([(3, 5), (1, 4), (5, 6)], 6, 7, (1, True)),
        # A gap; an end before the last one.
        ([(1, 5)], 6, 7, (6, False)),
        ([(1, 5)], 2, 4, (2, False)),
        ([(1, 5)], 0, 1, (0, False)),
    ],
)
def test_from_when_on_to_ask(now, earlier, start, end, expected):
    at = lambda n: now + n * DAY  # noqa: E731
    view = SimpleNamespace(ttl=None, materialization_intervals=[(at(a), at(b)) for a, b in earlier])
    assert reach(view, at(start), at(end)) == (at(expected[0]), expected[1])


@pytest.mark.parametrize(
    ("ttl", "ago", "whole"), [(None, 364, True), (None, 200, False), (DAY, 364, False)]
)
def test_feasts_year_is_for_ever(ttl, ago, whole):
    view = SimpleNamespace(ttl=ttl, materialization_intervals=[])
    now = datetime.now(UTC)
    start, all_of_it = reach(view, now - ago * DAY, now)
    assert all_of_it
    assert (start.year == 1) is whole


def test_a_naive_time_is_utc(now):
    view = SimpleNamespace(ttl=DAY, materialization_intervals=[(now - DAY, now)])
    naive = now.replace(tzinfo=None)
    assert reach(view, naive, naive + DAY) == (now - DAY, True)


# Views that are more than their source's rows


@pytest.mark.filterwarnings("ignore:Batch feature views are experimental:RuntimeWarning")
def test_a_view_with_a_transformation_goes_through_feasts_engine(make_world, now):
    def twice(frame):
        frame["twice"] = frame["clicks"] * 2
        return frame

    world = make_world()
    world.write([("a", 1, now - DAY, now), ("b", 2, now - DAY, now)])
    world.write([("a", 5, now - DAY, now)], "plain")
    plain = world.view("plain")
    transformed = BatchFeatureView(
        name="activity",
        entities=[Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)],
        mode="pandas",
        udf=twice,
        udf_string="twice",
        online=True,
        ttl=100 * DAY,
        source=FileSource(
            name="file",
            path="../activity.parquet",
            timestamp_field="at",
            created_timestamp_column="learned_at",
        ),
        schema=[
            Field(name="user_id", dtype=String),
            Field(name="clicks", dtype=Int64),
            Field(name="twice", dtype=Int64),
        ],
    )
    world.apply(plain, transformed)
    world.materialise(now - 2 * DAY, now)
    assert world.read("a", view="plain") == [5]
    assert world.read("a", "b", feature="twice") == [2, 4]


@pytest.mark.parametrize(
    ("more", "plain"),
    [
        ({}, True),
        ({"feature_transformation": object()}, False),
        ({"udf": object()}, False),
        ({"aggregations": [object()]}, False),
        ({"source_views": [object()]}, False),
        ({"batch_source": None}, False),
        ({"offline": True}, False),
        ({"online": False}, False),
    ],
)
def test_which_views_are_no_more_than_their_sources_rows(more, plain):
    assert _is_plain(SimpleNamespace(**{"batch_source": object(), **more})) is plain


def test_a_task_alone_and_its_job(make_world, now):
    world = make_world()
    world.write([("a", 1, now, now)])
    world.apply()
    engine = world.store._get_provider().batch_engine
    view = world.store.get_feature_view("activity")
    task = MaterializationTask("unit", view, now - DAY, now)
    (job,) = engine.materialize(world.store.registry, task)
    assert job.status() == MaterializationJobStatus.SUCCEEDED
    assert job.error() is None
    assert job.job_id().startswith("activity-")
    assert job.url() is None
    assert not job.should_be_retried()
    assert world.read("a") == [1]
    (world.folder / "activity.parquet").unlink()
    (job,) = engine.materialize(world.store.registry, [task])
    assert job.status() == MaterializationJobStatus.ERROR
    assert "activity" in str(job.error())
    assert engine.materialize(world.store.registry, []) == []


# Other online stores

ALL = [
    ("clicks", Int64, pa.array([1, None, -5])),
    ("rank", Int32, pa.array([1, None, -5], pa.int32())),
    ("score", Float32, pa.array([0.1, None, float("nan")], pa.float32())),
    ("mean", Float64, pa.array([0.1, None, float("nan")])),
    ("is_new", Bool, pa.array([True, None, False])),
    ("tag", String, pa.array(["", None, "ü"])),
    ("digest", Bytes, pa.array([b"\x00", None, b"\xff"])),
    ("seen_at", UnixTimestamp, pa.array([datetime(2024, 1, 1), None, datetime(1969, 1, 1)])),
    ("vector", Array(Float32), pa.array([[0.5, 1.5], None, []], pa.list_(pa.float32()))),
    ("counts", Array(Int64), pa.array([[1, -1], None, [7]])),
    ("tags", Array(String), pa.array([["a", ""], None, ["ü"]])),
    ("price", FeastDecimal, pa.array([Decimal("1.50"), None, Decimal("0.00")])),
]


def all_types(now):
    table = {name: values for name, _, values in ALL}
    table["user_id"] = pa.array(["a", "b", "c"])
    table["at"] = pa.array([now - DAY, now - DAY, now], pa.timestamp("us", "UTC"))
    table["learned_at"] = pa.array([now, now - DAY, now], pa.timestamp("us", "UTC"))
    return pa.table(table)


def contents(path):
    """Every row of Feast's table, its values parsed."""
    with sqlite3.connect(path) as connection:
        return {
            (key, feature): (_parsed(value).SerializeToString(), event, created)
            for key, feature, value, event, created in connection.execute(
                "SELECT entity_key, feature_name, value, event_ts, created_ts FROM unit_activity"
            )
        }


def _parsed(message):
    """A time that is null is the earliest of all to Feast's engine."""
    value = Value.FromString(message)
    return Value() if value.unix_timestamp_val == NULL_TIMESTAMP_INT_VALUE else value


def test_any_other_store_gets_what_feasts_engine_gives_it(make_world, now):
    """Through the interface that they all have."""
    found = []
    now = now.replace(microsecond=0)
    for engine in (NAME, "local"):
        world = make_world(
            online="{type: sqlite, path: online.db}",
            engine=engine,
            columns=[(name, dtype) for name, dtype, _ in ALL],
        )
        world.write(all_types(now))
        world.apply()
        assert isinstance(world.store._get_provider().online_store, SqliteOnlineStore)
        world.materialise(now - 5 * DAY, now)
        found.append(contents(world.repo / "online.db"))
    ours, feasts = found
    assert len(ours) == 3 * len(ALL)
    assert ours == feasts


NAME = "profilestore.compute_engine.NativeDuckDBComputeEngine"


def test_any_other_store_is_late_safe_too(make_world, now):
    world = make_world(online="{type: sqlite, path: online.db}")
    world.write([("a", 1, now - 3 * DAY, now)])
    world.apply()
    world.increment(now - 2 * DAY)
    world.write([("a", 1, now - 3 * DAY, now), ("b", 2, now - 4 * DAY, now)])
    world.increment(now)
    assert world.read("a", "b") == [1, 2]
