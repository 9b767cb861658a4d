"""A record gives back what was packed into it."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.online_store.record import (
    FIXED,
    FIXED_LISTS,
    NEVER,
    TEXT_LISTS,
    TEXTS,
    Schema,
    Stamp,
    from_proto,
    run_number,
    schema_number,
    stamp_of,
)
from profilestore.online_store.response import to_proto

INT32 = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([-(2**31), 2**31 - 1, 0]))
INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([-(2**63), 2**63 - 1, -1]))
SCALARS = {
    "BOOL": st.booleans(),
    "INT32": INT32,
    "INT64": INT64,
    "FLOAT": st.floats(width=32),
    "DOUBLE": st.floats(),
    "UNIX_TIMESTAMP": INT64,
    "STRING": st.text(max_size=20),
    "BYTES": st.binary(max_size=20),
}
LISTS = {f"{kind}_LIST": st.lists(one, max_size=5) for kind, one in SCALARS.items()}
# A value of any other type is its message's bytes.
OTHERS = sorted(
    {one.name for one in ValueType} - {"UNKNOWN", "NULL"} - SCALARS.keys() - LISTS.keys()
)
VALUES = {**SCALARS, **LISTS, **dict.fromkeys(OTHERS, st.binary(min_size=1, max_size=20))}


@st.composite
def schemas(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=20))
    return Schema(tuple((f"f{n}", kind) for n, kind in enumerate(kinds)))


@st.composite
def packed(draw):
    """A schema and some rows: (stamp, run, schema number, values)."""
    schema = draw(schemas())
    row = st.tuples(
        st.tuples(INT64, INT64, INT64).map(lambda times: Stamp(*times)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**16 - 1),
        st.tuples(*(st.none() | VALUES[kind] for _, kind in schema.features)),
    )
    return schema, draw(st.lists(row, min_size=1, max_size=4))


def bits(value):
    """Comparable where NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("d", value)
    if isinstance(value, list):
        return [bits(one) for one in value]
    return type(value), value


def test_every_type_of_feast_is_drawn():
    assert set(FIXED) | TEXTS == set(SCALARS)
    assert set(FIXED_LISTS) | TEXT_LISTS == set(LISTS)
    assert {"MAP", "JSON", "UUID", "DECIMAL", "INT64_SET", "ZONED_TIMESTAMP"} < set(OTHERS)


@settings(deadline=None)
@given(packed(), st.randoms())
def test_a_record_gives_back_what_was_packed(drawn, random):
    schema, rows = drawn
    buffers = [
        memoryview(schema.pack(stamp, run, number, values)) for stamp, run, number, values in rows
    ]
    another = next(k for k in VALUES if k != schema.features[0][1])
    wanted = [*schema.features, ("another", "INT64"), ("f0", another)]
    random.shuffle(wanted)
    found = schema.read(buffers, wanted)
    assert list(zip(found.events, found.created, found.written, strict=True)) == [
        tuple(stamp) for stamp, _, _, _ in rows
    ]
    assert list(found.runs) == [run for _, run, _, _ in rows]
    for feature, column in zip(wanted, found.columns, strict=True):
        if feature not in schema.features:
            assert list(column) == [None] * len(rows)
            continue
        n = schema.features.index(feature)
        assert [bits(v) for v in column] == [bits(values[n]) for _, _, _, values in rows], feature
    for buffer, (stamp, run, number, _) in zip(buffers, rows, strict=True):
        assert stamp_of(buffer) == stamp
        assert run_number(buffer) == run
        assert schema_number(buffer) == number


def test_the_bytes_of_a_record_stay_as_they_are():
    """Stores on disk have records of this layout."""
    schema = Schema((("a", "INT32"), ("t", "STRING"), ("b", "DOUBLE"), ("l", "INT32_LIST")))
    record = schema.pack(Stamp(1, NEVER, 3), 4, 5, (7, "né", None, [1, -1]))
    assert record == (
        struct.pack("<qqq", 1, NEVER, 3)
        + struct.pack("<IH", 4, 5)
        + bytes([0b0100])
        + struct.pack("<id", 7, 0)
        + struct.pack("<II", 3, 11)
        + "né".encode()
        + struct.pack("<ii", 1, -1)
    )


def test_no_records_have_no_values():
    schema = Schema((("a", "INT32"), ("t", "STRING")))
    assert schema.read([], schema.features).columns == [(), ()]


@settings(deadline=None)
@given(schemas())
def test_a_schema_is_written_as_json(schema):
    assert Schema.from_json(schema.to_json()) == schema


PROTO = {
    "BOOL": True,
    "INT32": -7,
    "INT64": 2**40,
    "FLOAT": 0.5,
    "DOUBLE": -0.1,
    "UNIX_TIMESTAMP": datetime(1969, 12, 31, 23, 59, 58, tzinfo=UTC),
    "STRING": "ünï",
    "BYTES": b"\x00\xff",
    "PDF_BYTES": b"%PDF",
    "IMAGE_BYTES": b"PNG",
    "JSON": '{"a": [1]}',
    "JSON_LIST": ['{"a": 1}', "2"],
    "MAP": {"a": 1, "b": {"c": "d"}},
    "MAP_LIST": [{"a": 1}, {"b": 2.5}],
    "STRUCT": {"a": 1},
    "STRUCT_LIST": [{"a": 1}],
    "SCALAR_MAP": {1: "one"},
    "UUID": UUID(int=7),
    "TIME_UUID": UUID(int=8),
    "DECIMAL": Decimal("1.50"),
    "VALUE_LIST": [[1, 2], [3]],
    "VALUE_SET": [[1, 2], [3]],
    "ZONED_TIMESTAMP": datetime(2024, 1, 1, tzinfo=UTC),
}
ELEMENTS = {
    f"{kind}_{many}": [PROTO[kind]]
    for kind in (*SCALARS, "UUID", "TIME_UUID", "DECIMAL")
    for many in ("LIST", "SET")
}


@pytest.mark.parametrize("kind", sorted({one.name for one in ValueType} - {"UNKNOWN", "NULL"}))
def test_a_message_becomes_a_value_and_again_a_message(kind):
    value = {**PROTO, **ELEMENTS}[kind]
    message = python_values_to_proto_values([value], ValueType[kind])[0]
    native = from_proto(kind, message)
    record = Schema((("f", kind),)).pack(Stamp(0, 0, 0), 0, 0, [native])
    ((read,),) = Schema((("f", kind),)).read([record], [("f", kind)]).columns
    assert to_proto(kind, read) == message
    assert from_proto(kind, Value()) is None
    assert to_proto(kind, None) == Value()


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("INT64", Value(int32_val=3), 3),
        ("INT32", Value(int64_val=-3), -3),
        ("DOUBLE", Value(int64_val=3), 3.0),
        ("FLOAT", Value(double_val=0.5), 0.5),
        ("BOOL", Value(int64_val=1), True),
        ("UNIX_TIMESTAMP", Value(int64_val=9), 9),
        ("DOUBLE_LIST", Value(int64_list_val={"val": [1, 2]}), [1.0, 2.0]),
        ("INT64_LIST", Value(int32_list_val={"val": [1, 2]}), [1, 2]),
    ],
)
def test_a_number_of_another_type_is_converted(kind, message, expected):
    assert bits(from_proto(kind, message)) == bits(expected)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("INT64", Value(double_val=1.5)),
        ("INT64", Value(string_val="3")),
        ("STRING", Value(int64_val=3)),
        ("BYTES", Value(string_val="a")),
        ("INT64_LIST", Value(double_list_val={"val": [1.5]})),
        # A list is no number, and a number no list.
        ("INT64", Value(int64_list_val={"val": [1]})),
        ("INT64_LIST", Value(int64_val=1)),
        ("FLOAT_LIST", Value(double_val=1.0)),
        ("INT64_LIST", Value(int64_set_val={"val": [1]})),
        # Out of range.
        ("INT32", Value(int64_val=2**31)),
        ("INT32_LIST", Value(int64_list_val={"val": [0, -(2**31) - 1]})),
        ("FLOAT", Value(double_val=1e300)),
        ("JSON", Value(int64_val=1)),
        ("INT64_SET", Value(string_set_val={"val": ["a"]})),
    ],
)
def test_a_message_of_another_type_is_refused(kind, message):
    with pytest.raises(ValueError, match=rf"declared|range|{kind.lower()}"):
        from_proto(kind, message)
