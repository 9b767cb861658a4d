"""Arrow columns to keys and records, a batch at a time: no Python loop over values.

The result is what `Schema.pack` and `entity_bytes` give for each row.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.protos.feast.types.Value_pb2 import ValueType as ProtoType
from feast.type_map import NULL_TIMESTAMP_INT_VALUE, python_values_to_proto_values
from feast.value_type import ValueType

from profilestore.errors import InputError
from profilestore.online_store.keys import head_bytes
from profilestore.online_store.record import FIXED, FIXED_LISTS, NEVER, TEXT_LISTS, TEXTS, Schema

_NUMPY = {"?": "?", "i": "<i4", "q": "<i8", "f": "<f4", "d": "<f8"}
_ARROW = {
    "BOOL": pa.bool_(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "UNIX_TIMESTAMP": pa.int64(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
}
_MICROSECONDS = 1_000_000
_NOTHING = pa.scalar(b"", pa.binary())


def records(
    schema: Schema,
    number: int,
    columns: Mapping[str, pa.Array],
    *,
    event: np.ndarray,
    created: np.ndarray | None,
    written: int,
    run: int,
) -> pa.Array:
    """One record a row.

    Args:
        schema, number: the layout, and its number in its view.
        columns: a column of `declared` for each feature.
        event, created: int64 microseconds, a row each; no created times are NEVER.
        written, run: as in the record.

    Returns:
        A binary array.
    """
    rows = len(event)
    features = [(name, kind, columns[name]) for name, kind in schema.features]
    fields: list[tuple[str, Any]] = [
        ("event", "<i8"),
        ("created", "<i8"),
        ("written", "<i8"),
        ("run", "<u4"),
        ("schema", "<u2"),
        ("nulls", f"({schema.null_bytes},)u1"),
    ]
    fields += [(f"v{n}", _NUMPY[FIXED[features[n][1]]]) for n in schema.fixed]
    fields += [("ends", f"({len(schema.variable)},)<u4")]
    head = np.zeros(rows, dtype=fields)
    head["event"] = event
    head["created"] = NEVER if created is None else created
    head["written"] = written
    head["run"] = run
    head["schema"] = number
    if features:
        nulls = np.column_stack(
            [np.zeros(rows, bool) if c.null_count == 0 else _mask(c) for _, _, c in features]
        )
        head["nulls"] = np.packbits(nulls, axis=1, bitorder="little")
    for n in schema.fixed:
        head[f"v{n}"] = numbers(features[n][2])
    parts = [_variable(features[n][1], features[n][2]) for n in schema.variable]
    end = np.zeros(rows, np.int64)
    for turn, part in enumerate(parts):
        end += lengths(part)
        head["ends"][:, turn] = end
    width = head.dtype.itemsize
    fixed = pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(head)])
    fixed = fixed.cast(pa.binary())
    return pc.binary_join_element_wise(fixed, *parts, _NOTHING) if parts else fixed


def entities(
    join_keys: Sequence[tuple[str, ValueType]], columns: Mapping[str, pa.Array]
) -> pa.Array:
    """Each row's entity, as `keys.entity_bytes` has it.

    Args:
        join_keys: name and type of each.
        columns: a column of `declared` for each, without nulls.
    """
    pieces: list[Any] = [pa.scalar(head_bytes([name for name, _ in join_keys]), pa.binary())]
    for name, value_type in sorted(join_keys, key=lambda key: key[0]):
        column = columns[name]
        if value_type.name in TEXTS:
            data = column.cast(pa.binary())
            kind = struct.pack("<I", ProtoType.Enum.Value(value_type.name))
            sizes = lengths(data).astype("<u4")
            pieces += [pa.scalar(kind, pa.binary()), bytes_of(sizes), data]
        else:
            found = numbers(column)
            kind = struct.pack("<II", ProtoType.Enum.Value(value_type.name), found.itemsize)
            pieces += [pa.scalar(kind, pa.binary()), bytes_of(found)]
    if len(pieces) == 1:
        return pa.array([pieces[0].as_py()] * _rows(columns), pa.binary())
    return pc.binary_join_element_wise(*pieces, _NOTHING)


def between(before: bytes, keys: pa.Array, after: bytes) -> pa.Array:
    """Each with `before` before it and `after` after it."""
    first, last = pa.scalar(before, pa.binary()), pa.scalar(after, pa.binary())
    return pc.binary_join_element_wise(first, keys, last, _NOTHING)


def declared(column: pa.Array | pa.ChunkedArray, value_type: ValueType, where: str) -> pa.Array:
    """The column in the one Arrow type that stands for a Feast type.

    Numbers and texts in their own; timestamps as int64 whole seconds; lists of these; every other
    type as serialised `Value` messages. A number that is NaN is null, as it is to Feast; in a list
    it stays.

    Raises:
        InputError: a value does not fit; `where` says which view and feature.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = value_type.name
    try:
        if kind in _ARROW:
            return _without_nan(_cast(column, kind))
        if kind in FIXED_LISTS or kind in TEXT_LISTS:
            return _list(column, kind.removesuffix("_LIST"))
        # Feast takes a map as a dictionary.
        values = column.to_pylist(maps_as_pydicts="strict")
        messages = python_values_to_proto_values(values, value_type)
    # Feast's conversion raises whatever it meets, assertions among it.
    except Exception as error:
        why = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"{where}: found {column.type}, wanted Feast's {kind}: {why}. "
            f"Cast it in the model, or correct the declared type."
        ) from error
    return pa.array(
        [
            m.SerializeToString(deterministic=True) if m.WhichOneof("val") else None
            for m in messages
        ],
        pa.binary(),
    )


def microseconds(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A column of times as int64 microseconds since 1970; a naive time is UTC, null is NEVER."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    zone = getattr(column.type, "tz", None)
    times = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    return np.asarray(pc.fill_null(times, NEVER).to_numpy(zero_copy_only=False))


def _cast(column: pa.Array, kind: str) -> pa.Array:
    wanted = _ARROW[kind]
    if column.type == wanted:
        return column
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    found = column.type
    if pa.types.is_null(found):
        return pa.nulls(len(column), wanted)
    if kind == "UNIX_TIMESTAMP" and not pa.types.is_integer(found):
        if pa.types.is_date(found):
            column = column.cast(pa.timestamp("s"))
        if not pa.types.is_timestamp(column.type):
            raise TypeError("it is not a time")
        # Towards zero, as Feast does.
        units = {"s": 1, "ms": 1_000, "us": _MICROSECONDS, "ns": 1_000_000_000}
        return pc.divide(column.cast(pa.int64()), units[column.type.unit])
    if kind == "STRING":
        if not _is_text(found):
            raise TypeError("it is not a text")
    elif kind == "BYTES":
        if not _is_bytes(found):
            raise TypeError("it is not bytes")
    elif pa.types.is_decimal(found) and kind in ("FLOAT", "DOUBLE"):
        # Arrow's own cast multiplies by a power of ten that no float can hold; its parser rounds
        # once.
        column = column.cast(pa.string()).cast(pa.float64())
    elif not (
        pa.types.is_boolean(found)
        or pa.types.is_integer(found)
        or pa.types.is_floating(found)
        or pa.types.is_decimal(found)
    ):
        # Arrow would parse texts, and count the units of times.
        raise TypeError("it is not a number")
    return column.cast(wanted)


def _without_nan(column: pa.Array) -> pa.Array:
    if not pa.types.is_floating(column.type):
        return column
    nan = pc.is_nan(column)
    if not pc.any(nan).as_py():
        return column
    return pc.if_else(nan, pa.scalar(None, column.type), column)


def _is_text(found: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(found)
        or pa.types.is_large_string(found)
        or pa.types.is_string_view(found)
    )


def _is_bytes(found: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(found)
        or pa.types.is_large_binary(found)
        or pa.types.is_binary_view(found)
        or pa.types.is_fixed_size_binary(found)
    )


def _list(column: pa.Array, element: str) -> pa.Array:
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.list_(_ARROW[element]))
    if not (
        pa.types.is_list(column.type)
        or pa.types.is_large_list(column.type)
        or pa.types.is_fixed_size_list(column.type)
    ):
        raise TypeError("it is not a list")
    column = column.cast(pa.list_(column.type.value_type))
    # A slice keeps its parent's values, and a null may stand on some.
    values = column.flatten()
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    values = _cast(values, element)
    if values.null_count:
        if element in ("FLOAT", "DOUBLE"):
            values = pc.fill_null(values, float("nan"))
        elif element == "UNIX_TIMESTAMP":
            values = pc.fill_null(values, NULL_TIMESTAMP_INT_VALUE)
        else:
            raise ValueError("a list holds a null, which Feast's lists cannot")
    offsets = np.zeros(len(column) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    mask = pa.array(_mask(column)) if column.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)


def numbers(column: pa.Array) -> np.ndarray:
    """A `declared` column of fixed width, nulls as zero."""
    if column.null_count:
        zero = False if pa.types.is_boolean(column.type) else 0
        column = pc.fill_null(column, pa.scalar(zero, column.type))
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _variable(kind: str, column: pa.Array) -> pa.Array:
    """The bytes of each row's value, as `record.to_bytes` has them; none for a null."""
    if kind in TEXTS or not (kind in FIXED_LISTS or kind in TEXT_LISTS):
        data = column.cast(pa.binary())
        return pc.fill_null(data, b"") if data.null_count else data
    # `declared` leaves lists without an offset, and nulls without values.
    offsets = column.offsets.to_numpy().astype(np.int64)
    if kind in FIXED_LISTS:
        values = numbers(column.values).astype(_NUMPY[FIXED_LISTS[kind]])
        return cut(values.tobytes(), offsets * values.itemsize)
    texts = column.values.cast(pa.binary())
    sizes = lengths(texts).astype("<u4")
    framed = pc.binary_join_element_wise(bytes_of(sizes), texts, _NOTHING)
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(sizes.astype(np.int64) + 4, out=starts[1:])
    return cut(_data(framed), starts[offsets])


def cut(data: Any, offsets: np.ndarray) -> pa.Array:
    """A binary array of the stretches of `data` between `offsets`."""
    cuts = pa.py_buffer(offsets.astype("<i4"))
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, cuts, pa.py_buffer(data)])


def _data(column: pa.Array) -> bytes:
    """All bytes of a binary array that has no offset."""
    buffer = column.buffers()[2]
    return b"" if buffer is None else buffer.to_pybytes()


def bytes_of(numbers: np.ndarray) -> pa.Array:
    """Each number's bytes, as a binary array."""
    packed = np.ascontiguousarray(numbers)
    width = pa.binary(packed.itemsize)
    return pa.Array.from_buffers(width, len(packed), [None, pa.py_buffer(packed)]).cast(pa.binary())


def lengths(column: pa.Array) -> np.ndarray:
    """How many bytes each value of a binary array has."""
    return np.asarray(pc.binary_length(column).to_numpy(zero_copy_only=False))


def _mask(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False))


def _rows(columns: Mapping[str, pa.Array]) -> int:
    return len(next(iter(columns.values()))) if columns else 0
