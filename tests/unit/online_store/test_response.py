"""`get_online_features` answers what Feast's SQLite store answers, message for message."""

from __future__ import annotations

import asyncio
import random
import warnings
from datetime import UTC, datetime, timedelta

import orjson
import pandas as pd
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RequestSource,
)
from feast.feature_server_utils import convert_response_to_dict
from feast.on_demand_feature_view import on_demand_feature_view
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value
from feast.type_map import python_values_to_proto_values
from feast.types import (
    Array,
    Bool,
    Bytes,
    Decimal,
    Float32,
    Float64,
    Int32,
    Int64,
    Map,
    String,
    UnixTimestamp,
)
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.online_store import LMDBOnlineStore, response
from profilestore.online_store.reading import ViewRecords

START = datetime(2024, 1, 1, tzinfo=UTC)
USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.INT64)
SHOP = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT32)
HOUR = Entity(name="hour", join_keys=["hour"], value_type=ValueType.UNIX_TIMESTAMP)
ALL_TYPES = [
    Field(name="clicks", dtype=Int64),
    Field(name="rank", dtype=Int32),
    Field(name="score", dtype=Float32),
    Field(name="mean", dtype=Float64),
    Field(name="is_new", dtype=Bool),
    Field(name="seen_at", dtype=UnixTimestamp),
    Field(name="tag", dtype=String),
    Field(name="digest", dtype=Bytes),
    Field(name="vector", dtype=Array(Float32)),
    Field(name="counts", dtype=Array(Int64)),
    Field(name="tags", dtype=Array(String)),
    Field(name="price", dtype=Decimal),
    Field(name="facts", dtype=Map),
]
FEW = [Field(name="clicks", dtype=Int64), Field(name="share", dtype=Float64)]


def view(name, entities, features):
    return FeatureView(
        name=name,
        entities=entities,
        schema=[
            *features,
            *(Field(name=e.join_key, dtype=_TYPES[e.value_type]) for e in entities),
        ],
        source=FileSource(name=f"{name}_rows", path="none.parquet", timestamp_field="at"),
        ttl=timedelta(0),
    )


_TYPES = {
    ValueType.STRING: String,
    ValueType.INT64: Int64,
    ValueType.INT32: Int32,
    ValueType.UNIX_TIMESTAMP: UnixTimestamp,
}
USERS = view("users", [USER], ALL_TYPES)
ITEMS = view("items", [ITEM], FEW)
SHOPS = view("shops", [SHOP], FEW)
HOURS = view("hours", [HOUR], FEW)
PAIRS = view("pairs", [USER, ITEM], FEW)
SITE = view("site", [], FEW)
REQUEST = RequestSource(name="request", schema=[Field(name="price", dtype=Float64)])


@on_demand_feature_view(
    sources=[ITEMS, REQUEST], schema=[Field(name="worth", dtype=Float64)], mode="python"
)
def worth(inputs):
    return {
        "worth": [
            (share or 0.0) * price
            for share, price in zip(inputs["share"], inputs["price"], strict=True)
        ]
    }


def random_value(pick, field):
    if pick.random() < 0.15:
        return None
    edges = [-(2**31), 2**31 - 1, -1, 0, 127, 128]
    return {
        Int64: lambda: pick.choice([*edges, -(2**63), 2**63 - 1]),
        Int32: lambda: pick.choice(edges),
        Float32: lambda: pick.choice([0.5, -0.0, float("inf"), 1e-40]),
        Float64: lambda: pick.choice([0.1, -1e300, float("-inf")]),
        Bool: lambda: pick.random() < 0.5,
        UnixTimestamp: lambda: pick.choice([-1, 0, 2**33]),
        String: lambda: pick.choice(["", "a", "ünï" * 50]),
        Bytes: lambda: pick.choice([b"\x00", b"\xff" * 300]),
        Array(Float32): lambda: [pick.random()] * pick.choice([0, 3, 70]),
        Array(Int64): lambda: pick.sample([*edges, -(2**63)], 4),
        Array(String): lambda: ["a", "", "ü" * 200][: pick.choice([0, 3])],
        Decimal: lambda: "1.50",
        Map: lambda: {"a": 1, "b": [1.5]},
    }[field.dtype]()


def keys_of(of_view, n):
    """The n-th entity's keys, as a request has them."""
    made = {
        "user_id": f"user-{n}",
        "item_id": n - 50 if n % 2 else n * 10**16,
        "shop_id": n - 50,
        "hour": n * 3600 - 7200,
    }
    return {name: made[name] for name in of_view.join_keys if name in made}


def rows_of(of_view, count):
    pick = random.Random(of_view.name)
    for n in range(count):
        keys = keys_of(of_view, n) or {"__dummy_id": ""}
        kinds = {"user_id": "string", "item_id": "int64", "shop_id": "int32"}
        kinds |= {"hour": "unix_timestamp", "__dummy_id": "string"}
        key = EntityKey(
            join_keys=list(keys),
            entity_values=[Value(**{f"{kinds[k]}_val": v}) for k, v in keys.items()],
        )
        values = {
            field.name: python_values_to_proto_values(
                [random_value(pick, field)], field.dtype.to_value_type()
            )[0]
            for field in of_view.features
        }
        # Feast's SQLite store forgets what is less than a second.
        yield key, values, START + timedelta(hours=n), None


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The same data in ours and in Feast's SQLite store."""
    data = {
        one.name: list(rows_of(one, 100 if one.entities else 1))
        for one in (USERS, ITEMS, SHOPS, HOURS, PAIRS, SITE)
    }
    both = []
    for options in (
        "type: profilestore.online_store.LMDBOnlineStore, path: online",
        "type: sqlite, path: o.db",
    ):
        folder = tmp_path_factory.mktemp("repo")
        (folder / "feature_store.yaml").write_text(
            "project: unit\nprovider: local\nregistry: registry.db\n"
            f"entity_key_serialization_version: 3\nonline_store: {{{options}}}\n"
            "offline_store: {type: file}\n"
        )
        store = FeatureStore(repo_path=str(folder))
        # Feast cannot compare a service that has a view with an alias and without.
        me = USERS.with_name("me")
        friend = USERS.with_name("friend").with_join_key_map({"user_id": "friend_id"})
        with warnings.catch_warnings():
            # On-demand views are experimental, says Feast.
            warnings.simplefilter("ignore", RuntimeWarning)
            store.apply(
                [USER, ITEM, SHOP, HOUR, USERS, ITEMS, SHOPS, HOURS, PAIRS, SITE, REQUEST, worth]
            )
        store.apply(
            [
                FeatureService(name="few", features=[USERS[["tag", "clicks"]], PAIRS]),
                FeatureService(
                    name="friends", features=[me[["clicks"]], friend[["clicks", "tag"]]]
                ),
                FeatureService(name="worths", features=[worth]),
                FeatureService(name="everything", features=[USERS, ITEMS, PAIRS, SITE]),
            ]
        )
        provider = store._get_provider()
        for name, rows in data.items():
            provider.online_write_batch(store.config, store.get_feature_view(name), rows, None)
        both.append(store)
    assert isinstance(both[0]._get_provider().online_store, LMDBOnlineStore)
    return both


def ask(stores, features, rows, **options):
    """What both answer; and that it is the same, as JSON too."""
    answers = []
    for store in stores:
        wanted = features if isinstance(features, list) else store.get_feature_service(features)
        answers.append(store.get_online_features(features=wanted, entity_rows=rows, **options))
    document = None
    if "include_feature_view_version_metadata" not in options:
        document = as_json(stores[0], features, rows, **options)
    if document is not None:
        assert document == convert_response_to_dict(answers[1].proto)
    ours, theirs = answers
    assert ours.proto == theirs.proto
    assert ours.to_dict(include_event_timestamps=True) == theirs.to_dict(
        include_event_timestamps=True
    )
    return ours.proto


def as_json(store, features, rows, **options):
    """What ours sends without making messages; None where it leaves that to Feast."""
    columns = rows
    if isinstance(rows, list):
        columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    wanted = features if isinstance(features, list) else store.get_feature_service(features)
    online = store._get_provider().online_store
    plan = online.plan_read(wanted, store.registry, store.project, **options)
    body = None if plan is None else online.get_online_json(store.config, plan, columns)
    return None if body is None else orjson.loads(body)


def user_rows(count):
    """Known entities, unknown ones, and some of them twice."""
    pick = random.Random(count)
    rows = [{"user_id": f"user-{pick.randrange(150)}"} for _ in range(count)]
    return rows if count == 1 else [*rows[:-1], rows[0]]


EVERY = [f"users:{field.name}" for field in ALL_TYPES]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("count", [1, 2, 23, 24, 25, 100])
def test_every_type(stores, count, full):
    rows = user_rows(count)
    found = ask(stores, EVERY, rows, full_feature_names=full)
    assert as_json(stores[0], EVERY, rows, full_feature_names=full) is not None
    assert len(found.results) == 1 + len(EVERY)
    statuses = {status for one in found.results for status in one.statuses}
    assert statuses <= {FieldStatus.PRESENT, FieldStatus.NOT_FOUND}
    if count == 100:
        assert len(statuses) == 2


@pytest.mark.parametrize("count", [1, 30])
@pytest.mark.parametrize("of_view", [ITEMS, SHOPS, PAIRS, HOURS], ids=lambda one: one.name)
def test_every_kind_of_key(stores, of_view, count):
    rows = [keys_of(of_view, n) for n in range(count)]
    if of_view is HOURS:
        rows = [{"hour": datetime.fromtimestamp(row["hour"], UTC)} for row in rows]
    found = ask(stores, [f"{of_view.name}:share", f"{of_view.name}:clicks"], rows)
    assert set(found.results[-1].statuses) == {FieldStatus.PRESENT}


@pytest.mark.parametrize("count", [1, 40])
def test_views_of_several_keys_at_once(stores, count):
    rows = [{**keys_of(PAIRS, n), **keys_of(SHOPS, count - n)} for n in range(count)]
    wanted = [
        "pairs:clicks",
        "users:tag",
        "items:share",
        "shops:share",
        "pairs:share",
        "users:rank",
    ]
    ask(stores, wanted, rows, full_feature_names=True)
    # The order of the keys in the rows is the order of the answer's first columns.
    turned = [dict(reversed(row.items())) for row in rows]
    found = ask(stores, wanted, turned, full_feature_names=True)
    assert list(found.metadata.feature_names.val)[:3] == ["shop_id", "item_id", "user_id"]


def test_keys_as_columns(stores):
    rows = [keys_of(PAIRS, n) for n in range(30)]
    columns = {name: [row[name] for row in rows] for name in ("item_id", "user_id")}
    found = ask(stores, ["pairs:clicks", "users:tag"], columns)
    assert len(found.results[0].values) == 30
    as_messages = {
        "item_id": RepeatedValue(val=[Value(int64_val=v) for v in columns["item_id"]]),
        "user_id": RepeatedValue(val=[Value(string_val=v) for v in columns["user_id"]]),
    }
    for other in ({name: tuple(values) for name, values in columns.items()}, as_messages):
        again = ask(stores, ["pairs:clicks", "users:tag"], other)
        assert again == found


def test_an_integer_key_given_as_a_number_that_is_none(stores):
    for rows in ([{"item_id": True}], [{"item_id": 7.0}], [{"item_id": "7"}], [{"user_id": 7}]):
        name = "items:clicks" if "item_id" in rows[0] else "users:clicks"
        ask(stores, [name], rows)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("count", [1, 40])
def test_a_join_key_map_and_an_alias(stores, count, full):
    rows = [{"user_id": f"user-{n}", "friend_id": f"user-{n + 1}"} for n in range(count)]
    if full:
        found = ask(stores, "friends", rows, full_feature_names=True)
        names = list(found.metadata.feature_names.val)
        assert names[:3] == ["user_id", "friend_id", "me__clicks"]
        assert set(names[3:]) == {"friend__clicks", "friend__tag"}
        at = dict(zip(names, found.results, strict=True))
        assert list(at["friend__clicks"].values)[:-1] == list(at["me__clicks"].values)[1:]
    else:
        for store in stores:
            with pytest.raises(Exception, match="clicks"):
                store.get_online_features(
                    features=store.get_feature_service("friends"), entity_rows=rows
                )


@pytest.mark.parametrize("count", [1, 40])
def test_feature_services(stores, count):
    rows = [keys_of(PAIRS, n) for n in range(count)]
    ask(stores, "few", rows, full_feature_names=True)
    ask(stores, "everything", rows, full_feature_names=True)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("count", [2, 40])
def test_on_demand_views_with_request_data(stores, count, full):
    rows = [{**keys_of(ITEMS, n), "price": n + 1.0} for n in range(count)]
    found = ask(stores, ["worth:worth", "items:clicks"], rows, full_feature_names=full)
    if not full:
        # With the views' names before theirs, Feast leaves these out of its answer.
        at = list(found.metadata.feature_names.val).index("worth")
        assert any(value.double_val for value in found.results[at].values)
    ask(stores, "worths", rows, full_feature_names=full)


def test_views_without_entity(stores):
    rows = [{"user_id": f"user-{n}"} for n in range(30)]
    found = ask(stores, ["site:clicks", "users:clicks"], rows, full_feature_names=True)
    assert len({one.SerializeToString() for one in found.results[1].values}) == 1


@pytest.mark.parametrize(
    ("features", "rows"),
    [
        (["users:clicks"], []),
        (["users:clicks"], [{"item_id": 1}]),
        (["users:clicks"], [{"user_id": "a"}, {"item_id": 1}]),
        (["users:clicks"], {"user_id": ["a"], "item_id": [1, 2]}),
        (["users:unknown"], [{"user_id": "a"}]),
        (["none:clicks"], [{"user_id": "a"}]),
        (["users:clicks", "items:clicks"], [{"user_id": "a", "item_id": 1}]),
        (["items:clicks"], [{"item_id": 2**63}]),
        (["shops:clicks"], [{"shop_id": 2**31}]),
        (["users:clicks"], [{"user_id": "\ud800"}]),
    ],
)
def test_a_mistake_is_feasts_mistake(stores, features, rows):
    raised = []
    for store in stores:
        with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever Feast raises)
            store.get_online_features(features=features, entity_rows=rows)
        raised.append((type(caught.value), str(caught.value).replace("Sqlite", "LMDB")))
    assert raised[0] == raised[1]


def test_half_a_key_is_nobodys(stores):
    found = ask(stores, ["pairs:clicks"], [{"user_id": "user-1"}])
    assert set(found.results[1].statuses) == {FieldStatus.NOT_FOUND}


def test_a_key_that_no_view_needs_is_left_out(stores):
    for rows in ([{"user_id": "user-1", "colour": "red"}], [{"user_id": "user-1", "item_id": 3}]):
        ask(stores, ["users:clicks"], rows)


def test_asynchronous_reads_are_the_same(stores):
    store = stores[0]
    rows = user_rows(30)
    found = asyncio.run(store.get_online_features_async(features=EVERY, entity_rows=rows))
    assert found.proto == ask(stores, EVERY, rows)


def test_versions_of_views_are_named(stores):
    ask(
        stores,
        ["users:clicks", "items:share"],
        [keys_of(PAIRS, 1)],
        include_feature_view_version_metadata=True,
    )


def test_as_a_frame(stores):
    frames = [
        store.get_online_features(EVERY, user_rows(40)).to_df(include_event_timestamps=True)
        for store in stores
    ]
    pd.testing.assert_frame_equal(*frames)


# The bytes themselves, for any values.

KINDS = {
    "BOOL": st.booleans(),
    "INT32": st.integers(-(2**31), 2**31 - 1),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "UNIX_TIMESTAMP": st.integers(-(2**63), 2**63 - 1),
    "FLOAT": st.floats(width=32, allow_nan=False),
    "DOUBLE": st.floats(allow_nan=False),
    "STRING": st.text(max_size=150),
    "BYTES": st.binary(max_size=150),
    "INT64_LIST": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40),
    "STRING_LIST": st.lists(st.text(max_size=9), max_size=20),
}
DTYPES = {
    "BOOL": Bool,
    "INT32": Int32,
    "INT64": Int64,
    "UNIX_TIMESTAMP": UnixTimestamp,
    "FLOAT": Float32,
    "DOUBLE": Float64,
    "STRING": String,
    "BYTES": Bytes,
    "INT64_LIST": Array(Int64),
    "STRING_LIST": Array(String),
}
# Any time that a datetime can have.
MICROS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(data=st.data())
def test_a_column_of_any_values(kind, data):
    """With and without nulls, below and above the number of rows where the way changes."""
    count = data.draw(st.sampled_from([1, 3, response.MANY - 1, response.MANY, 40]))
    some = data.draw(st.lists(KINDS[kind], min_size=1, max_size=4))
    gaps = data.draw(st.booleans())
    states = ["fresh", "stale", "missing"] if gaps else ["fresh"]
    columns, events, given_states = [], [], []
    times = data.draw(st.lists(MICROS, min_size=1, max_size=4))
    for n in range(count):
        state = states[n % len(states)]
        given_states.append(state)
        events.append(None if state == "missing" else times[n % len(times)])
        columns.append(some[n % len(some)] if state == "fresh" else None)
    of_view = view("v", [USER], [Field(name="f", dtype=DTYPES[kind])])
    message = response.begin({"user_id": ("STRING", ["ü"] * count)})
    records = ViewRecords(given_states, [("f", "")], events, [None] * count, [columns])
    response.add(message, of_view, ["f"], records, True)

    expected = GetOnlineFeaturesResponse()
    expected.metadata.feature_names.val.extend(["user_id", "v__f"])
    keys, values = expected.results.add(), expected.results.add()
    for state, event, value in zip(given_states, events, columns, strict=True):
        keys.values.append(Value(string_val="ü"))
        keys.statuses.append(FieldStatus.PRESENT)
        keys.event_timestamps.append(Timestamp())
        values.values.append(response.to_proto(kind, value))
        values.statuses.append(
            {
                "fresh": FieldStatus.PRESENT,
                "stale": FieldStatus.OUTSIDE_MAX_AGE,
                "missing": FieldStatus.NOT_FOUND,
            }[state]
        )
        time = Timestamp()
        if event is not None:
            time.FromMicroseconds(event)
        values.event_timestamps.append(time)
    assert message == expected
