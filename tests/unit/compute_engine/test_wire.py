"""The bytes of a value parse to the message that Feast's own conversion makes."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.compute_engine import wire
from profilestore.online_store.columns import declared

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
# Feast makes a null of NaN where it is alone, and keeps it in a list.
SCALARS = {
    "BOOL": (st.booleans(), pa.bool_()),
    "INT32": (INT32, pa.int32()),
    "INT64": (INT64, pa.int64()),
    "FLOAT": (st.floats(width=32), pa.float32()),
    "DOUBLE": (st.floats(), pa.float64()),
    "UNIX_TIMESTAMP": (INT64, pa.int64()),
    "STRING": (st.text(max_size=200), pa.string()),
    "BYTES": (st.binary(max_size=200), pa.binary()),
}
LISTS = {
    f"{kind}_LIST": (st.lists(values, max_size=20), pa.list_(arrow))
    for kind, (values, arrow) in SCALARS.items()
}
OTHERS = {
    "JSON": pa.array(['{"a": 1}', None, "[]"]),
    "JSON_LIST": pa.array([['{"a": 1}'], None, []]),
    "MAP": pa.array([{"a": 1}, None, {"a": None}]),
    "MAP_LIST": pa.array([[{"a": 1}], None, []]),
    "STRUCT": pa.array([{"a": "b"}, None]),
    "STRUCT_LIST": pa.array([[{"a": "b"}], None]),
    "UUID": pa.array([str(uuid.UUID(int=3)), None]),
    "TIME_UUID": pa.array([str(uuid.UUID(int=3)), None]),
    "DECIMAL": pa.array([Decimal("1.50"), None]),
    "VALUE_LIST": pa.array([[[1], [2, 3]], None]),
    "VALUE_SET": pa.array([[["a"]], None]),
    "ZONED_TIMESTAMP": pa.array([datetime(2024, 1, 1), None]),
    "PDF_BYTES": pa.array([b"%PDF", None]),
    "IMAGE_BYTES": pa.array([b"PNG", None]),
    **{f"{kind}_LIST": pa.array([[str(uuid.UUID(int=3))], None]) for kind in ("UUID", "TIME_UUID")},
    **{f"{kind}_SET": pa.array([[str(uuid.UUID(int=3))], None]) for kind in ("UUID", "TIME_UUID")},
    "DECIMAL_LIST": pa.array([[Decimal("1.50")], None]),
    "DECIMAL_SET": pa.array([[Decimal("1.50")], None]),
    **{
        f"{kind}_SET": pa.array([one, None])
        for kind, one in {
            "BOOL": [True],
            "INT32": [1],
            "INT64": [2**40],
            "FLOAT": [0.5],
            "DOUBLE": [0.1],
            "UNIX_TIMESTAMP": [datetime(2024, 1, 1)],
            "STRING": ["a"],
            "BYTES": [b"a"],
        }.items()
    },
}


def check(kind, column):
    found = wire.values(kind, declared(column, ValueType[kind], "view")).to_pylist()
    # Feast makes nulls of a column of BYTES that has no byte at all.
    more = [b"."] if kind == "BYTES" else []
    expected = python_values_to_proto_values([*column.to_pylist(), *more], ValueType[kind])
    expected = expected[: len(column)]
    # Written again by the library: NaN is NaN, and nothing is in another order.
    assert [Value.FromString(one).SerializeToString() for one in found] == [
        one.SerializeToString() for one in expected
    ]


@pytest.mark.parametrize("kind", [*SCALARS, *LISTS])
@settings(deadline=None)
@given(data=st.data())
def test_values_of_a_column(kind, data):
    values, arrow = {**SCALARS, **LISTS}[kind]
    drawn = data.draw(st.lists(st.none() | values, max_size=6))
    column = pa.array(drawn, arrow)
    check(kind, column)
    check(kind, pa.concat_arrays([column, column])[1 : len(drawn) + 1])


@pytest.mark.parametrize("kind", OTHERS)
def test_values_of_the_less_common_types(kind):
    check(kind, OTHERS[kind])


def test_all_types_of_feast_are_tried():
    assert {one.name for one in ValueType} - {"UNKNOWN", "NULL", "SCALAR_MAP"} == {
        *SCALARS,
        *LISTS,
        *OTHERS,
    }


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_varints_are_as_long_as_they_need_to_be(numbers):
    found = wire.varints(np.array(numbers, np.int64)).to_pylist()
    # Field 4 of Value, an int64.
    assert [b"\x20" + one for one in found] == [
        Value(int64_val=n).SerializeToString() for n in numbers
    ]


@settings(deadline=None)
@given(st.lists(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)))
def test_timestamps(micros):
    found = wire.timestamps(np.array(micros, np.int64)).to_pylist()
    for one, expected in zip(found, micros, strict=True):
        message = Timestamp.FromString(one)
        assert message.ToMicroseconds() == expected
        assert 0 <= message.nanos < 10**9
