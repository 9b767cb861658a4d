"""Arrow columns become what Feast makes of their values, a row at a time."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.errors import InputError
from profilestore.online_store.columns import declared, microseconds, records
from profilestore.online_store.record import FIXED, FIXED_LISTS, NEVER, TEXT_LISTS, Schema, Stamp
from profilestore.online_store.response import to_proto

BEFORE_1970 = dt.datetime(1969, 12, 31, 23, 59, 58, 250_000)
AFTER_1970 = dt.datetime(2024, 2, 29, 12, 30, 1, 999_999)
TIMES = [BEFORE_1970, None, AFTER_1970, dt.datetime(1970, 1, 1)]
ARROW = {
    "BOOL": pa.bool_(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "UNIX_TIMESTAMP": pa.int64(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
}
INTEGERS = st.integers(-(2**31), 2**31 - 1)
ELEMENTS = {
    "BOOL": st.booleans(),
    "INT32": INTEGERS,
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FLOAT": st.floats(width=32),
    "DOUBLE": st.floats(),
    "UNIX_TIMESTAMP": st.integers(-(2**63), 2**63 - 1),
    "STRING": st.text(max_size=8),
    "BYTES": st.binary(max_size=8),
}


def columns_of(kind):
    """Strategy: values of a Feast type, and their Arrow type."""
    if kind in ELEMENTS:
        return ELEMENTS[kind], ARROW[kind]
    if kind.endswith("_LIST"):
        element = kind.removesuffix("_LIST")
        return st.lists(ELEMENTS[element], max_size=4), pa.list_(ARROW[element])
    return st.binary(min_size=1, max_size=8), pa.binary()


@st.composite
def tables(draw):
    """A schema, and a column of values for each of its features."""
    kinds = draw(
        st.lists(
            st.sampled_from([*FIXED, *FIXED_LISTS, "STRING", "BYTES", *sorted(TEXT_LISTS), "MAP"]),
            min_size=1,
            max_size=12,
        )
    )
    rows = draw(st.integers(1, 5))
    columns = {}
    for n, kind in enumerate(kinds):
        values, arrow = columns_of(kind)
        drawn = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        column = pa.array(drawn, arrow)
        if kind != "MAP":
            # As a slice of something longer, whose nulls may stand on values.
            longer = pa.concat_arrays([column, column, column])
            column = declared(longer[rows : 2 * rows], ValueType[kind], "view")
        columns[f"f{n}"] = column
    return Schema(tuple((f"f{n}", kind) for n, kind in enumerate(kinds))), columns, rows


@settings(deadline=None)
@given(tables(), st.lists(st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2), min_size=5))
def test_records_are_what_is_packed_a_row_at_a_time(table, times):
    schema, columns, rows = table
    event = np.array([first for first, _ in times[:rows]], np.int64)
    created = np.array([second for _, second in times[:rows]], np.int64)
    found = records(schema, 3, columns, event=event, created=created, written=5, run=9)
    values = zip(*(columns[name].to_pylist() for name in schema.names), strict=True)
    assert found.to_pylist() == [
        schema.pack(Stamp(int(e), int(c), 5), 9, 3, row)
        for e, c, row in zip(event, created, values, strict=True)
    ]


def test_records_without_created_times_were_never_learned():
    schema = Schema((("a", "INT64"),))
    found = records(
        schema,
        0,
        {"a": pa.array([1])},
        event=np.array([7]),
        created=None,
        written=5,
        run=1,
    )
    assert found.to_pylist() == [schema.pack(Stamp(7, NEVER, 5), 1, 0, [1])]


def of_ours(column, kind):
    return [
        to_proto(kind, value)
        for value in declared(column, ValueType[kind], "feature view 'v': feature 'f'").to_pylist()
    ]


def of_feast(column, kind):
    if kind == "BYTES":
        # Feast makes nulls of a column that has no byte at all.
        return python_values_to_proto_values([*column.to_pylist(), b"."], ValueType[kind])[:-1]
    return python_values_to_proto_values(column.to_pylist(), ValueType[kind])


def in_bytes(messages):
    """NaN is NaN in them; a map is in the order of its keys."""
    return [message.SerializeToString(deterministic=True) for message in messages]


def same(column, kind):
    ours, feasts = of_ours(column, kind), of_feast(column, kind)
    assert in_bytes(ours) == in_bytes(feasts), column.type


def decimal(*values, precision=18, scale=2):
    return pa.array(
        [v if v is None else Decimal(v) for v in values], pa.decimal128(precision, scale)
    )


AGREE = [
    ("INT64", pa.array([1, None, -128], pa.int8())),
    ("INT64", pa.array([1, None, 2**32 - 1], pa.uint32())),
    ("INT32", pa.array([1, None, -(2**15)], pa.int16())),
    ("INT32", pa.array([1, None, 2**31 - 1], pa.int64())),
    ("INT64", pa.array([1, None, 2**63 - 1], pa.uint64())),
    ("INT64", pa.array([True, None, False])),
    ("INT64", pa.array([1.0, None, -2.0])),
    ("INT64", decimal("12", None, "-3")),
    ("INT64", decimal("12", None, "-3", precision=38, scale=0)),
    ("DOUBLE", pa.array([1, None, 2], pa.int32())),
    ("DOUBLE", pa.array([0.5, None, -0.25], pa.float32())),
    ("DOUBLE", decimal("1.50", None, "-0.01")),
    ("DOUBLE", decimal("123456789012345678901234567.89", "0.1", precision=38)),
    ("DOUBLE", pa.array([float("nan"), None, 1.5])),
    ("DOUBLE", pa.array([float("inf"), float("-inf"), -0.0])),
    ("FLOAT", pa.array([float("nan"), None, 1.5], pa.float32())),
    ("FLOAT", pa.array([0.1, None, 1e-40])),
    ("FLOAT", pa.array([1, None, 3], pa.int16())),
    ("FLOAT", decimal("1.50", None, "0.10")),
    ("BOOL", pa.array([True, None, False])),
    ("STRING", pa.array(["a", None, "ü", ""])),
    ("STRING", pa.array(["a", None, "ü"], pa.large_string())),
    ("STRING", pa.array(["a", None, "ü"], pa.string_view())),
    ("STRING", pa.array(["a", None, "b", "a"]).dictionary_encode()),
    ("BYTES", pa.array([b"\x00\xff", None, b""])),
    ("BYTES", pa.array([b"\x00\xff", None, b""], pa.large_binary())),
    ("BYTES", pa.array([b"ab", None, b"cd"], pa.binary(2))),
    ("INT64", pa.array([7, None, 7]).dictionary_encode()),
    *[
        ("UNIX_TIMESTAMP", pa.array(TIMES).cast(pa.timestamp(unit, zone), safe=False))
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Zurich")
    ],
    ("UNIX_TIMESTAMP", pa.array([2**40, None, -5])),
    ("BOOL_LIST", pa.array([[True, False], None, []])),
    ("INT32_LIST", pa.array([[1, -2], None, []], pa.list_(pa.int64()))),
    ("INT64_LIST", pa.array([[1, -2], None, []], pa.list_(pa.int32()))),
    ("INT64_LIST", pa.array([[1, -2], None, []], pa.large_list(pa.int64()))),
    ("FLOAT_LIST", pa.array([[0.5, 1.5], None, [2.5, 3.5]], pa.list_(pa.float32(), 2))),
    ("FLOAT_LIST", pa.array([[0.1, float("nan")], None, []])),
    ("DOUBLE_LIST", pa.array([[0.1, float("nan")], None, []])),
    ("STRING_LIST", pa.array([["a", "ü", ""], None, []])),
    ("STRING_LIST", pa.array([["a", "ü", ""], None, []], pa.list_(pa.large_string()))),
    ("BYTES_LIST", pa.array([[b"a", b"\xff", b""], None, []])),
    ("UNIX_TIMESTAMP_LIST", pa.array([[BEFORE_1970, AFTER_1970], None, []])),
    ("UNIX_TIMESTAMP_LIST", pa.array([[AFTER_1970], None], pa.list_(pa.timestamp("ms", "UTC")))),
    ("UNIX_TIMESTAMP_LIST", pa.array([[AFTER_1970, None], None])),
    # Through Feast's own conversion.
    ("DECIMAL", decimal("1.50", None, "-0.01")),
    ("DECIMAL", pa.array(["1.50", None])),
    ("DECIMAL_LIST", pa.array([[Decimal("1.50")], None])),
    ("UUID", pa.array([str(uuid.UUID(int=1)), None])),
    ("JSON", pa.array(['{"a": 1}', None])),
    ("MAP", pa.array([{"a": 1}, None])),
    ("STRUCT", pa.array([{"a": 1, "b": [1.5]}, None])),
    ("INT64_SET", pa.array([[1, 2, 2], None])),
    ("STRING_SET", pa.array([["a"], None])),
    ("VALUE_LIST", pa.array([[[1, 2], [3]], None])),
    ("ZONED_TIMESTAMP", pa.array([AFTER_1970, None], pa.timestamp("us", "UTC"))),
    ("PDF_BYTES", pa.array([b"%PDF", None])),
]


@pytest.mark.parametrize(("kind", "column"), AGREE, ids=lambda one: str(getattr(one, "type", one)))
def test_a_column_becomes_what_feast_makes_of_it(kind, column):
    same(column, kind)
    same(column[1:], kind)
    same(column[len(column) :], kind)
    same(pa.chunked_array([column[:1], column[1:], column[:0]]), kind)
    same(pa.concat_arrays([column, column])[1 : 1 + len(column)], kind)


@pytest.mark.parametrize(
    "kind", [one.name for one in ValueType if one.value and one.name != "NULL"]
)
def test_a_column_of_nothing_is_null(kind):
    for column in (pa.nulls(3), pa.nulls(0)):
        found = declared(column, ValueType[kind], "view")
        assert found.to_pylist() == [None] * len(column)


@pytest.mark.parametrize("kind", ["INT64", "DOUBLE"])
@settings(deadline=None)
@given(st.lists(st.none() | st.integers(-(10**17), 10**17), min_size=1))
def test_decimals_become_the_nearest_number(kind, digits):
    scale = 0 if kind == "INT64" else 5
    values = [None if d is None else Decimal(d).scaleb(-scale) for d in digits]
    same(pa.array(values, pa.decimal128(18, scale)), kind)


@settings(deadline=None)
@given(st.lists(st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))))
def test_times_become_whole_seconds(times):
    same(pa.array(times, pa.timestamp("us")), "UNIX_TIMESTAMP")


def test_dates_are_their_midnight():
    """Feast's own conversion cannot: a date has no timestamp."""
    column = pa.array([dt.date(1969, 12, 31), None, dt.date(2024, 2, 29)])
    for of_days in (column, column.cast(pa.date64())):
        assert declared(of_days, ValueType.UNIX_TIMESTAMP, "view").to_pylist() == [
            -86_400,
            None,
            1_709_164_800,
        ]


def test_maps_are_dictionaries():
    """Feast's own conversion cannot: Arrow gives it pairs."""
    maps = [[("a", 1), ("b", None)], None, []]
    dictionaries = [{"a": 1, "b": None}, None, {}]
    column = pa.array(maps, pa.map_(pa.string(), pa.int64()))
    lists = pa.array([maps[:1], None], pa.list_(column.type))
    for kind, found, meant in (
        ("MAP", column, dictionaries),
        ("STRUCT", column, dictionaries),
        ("MAP_LIST", lists, [dictionaries[:1], None]),
    ):
        assert of_ours(found, kind) == python_values_to_proto_values(meant, ValueType[kind])


def test_null_elements_of_a_list_are_as_in_feasts_own_materialisation():
    """It goes through numpy, where a null among floats is NaN."""
    column = pa.array([[0.5, None], None, [None]])
    feasts = python_values_to_proto_values(
        column.to_numpy(zero_copy_only=False), ValueType.DOUBLE_LIST
    )
    ours = of_ours(column, "DOUBLE_LIST")
    assert in_bytes(ours) == in_bytes(feasts)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("INT64", pa.array([1.5])),
        ("INT64", pa.array([float("inf")])),
        ("INT64", pa.array([2**63], pa.uint64())),
        ("INT64", decimal("1.50")),
        ("INT64", decimal("1e20", precision=38, scale=0)),
        ("INT64", pa.array(["12"])),
        ("INT64", pa.array([AFTER_1970])),
        ("INT64", pa.array([dt.timedelta(1)])),
        ("INT64", pa.array([[1]])),
        ("INT32", pa.array([2**31])),
        ("DOUBLE", pa.array(["1.5"])),
        ("DOUBLE", pa.array([2**53 + 1])),
        ("DOUBLE", pa.array([b"1.5"])),
        ("BOOL", pa.array(["true"])),
        ("STRING", pa.array([1])),
        ("STRING", pa.array([b"\xff"])),
        ("BYTES", pa.array(["a"])),
        ("UNIX_TIMESTAMP", pa.array(["2024-01-01"])),
        ("UNIX_TIMESTAMP", pa.array([1.5])),
        ("UNIX_TIMESTAMP", pa.array([dt.time(1)])),
        ("INT64_LIST", pa.array([1])),
        ("INT64_LIST", pa.array([[1.5]])),
        ("INT64_LIST", pa.array([[1, None]])),
        ("STRING_LIST", pa.array([["a", None]])),
        ("BOOL_LIST", pa.array([[True, None]])),
        ("FLOAT_LIST", pa.array([["a"]])),
        ("UUID", pa.array([1])),
        ("UUID", pa.array([1.5])),
        ("DECIMAL", pa.array([1.5])),
        ("JSON", pa.array(["{"])),
        ("MAP", pa.array([1])),
        ("INT64_SET", pa.array([["a"]])),
        ("ZONED_TIMESTAMP", pa.array([1])),
        ("PDF_BYTES", pa.array(["text"])),
    ],
    ids=lambda one: str(getattr(one, "type", one)),
)
def test_what_does_not_fit_is_named(kind, column):
    with pytest.raises(InputError) as caught:
        declared(column, ValueType[kind], "feature view 'v': feature 'f'")
    message = str(caught.value)
    for part in ("feature view 'v': feature 'f'", f"found {column.type}", f"wanted Feast's {kind}"):
        assert part in message
    assert re.search(r": \S.*\. Cast it in the model, or correct the declared type\.$", message)


def test_times_are_microseconds():
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "UTC", "Europe/Zurich"):
            column = pa.array([dt.datetime(1969, 12, 31, 23, 59, 58), None]).cast(
                pa.timestamp(unit, zone)
            )
            assert microseconds(column).tolist() == [-2_000_000, NEVER]
            assert microseconds(pa.chunked_array([column, column])[1:]).tolist() == [
                NEVER,
                -2_000_000,
                NEVER,
            ]
    assert microseconds(pa.array([dt.date(1970, 1, 2)])).tolist() == [86_400_000_000]
