"""Columns of values as columns of serialised Feast `Value` messages: no Python loop over values.

(Protobuf's wire format: https://protobuf.dev/programming-guides/encoding/)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.protos.feast.types.Value_pb2 import Value

from profilestore.online_store.columns import bytes_of, cut, lengths, numbers
from profilestore.online_store.record import FIXED, FIXED_LISTS, TEXT_LISTS, TEXTS

# The low three bits of a tag: how the field's bytes are to be read.
_VARINT, _64_BITS, _LENGTH, _32_BITS = 0, 1, 2, 5
_WIRE_TYPES = {"DOUBLE": _64_BITS, "FLOAT": _32_BITS}
_NOTHING = pa.scalar(b"", pa.binary())
_FIRST_FIELD = pa.scalar(b"\x0a", pa.binary())


def values(kind: str, column: pa.Array) -> pa.Array:
    """Each value's message; a null's is empty.

    Args:
        kind: Feast's name of the type.
        column: of `online_store.columns.declared`.
    """
    if kind in FIXED:
        message = _join(_tag(kind, _WIRE_TYPES.get(kind, _VARINT)), _scalars(kind, column))
    elif kind in TEXTS:
        message = _field(_tag(kind, _LENGTH), column.cast(pa.binary()))
    elif kind in FIXED_LISTS or kind in TEXT_LISTS:
        message = _lists(kind, column)
    else:
        message = column
    return pc.if_else(pc.is_valid(column), pc.fill_null(message, b""), _NOTHING)


def timestamps(micros: np.ndarray) -> pa.Array:
    """Each time's `google.protobuf.Timestamp`; int64 microseconds since 1970."""
    seconds, rest = np.divmod(micros, 1_000_000)
    return _join(
        pa.scalar(b"\x08", pa.binary()),
        varints(seconds),
        pa.scalar(b"\x10", pa.binary()),
        varints(rest * 1_000),
    )


def varints(whole: np.ndarray) -> pa.Array:
    """Each integer in base 128, the least significant first; a negative one takes ten bytes."""
    matrix, used = _base128(whole)
    offsets = np.zeros(len(whole) + 1, np.int64)
    np.cumsum(used, out=offsets[1:])
    return cut(matrix[np.arange(10) < used[:, None]].tobytes(), offsets)


def _base128(whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ten bytes an integer, and how many of them count."""
    unsigned = np.ascontiguousarray(whole, dtype=np.int64).view(np.uint64)
    shifted = unsigned[:, None] >> (7 * np.arange(10, dtype=np.uint64))
    used = np.maximum(1, (shifted != 0).sum(axis=1))
    matrix = (shifted & 127).astype(np.uint8)
    matrix[np.arange(10) < (used - 1)[:, None]] |= 128
    return matrix, used


def _scalars(kind: str, column: pa.Array) -> pa.Array:
    found = numbers(column)
    if kind in _WIRE_TYPES:
        return bytes_of(found)
    return varints(found.astype(np.int64))


def _lists(kind: str, column: pa.Array) -> pa.Array:
    """A message in a field: its own field 1 has the elements."""
    offsets = column.offsets.to_numpy().astype(np.int64)
    element = kind.removesuffix("_LIST")
    if kind in TEXT_LISTS:
        texts = _field(_FIRST_FIELD, column.values.cast(pa.binary()))
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths(texts), out=starts[1:])
        return _field(_tag(kind, _LENGTH), _stretches(texts, starts[offsets]))
    elements = _scalars(element, column.values)
    starts = np.zeros(len(elements) + 1, np.int64)
    np.cumsum(lengths(elements), out=starts[1:])
    packed = _stretches(elements, starts[offsets])
    # An empty list is a message without the field.
    inner = pc.if_else(
        pc.equal(pc.binary_length(packed), 0), _NOTHING, _field(_FIRST_FIELD, packed)
    )
    return _field(_tag(kind, _LENGTH), inner)


def _field(tag: pa.Scalar, data: pa.Array) -> pa.Array:
    """A field whose length is said before it."""
    sizes = varints(np.asarray(pc.fill_null(pc.binary_length(data), 0)).astype(np.int64))
    return _join(tag, sizes, data)


def _tag(kind: str, wire_type: int) -> pa.Scalar:
    number = Value.DESCRIPTOR.fields_by_name[f"{kind.lower()}_val"].number
    return pa.scalar(varints(np.array([number << 3 | wire_type]))[0].as_py(), pa.binary())


def _stretches(column: pa.Array, offsets: np.ndarray) -> pa.Array:
    buffer = column.buffers()[2]
    return cut(b"" if buffer is None else buffer, offsets)


def _join(*parts: Any) -> pa.Array:
    return pc.binary_join_element_wise(*parts, _NOTHING)
