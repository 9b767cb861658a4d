"""What a view declares, against what its source holds."""

from __future__ import annotations

from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from feast import (
    BatchFeatureView,
    Entity,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
)
from feast import types as feast
from feast.types import from_value_type
from feast.value_type import ValueType
from hypothesis import given
from hypothesis import strategies as st

from profilestore.errors import InputError, MissingStageError
from profilestore.lake import connect
from profilestore.offline_store import DuckDBSource, check_view
from profilestore.offline_store.contract import fits, same_family
from profilestore.offline_store.types import value_type

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
SCALARS = (*INTEGERS, "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL(10,2)", "BOOLEAN")
# How Feast's numeric types hold a number, as DuckDB types.
HOLDERS = {
    feast.Int32: "INTEGER",
    feast.Int64: "BIGINT",
    feast.Float32: "FLOAT",
    feast.Float64: "DOUBLE",
}
EDGES = {
    "TINYINT": [-128, 127],
    "SMALLINT": [-32768, 32767],
    "INTEGER": [-(2**31), 2**31 - 1, 2**24 + 1],
    "BIGINT": [-(2**63), 2**63 - 1, 2**53 + 1],
    "UTINYINT": [255],
    "USMALLINT": [65535],
    "UINTEGER": [2**32 - 1],
    "UBIGINT": [2**64 - 1],
    "HUGEINT": [2**100 + 1],
    "FLOAT": ["0.1", "3.4e38"],
    "DOUBLE": ["0.1", "1.7e308", "0.5"],
    "DECIMAL(10,2)": ["0.10", "12345678.90"],
}


@pytest.mark.parametrize("declared", HOLDERS, ids=str)
@pytest.mark.parametrize("held", EDGES)
def test_numbers_fit_exactly_where_the_edges_come_back(held, declared):
    """The rule, against DuckDB itself: cast there and back."""
    with connect() as connection:
        survives = all(
            connection.execute(
                f"SELECT coalesce(TRY_CAST(TRY_CAST(v AS {HOLDERS[declared]}) AS {held}) = v, "
                f"false) FROM (SELECT CAST({edge} AS {held}) AS v)"
            ).fetchone()[0]
            for edge in EDGES[held]
        )
    # Decimals come back from a DOUBLE by rounding; their sums do not. Feast's floats never hold
    # them, nor its integers whole decimals.
    if held.startswith("DECIMAL"):
        survives = False
    assert fits(held, declared) == survives


@pytest.mark.parametrize(
    ("held", "declared", "expected"),
    [
        ("DECIMAL(10,2)", feast.Decimal, True),
        ("HUGEINT", feast.Decimal, True),
        ("DOUBLE", feast.Decimal, False),
        ("BOOLEAN", feast.Bool, True),
        ("BOOLEAN", feast.Int64, False),
        ("BIGINT", feast.Bool, False),
        ("VARCHAR", feast.String, True),
        ("ENUM('a', 'b')", feast.String, True),
        ("UUID", feast.String, True),
        ("UUID", feast.Uuid, True),
        ("JSON", feast.Json, True),
        ("VARCHAR", feast.Bytes, False),
        ("BLOB", feast.Bytes, True),
        ("BLOB", feast.String, False),
        ("BIGINT", feast.String, False),
        ("VARCHAR", feast.Int64, False),
        ("VARCHAR", feast.UnixTimestamp, False),
        ("BIGINT", feast.UnixTimestamp, False),
        ("DATE", feast.UnixTimestamp, True),
        ("TIMESTAMP", feast.UnixTimestamp, True),
        ("TIMESTAMP WITH TIME ZONE", feast.UnixTimestamp, True),
        ("TIMESTAMP", feast.Int64, False),
        ("TIME", feast.UnixTimestamp, False),
        ("INTEGER[]", feast.Array(feast.Int64), True),
        ("FLOAT[3]", feast.Array(feast.Float32), True),
        ("DOUBLE[]", feast.Array(feast.Float32), False),
        ("VARCHAR[]", feast.Set(feast.String), True),
        ("VARCHAR", feast.Array(feast.String), False),
        ("VARCHAR[]", feast.String, False),
        ("BIGINT[][]", feast.Array(feast.Array(feast.Int64)), True),
        ("BIGINT[][]", feast.Array(feast.Array(feast.Int32)), False),
        ("BIGINT[]", feast.Array(feast.Array(feast.Int64)), False),
        (
            'STRUCT(a INTEGER, "b c" VARCHAR)',
            feast.Struct({"a": feast.Int64, "b c": feast.String}),
            True,
        ),
        ("STRUCT(a BIGINT)", feast.Struct({"a": feast.Int32}), False),
        ("STRUCT(a BIGINT, b BIGINT)", feast.Struct({"a": feast.Int64}), False),
        ("BIGINT", feast.Struct({"a": feast.Int64}), False),
        ("STRUCT(a BIGINT)[]", feast.Array(feast.Struct({"a": feast.Int64})), True),
        ("MAP(VARCHAR, BIGINT)", feast.Map, True),
        ("MAP(BIGINT, BIGINT)", feast.Map, False),
        ("MAP(BIGINT, BIGINT)", feast.ScalarMap, True),
        ('"NULL"', feast.Int64, True),
    ],
    ids=str,
)
def test_what_fits(held, declared, expected):
    assert fits(held, declared) == expected


@given(
    st.recursive(
        st.sampled_from(["BIGINT", "FLOAT", "VARCHAR", "DECIMAL(9,3)", "BOOLEAN", "BLOB", "DATE"]),
        lambda inner: inner.map(lambda t: f"{t}[]") | inner.map(lambda t: f"STRUCT(a {t})"),
        max_leaves=4,
    )
)
def test_what_is_inferred_fits(held):
    assert fits(held, from_value_type(value_type(held)))


@pytest.fixture
def user():
    return Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)


def view_of(user, source, *fields, **options):
    return FeatureView(
        name="profile",
        entities=[user],
        source=source,
        schema=[Field(name="user_id", dtype=feast.Int64), *fields],
        **options,
    )


ACTIVITY = DuckDBSource(
    table="user_activity", timestamp_field="event_timestamp", created_timestamp_column="loaded_at"
)
CLICKS = Field(name="clicks", dtype=feast.Int64)


def test_a_view_that_fits(repo, user):
    check_view(view_of(user, ACTIVITY, CLICKS), repo.config)
    check_view(view_of(user, PushSource(name="pushed", batch_source=ACTIVITY), CLICKS), repo.config)


def test_all_that_is_wrong_in_one_message(repo, user):
    view = view_of(
        user,
        ACTIVITY,
        Field(name="clicks", dtype=feast.Int32),
        Field(name="amount", dtype=feast.Float64),
        Field(name="vector", dtype=feast.Array(feast.Float32)),
        Field(name="orders", dtype=feast.Int64),
    )
    with pytest.raises(InputError) as caught:
        check_view(view, repo.config)
    lines = str(caught.value).splitlines()
    assert "feature view 'profile'" in lines[0]
    assert "source 'user_activity'" in lines[0]
    assert lines[1:-1] == [
        "- column 'clicks' (feature): found BIGINT, wanted Int32 (it fits Int64)",
        "- column 'amount' (feature): found DECIMAL(10,2), wanted Float64 (it fits Decimal)",
        "- column 'orders' (feature): found no such column, wanted Int64; there are: user_id, "
        "event_timestamp, loaded_at, clicks, vector, amount",
    ]
    assert lines[-1].startswith("Correct the model, or the declaration")


def test_keys_and_times_are_checked_too(repo, user):
    source = DuckDBSource(
        name="q",
        query="SELECT 'a' AS user_id, 'b' AS at, 1::UBIGINT AS clicks",
        timestamp_field="at",
    )
    with pytest.raises(InputError) as caught:
        check_view(view_of(user, source, CLICKS), repo.config)
    message = str(caught.value)
    assert "column 'at' (the event time) is VARCHAR; a time is wanted" in message
    assert "column 'user_id' (key): found VARCHAR, wanted Int64 (it fits String)" in message
    assert "found UBIGINT, wanted Int64 (no Feast type holds all of it" in message


def test_mapped_columns_go_by_their_own_names(repo, user):
    def mapped(dtype):
        source = DuckDBSource(
            table="user_activity",
            timestamp_field="event_timestamp",
            field_mapping={"amount": "spent"},
        )
        return view_of(user, source, Field(name="spent", dtype=dtype))

    check_view(mapped(feast.Decimal), repo.config)
    with pytest.raises(InputError, match=r"column 'amount' \(feature 'spent'\): found DECIMAL"):
        check_view(mapped(feast.String), repo.config)


def test_files_and_what_is_not_there(repo, user):
    with pytest.raises(MissingStageError, match="feature view 'profile': source 'none'"):
        check_view(
            view_of(user, DuckDBSource(table="none", timestamp_field="t"), CLICKS), repo.config
        )
    with connect() as connection:
        table = connection.execute(
            "SELECT 1 AS user_id, now() AS at, 2::BIGINT AS clicks"
        ).to_arrow_table()
    pq.write_table(table, repo.repo_path / "a.parquet")
    source = FileSource(name="f", path="a.parquet", timestamp_field="at")
    check_view(view_of(user, source, CLICKS), repo.config)
    with pytest.raises(InputError, match="found BIGINT, wanted Float64"):
        check_view(view_of(user, source, Field(name="clicks", dtype=feast.Float64)), repo.config)


def test_an_applied_view_is_checked_as_it_was_written(applied):
    store = FeatureStore(repo_path=str(applied.repo_path))
    for view in store.list_feature_views():
        check_view(view, store.config)
    inferred = FeatureView(name="inferred", entities=[store.get_entity("user")], source=ACTIVITY)
    store.apply([inferred])
    check_view(store.get_feature_view("inferred"), store.config)


@pytest.mark.filterwarnings("ignore:Batch feature views are experimental:RuntimeWarning")
def test_a_view_that_computes_its_features(repo, user):
    view = BatchFeatureView(
        name="computed",
        entities=[user],
        ttl=timedelta(days=1),
        mode="python",
        udf=lambda rows: rows,
        source=ACTIVITY,
        schema=[Field(name="computed", dtype=feast.Int64)],
    )
    check_view(view, repo.config)


@pytest.mark.parametrize(
    ("held", "declared", "expected"),
    [
        ("BIGINT", feast.Float32, True),
        ("DOUBLE", feast.Int32, True),
        ("VARCHAR", feast.Int64, False),
        ("BIGINT", feast.String, False),
        ("BIGINT", feast.UnixTimestamp, True),
        ("VARCHAR", feast.UnixTimestamp, False),
        ("TIMESTAMP", feast.Int64, False),
        ("BOOLEAN", feast.Int64, True),
        ("BIGINT[]", feast.Int64, False),
        ("BIGINT", feast.Array(feast.Int64), False),
        ("VARCHAR", feast.Json, True),
        ("STRUCT(a INTEGER)", feast.Map, True),
        ('"NULL"', feast.String, True),
        ("INTERVAL", feast.String, True),
    ],
    ids=str,
)
def test_what_is_of_one_family(held, declared, expected):
    assert same_family(held, declared) == expected
