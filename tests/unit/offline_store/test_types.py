from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from feast.value_type import ValueType

from profilestore.errors import InputError
from profilestore.offline_store.types import (
    UNTYPED,
    arrow_type,
    joinable,
    microseconds,
    portable,
    spine_key,
    value_type,
)


@pytest.mark.parametrize(
    ("duckdb_type", "feast_type"),
    [
        ("BIGINT", ValueType.INT64),
        ("SMALLINT", ValueType.INT32),
        ("UINTEGER", ValueType.INT64),
        ("HUGEINT", ValueType.DECIMAL),
        ("DOUBLE", ValueType.DOUBLE),
        ("FLOAT", ValueType.FLOAT),
        ("BOOLEAN", ValueType.BOOL),
        ("VARCHAR", ValueType.STRING),
        ("ENUM('a', 'b(c)')", ValueType.STRING),
        ("BLOB", ValueType.BYTES),
        ("DECIMAL(18,3)", ValueType.DECIMAL),
        ("DATE", ValueType.UNIX_TIMESTAMP),
        ("TIMESTAMP_NS", ValueType.UNIX_TIMESTAMP),
        ("TIMESTAMP WITH TIME ZONE", ValueType.UNIX_TIMESTAMP),
        ("UUID", ValueType.UUID),
        ("JSON", ValueType.JSON),
        ("FLOAT[]", ValueType.FLOAT_LIST),
        ("FLOAT[64]", ValueType.FLOAT_LIST),
        ("VARCHAR[]", ValueType.STRING_LIST),
        ("DECIMAL(10,2)[]", ValueType.DECIMAL_LIST),
        ("TIMESTAMP[]", ValueType.UNIX_TIMESTAMP_LIST),
        ("BIGINT[][]", ValueType.VALUE_LIST),
        ("STRUCT(a INTEGER)", ValueType.STRUCT),
        ("STRUCT(a INTEGER)[]", ValueType.STRUCT_LIST),
        ("MAP(VARCHAR, INTEGER)", ValueType.MAP),
        ("MAP(INTEGER, INTEGER)", ValueType.SCALAR_MAP),
    ],
)
def test_every_type_that_feast_has_a_place_for(duckdb_type, feast_type):
    assert value_type(duckdb_type) is feast_type


@pytest.mark.parametrize("duckdb_type", ["TIME", "INTERVAL", "BIT", "UNION(a INTEGER)", "TIME[]"])
def test_a_type_that_feast_lacks_says_so(duckdb_type):
    with pytest.raises(InputError, match="Cast it in the model"):
        value_type(duckdb_type)


def test_what_duckdb_describes_is_what_is_read():
    connection = duckdb.connect()
    for expression in ("1::HUGEINT", "[1]::BIGINT[1]", "'a'::ENUM('a')", "uuid()"):
        row = connection.execute(f"DESCRIBE SELECT {expression} AS x").fetchone()
        value_type(row[1])
        sent = connection.execute(f"SELECT {portable('x', row[1])} FROM (SELECT {expression} AS x)")
        arrow = sent.to_arrow_table().schema.field(0).type
        assert not pa.types.is_dictionary(arrow)
        assert not pa.types.is_fixed_size_list(arrow)


def test_lists_are_spelled_as_feast_spells_them():
    assert str(arrow_type(pa.list_(pa.field("l", pa.float32())))) == "list<item: float>"
    nested = pa.list_(pa.field("l", pa.list_(pa.field("l", pa.int64()))))
    assert str(arrow_type(nested)) == "list<item: list<item: int64>>"
    assert arrow_type(pa.decimal128(10, 2)) == pa.decimal128(10, 2)


def test_keys_of_one_kind_can_be_joined():
    assert joinable("BIGINT", "INTEGER")
    assert joinable("DOUBLE", "BIGINT")
    assert joinable("VARCHAR", "UUID")
    assert joinable(UNTYPED, "VARCHAR")
    assert not joinable("VARCHAR", "BIGINT")
    assert not joinable("BIGINT[]", "BIGINT")


@pytest.mark.parametrize(("value", "key"), [("7.0", 7), ("7.5", None), ("NULL", None)])
def test_a_float_finds_the_integer_it_is(value, key):
    expression = spine_key(f"{value}::DOUBLE", "DOUBLE", "BIGINT")
    assert duckdb.sql(f"SELECT {expression}").fetchone() == (key,)


@pytest.mark.parametrize(
    ("nanoseconds", "down", "up"),
    [(1_999, 1, 2), (2_000, 2, 2), (-1, -1, 0), (-1_000, -1, -1), (0, 0, 0)],
)
def test_nanoseconds_are_rounded_so_that_nothing_is_seen_early(nanoseconds, down, up):
    moment = f"make_timestamp_ns({nanoseconds}::BIGINT)"
    for round_up, expected in ((False, down), (True, up)):
        expression = microseconds(moment, "TIMESTAMP_NS", round_up=round_up)
        assert duckdb.sql(f"SELECT {expression}").fetchone() == (expected,)


def test_a_naive_time_is_utc_in_any_zone():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")
    for value, kind in (
        ("TIMESTAMP '1970-01-02'", "TIMESTAMP"),
        ("DATE '1970-01-02'", "DATE"),
        ("TIMESTAMPTZ '1970-01-02 02:00:00+02'", "TIMESTAMP WITH TIME ZONE"),
        ("TIMESTAMP_S '1970-01-02'", "TIMESTAMP_S"),
    ):
        found = connection.execute(f"SELECT {microseconds(value, kind)}").fetchone()
        assert found == (86_400_000_000,)
