"""Values to Feast's messages: one at a time, and a whole column at once.

A column goes into a response as bytes in protobuf's wire format, which the parser takes in one
call: five times as fast as a message object a value.
(The encoding: https://protobuf.dev/programming-guides/encoding/)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from feast.feature_view import FeatureView
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_python_type
from feast.value_type import ValueType

from profilestore.instants import from_micros
from profilestore.online_store.reading import ViewRecords
from profilestore.online_store.record import (
    FIXED,
    FIXED_LISTS,
    MANY,
    TEXT_LISTS,
    TEXTS,
    Column,
    kind_of,
    listed,
)

PRESENT = FieldStatus.PRESENT
_STATUSES = {
    "fresh": PRESENT,
    "stale": FieldStatus.OUTSIDE_MAX_AGE,
    "missing": FieldStatus.NOT_FOUND,
}

_MICROSECONDS = 1_000_000
_LISTS = set(FIXED_LISTS) | TEXT_LISTS
# An element of FeatureVector.values without a value.
_NULL = b"\x0a\x00"

Encode = Callable[[Any], bytes]


def to_proto(kind: str, value: Any) -> Value:
    """The message of a value, as `Schema` describes values; None is a message without one."""
    if value is None:
        return Value()
    if kind in _LISTS:
        message = Value()
        getattr(message, f"{kind.lower()}_val").val.extend(value)
        return message
    if kind in FIXED or kind in TEXTS:
        return Value(**{f"{kind.lower()}_val": value})
    parsed: Value = Value.FromString(value)
    return parsed


def python_values(kind: str, values: Sequence[Any]) -> Sequence[Any]:
    """A column of `ViewRecords` as Feast's `to_dict` has it: times as datetimes in UTC, and values
    of the less common types as Python's.

    Args:
        kind: name of the Feast type.
    """
    if kind == "UNIX_TIMESTAMP":
        return [None if value is None else from_micros(value * _MICROSECONDS) for value in values]
    if kind != "UNIX_TIMESTAMP_LIST" and (kind in FIXED or kind in TEXTS or kind in _LISTS):
        return values
    value_type = ValueType[kind]
    return [feast_value_type_to_python_type(to_proto(kind, value), value_type) for value in values]


def begin(keys: Mapping[str, tuple[str, Sequence[Any]]]) -> GetOnlineFeaturesResponse:
    """A response that has the columns of the join keys.

    Args:
        keys: join key -> its type and its values, a row each.
    """
    message = GetOnlineFeaturesResponse()
    message.metadata.feature_names.val.extend(keys)
    rows = max((len(values) for _, values in keys.values()), default=0)
    statuses, times = _statuses([PRESENT] * rows), _times([None] * rows)
    message.MergeFromString(
        b"".join([_vector(kind, values, statuses, times) for kind, values in keys.values()])
    )
    return message


def add(
    message: GetOnlineFeaturesResponse,
    view: FeatureView,
    wanted: Sequence[str],
    found: ViewRecords,
    full_feature_names: bool,
) -> None:
    """Append a view's columns."""
    prefix = f"{view.projection.name_to_use()}__" if full_feature_names else ""
    message.metadata.feature_names.val.extend([f"{prefix}{feature}" for feature in wanted])
    kinds = {f.name: kind_of(f.dtype) for f in view.features}
    statuses = _statuses([_STATUSES[state] for state in found.states])
    times = _times(found.stored_events)
    message.MergeFromString(
        b"".join(
            [
                _vector(kinds[name], column, statuses, times)
                for name, column in zip(wanted, found.stored, strict=True)
            ]
        )
    )


def add_version(message: GetOnlineFeaturesResponse, view: FeatureView) -> None:
    """Say which version of a view was read."""
    name = view.projection.name_alias or view.projection.name
    if name not in [one.name for one in message.metadata.feature_view_metadata]:
        added = message.metadata.feature_view_metadata.add()
        added.name = name
        added.version = getattr(view, "current_version_number", 0) or 0


def _vector(kind: str, values: Column, statuses: bytes, times: bytes) -> bytes:
    """One feature's column: an element of `GetOnlineFeaturesResponse.results`, which is field 2.

    Args:
        values: one a row.
        statuses, times: of `_statuses` and `_times`; the features of a view share them.
    """
    message = b"".join((_elements(kind, values), statuses, times))
    return b"\x12" + _varint(len(message)) + message


def _elements(kind: str, values: Column) -> bytes:
    """`FeatureVector.values`: field 1, a `Value` a row."""
    if kind in _ARRAYS and _all_numbers(values):
        return _ARRAYS[kind](values)
    encode = _encoder(kind)
    return b"".join([_NULL if value is None else encode(value) for value in listed(values)])


def _all_numbers(values: Column) -> bool:
    """Whether the values are many, and none is None."""
    return isinstance(values, np.ndarray) or (len(values) >= MANY and None not in values)


def _statuses(statuses: Sequence[int]) -> bytes:
    """`FeatureVector.statuses`: field 2, packed; every status is below 128."""
    return b"\x12" + _varint(len(statuses)) + bytes(statuses)


def _times(events: Column) -> bytes:
    """`FeatureVector.event_timestamps`: field 3, a message a row; None is one without a time."""
    if _all_numbers(events):
        micros = np.array(events, np.int64)
        seconds = micros // _MICROSECONDS
        packed = np.empty(len(events), _TIMES)
        packed["head"] = b"\x1a\x16\x08"
        _digits(seconds, packed["seconds"])
        packed["middle"] = b"\x10"
        _digits((micros - seconds * _MICROSECONDS) * 1_000, packed["nanos"])
        return packed.tobytes()
    return b"".join([b"\x1a\x00" if event is None else _timestamp(event) for event in events])


def _timestamp(event: int) -> bytes:
    seconds, micros = divmod(event, _MICROSECONDS)
    message = b"\x08" + _varint(seconds & 0xFFFFFFFFFFFFFFFF)
    if micros:
        message += b"\x10" + _varint(micros * 1_000)
    return b"\x1a" + _varint(len(message)) + message


def _floats(head: bytes, width: str) -> Callable[[Column], bytes]:
    layout = np.dtype([("head", "S3"), ("value", width)])

    def encode(values: Column) -> bytes:
        packed = np.empty(len(values), layout)
        packed["head"] = head
        packed["value"] = values
        return packed.tobytes()

    return encode


def _wholes(tag: int) -> Callable[[Column], bytes]:
    layout = np.dtype([("head", "S3"), ("value", "10u1")])
    head = bytes((0x0A, 11, tag))

    def encode(values: Column) -> bytes:
        packed = np.empty(len(values), layout)
        packed["head"] = head
        _digits(np.array(values, np.int64), packed["value"])
        return packed.tobytes()

    return encode


def _digits(values: np.ndarray, digits: np.ndarray) -> None:
    """Varints of ten bytes each, the last ones zero: longer than they need to be, which every
    parser takes, and of one width, which lets numpy write them."""
    np.right_shift(values.view(np.uint64)[:, None], _SHIFTS, out=digits, casting="unsafe")
    digits |= 128
    digits[:, 9] &= 1


_TIMES = np.dtype([("head", "S3"), ("seconds", "10u1"), ("middle", "S1"), ("nanos", "10u1")])
_SHIFTS = 7 * np.arange(10, dtype=np.uint64)
_TAGS = {"INT32": 0x18, "INT64": 0x20, "UNIX_TIMESTAMP": 0x40}
_ARRAYS = {
    "DOUBLE": _floats(b"\x0a\x09\x29", "<f8"),
    "FLOAT": _floats(b"\x0a\x05\x35", "<f4"),
    **{kind: _wholes(tag) for kind, tag in _TAGS.items()},
}


@cache
def _encoder(kind: str) -> Encode:
    """Bytes of one element of FeatureVector.values: field 1, its length, the `Value`."""
    if kind == "DOUBLE":
        return lambda value: _DOUBLE(0x0A, 9, 0x29, value)
    if kind == "FLOAT":
        return lambda value: _FLOAT(0x0A, 5, 0x35, value)
    if kind == "BOOL":
        return lambda value: b"\x0a\x02\x38\x01" if value else b"\x0a\x02\x38\x00"
    if kind in _TAGS:
        tag = _TAGS[kind]

        def whole(value: int) -> bytes:
            number = _varint(value & 0xFFFFFFFFFFFFFFFF)
            return bytes((0x0A, len(number) + 1, tag)) + number

        return whole
    if kind in TEXTS:
        field = b"\x12" if kind == "STRING" else b"\x0a"
        # What stands before a text whose lengths take a byte each.
        heads = [b"\x0a" + bytes([size + 2]) + field + bytes([size]) for size in range(126)]

        def text(value: Any) -> bytes:
            data: bytes = value.encode() if kind == "STRING" else value
            if len(data) < len(heads):
                return heads[len(data)] + data
            inner = field + _varint(len(data)) + data
            return b"\x0a" + _varint(len(inner)) + inner

        return text

    def message(value: Any) -> bytes:
        data: bytes = to_proto(kind, value).SerializeToString(deterministic=True)
        return b"\x0a" + _varint(len(data)) + data

    return message


_DOUBLE = struct.Struct("<BBBd").pack
_FLOAT = struct.Struct("<BBBf").pack
_BYTES = [bytes([n]) for n in range(128)]


def _varint(number: int) -> bytes:
    if number < 128:
        return _BYTES[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
