"""Redis holds what Feast's own engine would have written, read by Feast's own store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
import redis
from feast import Field
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
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
from google.protobuf.timestamp_pb2 import Timestamp

from profilestore.compute_engine import redis_hashes
from profilestore.compute_engine.targets import _Any, _Redis, target_for
from profilestore.errors import ProfilestoreError

OURS = "profilestore.compute_engine.NativeDuckDBComputeEngine"
DAY = timedelta(days=1)
ALL = [
    ("clicks", Int64, pa.array([1, None, -5])),
    ("rank", Int32, pa.array([1, None, -5], pa.int32())),
    ("score", Float32, pa.array([0.1, None, float("nan")], pa.float32())),
    ("mean", Float64, pa.array([0.1, None, float("inf")])),
    ("is_new", Bool, pa.array([True, None, False])),
    ("tag", String, pa.array(["", None, "ü\r\n$3"])),
    ("digest", Bytes, pa.array([b"\x00", None, b"\r\n" * 300])),
    ("seen_at", UnixTimestamp, pa.array([datetime(2024, 1, 1), None, datetime(1969, 1, 1)])),
    ("vector", Array(Float32), pa.array([[0.5, 1.5], None, []], pa.list_(pa.float32()))),
    ("counts", Array(Int64), pa.array([[1, -1], None, [7]])),
    ("tags", Array(String), pa.array([["a", ""], None, ["ü"]])),
    ("price", FeastDecimal, pa.array([Decimal("1.50"), None, Decimal("0.00")])),
]


@pytest.fixture
def client(redis_server):
    host, port = redis_server.split(":")
    with redis.Redis(host=host, port=int(port)) as connected:
        connected.flushall()
        yield connected


@pytest.fixture
def make(make_world, redis_server, client):
    """A repo on that server."""

    def make(engine=OURS, more="", **options):
        return make_world(
            online=f'{{type: redis, connection_string: "{redis_server}"{more}}}',
            engine=engine,
            **options,
        )

    return make


def contents(client):
    """Every field of every hash, parsed."""
    found = {}
    for key in client.scan_iter(b"*"):
        for name, message in client.hgetall(key).items():
            if name.startswith(b"_ts:"):
                found[key, name] = Timestamp.FromString(message)
                continue
            value = Value.FromString(message)
            # A time that is null is the earliest of all to Feast's engine.
            if value.unix_timestamp_val == NULL_TIMESTAMP_INT_VALUE:
                value = Value()
            found[key, name] = value.SerializeToString()
    return found


def all_types(now):
    table = {name: values for name, _, values in ALL}
    table["user_id"] = pa.array(["a", "ü" * 400, "c\r\n"])
    times = [now - DAY, now - DAY, now]
    table["at"] = pa.array(times, pa.timestamp("us", "UTC"))
    table["learned_at"] = pa.array(times, pa.timestamp("us", "UTC"))
    return pa.table(table)


def test_hash_by_hash_as_feasts_engine_writes_them(make, client, now):
    written = []
    for engine in (OURS, "local"):
        client.flushall()
        world = make(engine, columns=[(name, dtype) for name, dtype, _ in ALL])
        world.write(all_types(now))
        world.apply()
        assert isinstance(world.store._get_provider().online_store, RedisOnlineStore)
        world.materialise(now - 5 * DAY, now)
        written.append(contents(client))
        read = world.store.get_online_features(
            [f"activity:{name}" for name, _, _ in ALL],
            [{"user_id": user} for user in ("a", "ü" * 400, "c\r\n", "nobody")],
        )
        written.append(read.to_dict(include_event_timestamps=True))
    ours, ours_read, feasts, feasts_read = written
    assert len(ours) == 3 * (len(ALL) + 1)
    assert ours == feasts
    assert str(ours_read) == str(feasts_read)
    assert ours_read["clicks"] == [1, None, -5, None]


def test_times_to_the_microsecond(make, client):
    world = make()
    at = datetime(1969, 12, 31, 23, 59, 58, 999_999, tzinfo=UTC)
    world.write([("a", 1, at, at)])
    world.apply()
    world.materialise(at - DAY, at + DAY)
    (stamp,) = [v for (_, name), v in contents(client).items() if name == b"_ts:activity"]
    assert stamp.ToMicroseconds() == -1_000_001


@pytest.mark.parametrize("pipeline", [2, 10_000])
def test_newer_records_are_kept_and_equal_ones_overwritten(make, now, monkeypatch, pipeline):
    monkeypatch.setattr(redis_hashes, "_PIPELINE", pipeline)
    world = make()
    users = ["older", "equal", "newer", "x", "y"]
    world.write([(user, 1, now - 2 * DAY, now) for user in users])
    world.apply()
    world.increment(now - DAY)
    world.push("older", 2, now - 2 * DAY + timedelta(microseconds=1))
    world.push("newer", 2, now)
    assert world.read(*users) == [2, 1, 2, 1, 1]
    world.write([(user, 3, now - 2 * DAY, now) for user in users] + [("older", 4, now - DAY, now)])
    world.increment(now)
    assert world.read(*users) == [4, 3, 2, 3, 3]


def test_late_rows_corrections_and_new_columns(make, now):
    world = make()
    world.write([("a", 1, now - 3 * DAY, now), ("c", 1, now - 3 * DAY, now)])
    world.apply()
    world.increment(now - 2 * DAY)
    world.write(
        [
            ("a", 2, now - 3 * DAY, now, 0.5),
            ("b", 3, now - 4 * DAY, now, 1.5),
            ("c", 1, now - 3 * DAY, now, 2.5),
        ]
    )
    world.apply(world.view(columns=[("clicks", Int64), ("more", Float64)]))
    world.increment(now)
    assert world.read("a", "b", "c") == [2, 3, 1]
    assert world.read("a", "b", "c", feature="more") == [0.5, 1.5, 2.5]


def test_without_asking_what_is_there(make, now):
    world = make(more=", skip_dedup: true")
    world.write([("a", 1, now - 2 * DAY, now)])
    world.apply()
    world.push("a", 2, now)
    world.increment(now)
    assert world.read("a") == [1]


@pytest.mark.parametrize("pipeline", [1, 10_000])
def test_time_to_live(make, client, now, monkeypatch, pipeline):
    monkeypatch.setattr(redis_hashes, "_PIPELINE", pipeline)
    world = make(more=", key_ttl_seconds: 1000")
    world.write([("a", 1, now, now), ("b", 2, now, now)])
    world.apply()
    world.materialise(now - DAY, now)
    keys = list(client.scan_iter(b"*"))
    assert len(keys) == 2
    assert all(990 <= client.ttl(key) <= 1000 for key in keys)
    assert world.read("a", "b") == [1, 2]
    # And without, for ever.
    client.flushall()
    world = make()
    world.write([("a", 1, now, now)])
    world.apply()
    world.materialise(now - DAY, now)
    assert [client.ttl(key) for key in client.scan_iter(b"*")] == [-1]


def test_views_of_one_entity_share_its_hash(make, client, now):
    world = make()
    for name, clicks in (("activity", 1), ("second", 2)):
        world.write([("a", clicks, now, now)], name)
    world.apply(world.view(), world.view("second"))
    world.materialise(now - DAY, now)
    assert len(list(client.scan_iter(b"*"))) == 1
    assert world.read("a") + world.read("a", view="second") == [1, 2]


def test_no_rows(make, client, now):
    world = make()
    world.write([])
    world.apply()
    world.increment(now)
    assert contents(client) == {}


def test_a_server_that_does_not_answer(make_world, now, monkeypatch):
    # The client tries again and again, with pauses.
    monkeypatch.setattr("redis.retry.sleep", lambda _: None)
    world = make_world(online='{type: redis, connection_string: "127.0.0.1:1,db=0"}')
    world.write([("a", 1, now, now)])
    world.apply()
    with pytest.raises(ProfilestoreError, match=r"Redis at 127\.0\.0\.1:1: .*run it again"):
        world.materialise(now - DAY, now)


def test_a_server_that_refuses(make, client, now):
    world = make()
    world.write([(f"u{n}", n, now, now) for n in range(5)])
    world.apply()
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(ProfilestoreError, match=r"Redis at .*maxmemory'\. .*run it again"):
            world.materialise(now - DAY, now)
    finally:
        client.config_set("maxmemory", 0)
    # The connection is not left in the middle of the answers.
    world.materialise(now - DAY, now)
    assert world.read("u0", "u4") == [0, 4]


def test_a_key_of_another_kind(make, client, now):
    world = make()
    world.write([("a", 1, now, now)])
    world.apply()
    key = world.store._get_provider().online_store._generate_redis_keys_for_entities(
        world.store.config,
        [EntityKey(join_keys=["user_id"], entity_values=[Value(string_val="a")])],
    )[0]
    client.set(key, "mine")
    with pytest.raises(ProfilestoreError, match="WRONGTYPE"):
        world.materialise(now - DAY, now)


def test_versions_of_views_are_apart(make, client, now):
    """With versions Feast's store reads a view's fields under a name of their own."""
    world = make()
    registry = world.repo / "feature_store.yaml"
    registry.write_text(
        registry.read_text().replace(
            "registry: registry.db\n",
            "registry: {path: registry.db, enable_online_feature_view_versioning: true}\n",
        )
    )
    world.store = type(world.store)(repo_path=str(world.repo))
    world.write([("a", 1, now - DAY, now, 0.5)])
    world.apply()
    world.apply(world.view(columns=[("clicks", Int64), Field(name="more", dtype=Float64)]))
    world.materialise(now - 2 * DAY, now)
    assert world.read("a") == [1]
    assert world.read("a", feature="more") == [0.5]


def test_a_cluster_is_written_through_feasts_own_interface(make, redis_server):
    """Its hashes are on many servers: one connection does not reach them."""
    world = make()
    provider = world.store._get_provider()
    with target_for(provider.online_store, world.store.config) as target:
        assert isinstance(target, _Redis)
    cluster = make(more=", redis_type: redis_cluster")
    store = cluster.store._get_provider().online_store
    with target_for(store, cluster.store.config) as target:
        assert isinstance(target, _Any)
