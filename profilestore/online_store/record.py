"""One packed record: the values of one feature view for one entity.

    event     int64    when the values became true, microseconds since 1970
    created   int64    when they were learned; NEVER where the source does not say
    written   int64    when the record was written
    run       uint32   which materialisation wrote it; 0 for a push
    schema    uint16   which of the view's schemas the values are laid out by
    nulls     bitmap   one bit a feature, least significant first; 1 is null
    fixed              the features of fixed width, in the schema's order, without padding
    ends      uint32   per feature of variable width, where it ends behind this table
    variable           their bytes

All little-endian. A fixed value that is null is zero. The layout of a record never changes after it
is written: a view whose features change gets another schema, and old records are read by theirs.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import FeastType
from feast.value_type import ValueType

NEVER = -(2**63)
# From so many records on numpy is quicker than a loop.
MANY = 24
HEADER = struct.Struct("<qqqIH")

# Feast's name of a type -> how struct packs it.
FIXED = {
    "BOOL": "?",
    "INT32": "i",
    "INT64": "q",
    "FLOAT": "f",
    "DOUBLE": "d",
    "UNIX_TIMESTAMP": "q",
}
FIXED_LISTS = {f"{name}_LIST": code for name, code in FIXED.items()}
TEXTS = {"STRING", "BYTES"}
TEXT_LISTS = {f"{name}_LIST" for name in TEXTS}

_FIELDS = {
    name: f"{name.lower()}_val" for name in (*FIXED, *FIXED_LISTS, *sorted(TEXTS | TEXT_LISTS))
}
# Those whose messages have another field than their name says.
_OTHER_FIELDS = {
    "PDF_BYTES": "bytes_val",
    "IMAGE_BYTES": "bytes_val",
    "VALUE_LIST": "list_val",
    "VALUE_SET": "set_val",
}


class Stamp(NamedTuple):
    """When a record's values became true, were learned and were written; microseconds."""

    event: int
    created: int
    written: int


# Some values, one a record: Python's, or an array of numbers none of which is null.
Column: TypeAlias = "Sequence[Any] | np.ndarray"


def listed(column: Column) -> Sequence[Any]:
    """The column's values as Python's."""
    return column.tolist() if isinstance(column, np.ndarray) else column


class Records(NamedTuple):
    """Some records as they are read, a column a feature asked for.

    Attributes:
        events, created, written: microseconds since 1970.
        runs: see the module.
        columns: a column a feature, None where null or not in the records.
        has_all: whether none is null, as far as known.
    """

    events: Column
    created: Column
    written: Column
    runs: Column
    columns: list[Column]
    has_all: bool = False


@dataclass(frozen=True)
class Schema:
    """The features of a view in the order of its records.

    Attributes:
        features: (name, name of its Feast value type).

    Values are Python's: bool, int, float, str, bytes, lists of these; a timestamp is whole seconds
    since 1970; a value of any other Feast type is its serialised `Value` message.
    """

    features: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, features: Sequence[tuple[str, ValueType]]) -> Schema:
        """The schema of a view's features."""
        return cls(tuple((name, value_type.name) for name, value_type in features))

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """As `to_json` wrote it."""
        return cls(tuple((name, kind) for name, kind in json.loads(text)))

    def to_json(self) -> str:
        """As a list of pairs."""
        return json.dumps(self.features)

    @cached_property
    def names(self) -> list[str]:
        return [name for name, _ in self.features]

    @cached_property
    def fixed(self) -> list[int]:
        """Positions of the features of fixed width."""
        return [n for n, (_, kind) in enumerate(self.features) if kind in FIXED]

    @cached_property
    def variable(self) -> list[int]:
        """Positions of the features of variable width."""
        return [n for n, (_, kind) in enumerate(self.features) if kind not in FIXED]

    @cached_property
    def null_bytes(self) -> int:
        """Length of the bitmap."""
        return (len(self.features) + 7) // 8

    @cached_property
    def head_format(self) -> str:
        """Header, bitmap, fixed values and ends, as struct has them, without the byte order."""
        fixed = "".join(FIXED[self.features[n][1]] for n in self.fixed)
        return f"{HEADER.format[1:]}{self.null_bytes}s{fixed}{len(self.variable)}I"

    @cached_property
    def head_fields(self) -> list[Any]:
        """The same as numpy has it: a kind a field."""
        width = {"?": "?", "i": "<i4", "q": "<i8", "f": "<f4", "d": "<f8"}
        kinds: list[Any] = ["<i8", "<i8", "<i8", "<u4", "<u2", ("u1", (self.null_bytes,))]
        kinds += [width[FIXED[self.features[n][1]]] for n in self.fixed]
        return kinds + ["<u4"] * len(self.variable)

    @cached_property
    def _head(self) -> struct.Struct:
        return struct.Struct(f"<{self.head_format}")

    @cached_property
    def _layout(self) -> np.dtype[Any]:
        return np.dtype([(f"f{n}", kind) for n, kind in enumerate(self.head_fields)])

    def pack(self, stamp: Stamp, run: int, schema: int, values: Sequence[Any]) -> bytes:
        """One record.

        Args:
            schema: this schema's number in its view.
            values: one per feature, in this schema's order.
        """
        nulls = 0
        for n, value in enumerate(values):
            if value is None:
                nulls |= 1 << n
        fixed = [0 if values[n] is None else values[n] for n in self.fixed]
        ends = []
        parts = []
        end = 0
        for n in self.variable:
            part = b"" if values[n] is None else to_bytes(self.features[n][1], values[n])
            end += len(part)
            ends.append(end)
            parts.append(part)
        head = self._head.pack(
            *stamp, run, schema, nulls.to_bytes(self.null_bytes, "little"), *fixed, *ends
        )
        return b"".join([head, *parts])

    def read(self, buffers: Sequence[Any], wanted: Sequence[tuple[str, str]]) -> Records:
        """Records of this schema.

        Args:
            wanted: features and their types, in the order of the result's columns; one that this
                schema lacks, or has in another type, is None.
        """
        if not buffers:
            return Records((), (), (), (), [() for _ in wanted])
        start = self._head.size
        heads = b"".join([buffer[:start] for buffer in buffers] if self.variable else buffers)
        # The fields of all records at once: no loop is Python's.
        fields: list[Column]
        if len(buffers) < MANY:
            fields = list(zip(*self._head.iter_unpack(heads), strict=True))
        else:
            rows = np.frombuffer(heads, self._layout)
            fields = [rows[name] for name in self._layout.names or ()]
        nulls = fields[5]
        if isinstance(nulls, np.ndarray):
            no_nulls = not nulls.any()
        else:
            no_nulls = nulls.count(bytes(self.null_bytes)) == len(nulls)
        columns: list[Column] = []
        if no_nulls and (fixed := self.fixed_fields(wanted)) is not None:
            columns = [fields[field] for field in fixed]
            return Records(fields[0], fields[1], fields[2], fields[3], columns, has_all=True)
        for feature in wanted:
            place = self._places.get(feature)
            if place is None:
                columns.append((None,) * len(buffers))
                continue
            n, field, decode = place
            column = fields[field]
            if decode is not None:
                begins = (
                    listed(fields[field - 1]) if field > self._first_end else (0,) * len(buffers)
                )
                column = [
                    decode(buffer[start + begin : start + end])
                    for buffer, begin, end in zip(buffers, begins, listed(column), strict=True)
                ]
            if not no_nulls:
                byte, bit = n >> 3, 1 << (n & 7)
                if isinstance(nulls, np.ndarray):
                    is_null = (nulls[:, byte] & bit).tolist()
                else:
                    is_null = [null[byte] & bit for null in nulls]
                if any(is_null):
                    column = [
                        None if no_value else value
                        for value, no_value in zip(listed(column), is_null, strict=True)
                    ]
            columns.append(column)
        has_all = no_nulls and all(feature in self._places for feature in wanted)
        return Records(fields[0], fields[1], fields[2], fields[3], columns, has_all)

    def fixed_fields(self, wanted: Sequence[tuple[str, str]]) -> list[int] | None:
        """Where each feature stands in the head; None where one is of variable width, or not
        there."""
        key = tuple(wanted)
        if key not in self._fields_of:
            places = [self._places.get(feature) for feature in wanted]
            self._fields_of[key] = (
                [place[1] for place in places if place]
                if all(place is not None and place[2] is None for place in places)
                else None
            )
        return self._fields_of[key]

    @cached_property
    def _fields_of(self) -> dict[tuple[tuple[str, str], ...], list[int] | None]:
        return {}

    @cached_property
    def _first_end(self) -> int:
        """Where the first `end` stands among the fields of the head."""
        return 6 + len(self.fixed)

    @cached_property
    def _places(self) -> dict[tuple[str, str], tuple[int, int, Callable[[Any], Any] | None]]:
        """Per feature: its position, its field in the head, and what decodes variable bytes."""
        places: dict[tuple[str, str], tuple[int, int, Callable[[Any], Any] | None]] = {}
        for turn, n in enumerate(self.fixed):
            places[self.features[n]] = n, 6 + turn, None
        for turn, n in enumerate(self.variable):
            _, kind = self.features[n]
            places[self.features[n]] = n, self._first_end + turn, from_bytes(kind)
        return places


@lru_cache(maxsize=1024)
def kind_of(dtype: FeastType) -> str:
    """The name of the Feast value type of a field's type."""
    return str(dtype.to_value_type().name)


def schema_number(buffer: Any) -> int:
    """Which of its view's schemas a record is laid out by."""
    return int(buffer[28] | buffer[29] << 8)


def run_number(buffer: Any) -> int:
    """Which materialisation wrote a record; 0 for a push."""
    return int.from_bytes(buffer[24:28], "little")


def stamp_of(buffer: Any) -> Stamp:
    """A record's times, without reading its values."""
    event, created, written, _, _ = HEADER.unpack_from(buffer)
    return Stamp(event, created, written)


def to_bytes(kind: str, value: Any) -> bytes:
    """A value of variable width."""
    if kind == "STRING":
        return str(value).encode()
    if kind in FIXED_LISTS:
        return struct.pack(f"<{len(value)}{FIXED_LISTS[kind]}", *value)
    if kind in TEXT_LISTS:
        parts = [part.encode() if isinstance(part, str) else bytes(part) for part in value]
        return b"".join(
            piece for part in parts for piece in (len(part).to_bytes(4, "little"), part)
        )
    return bytes(value)


def from_bytes(kind: str) -> Callable[[Any], Any]:
    """What turns the bytes of a value of variable width into the value."""
    if kind == "STRING":
        return lambda part: str(part, "utf-8")
    if kind in FIXED_LISTS:
        code = FIXED_LISTS[kind]
        width = struct.calcsize(code)
        return lambda part: list(struct.unpack(f"<{len(part) // width}{code}", part))
    if kind in TEXT_LISTS:
        return lambda part: _texts(part, kind == "STRING_LIST")
    return bytes


def from_proto(kind: str, message: Value) -> Any:
    """The value in a Feast `Value`, None for one without; as `Schema` describes values.

    Raises:
        ValueError: it holds a value of another type.
    """
    found = message.WhichOneof("val")
    if found is None or found == "null_val":
        return None
    field = _FIELDS.get(kind)
    wanted = field or _OTHER_FIELDS.get(kind, f"{kind.lower()}_val")
    if found != wanted:
        if not _converts(found, wanted):
            raise ValueError(f"a {found.removesuffix('_val')} where a {kind.lower()} is declared")
        if kind in FIXED_LISTS:
            return [_number(kind.removesuffix("_LIST"), one) for one in getattr(message, found).val]
        return _number(kind, getattr(message, found))
    if field is None:
        return message.SerializeToString(deterministic=True)
    value = getattr(message, field)
    return list(value.val) if kind.endswith("_LIST") else value


_WHOLE = ("int32_val", "int64_val", "unix_timestamp_val", "bool_val")
_NUMBERS = (*_WHOLE, "float_val", "double_val")


def _converts(found: str, wanted: str) -> bool:
    """Whether a number of one type may stand for one of another without loss of its kind."""
    if found.endswith("_list_val") != wanted.endswith("_list_val"):
        return False
    found, wanted = found.replace("_list_val", "_val"), wanted.replace("_list_val", "_val")
    if wanted in ("float_val", "double_val"):
        return found in _NUMBERS
    return wanted in _WHOLE and found in _WHOLE


def _number(kind: str, value: Any) -> Any:
    converted: Any
    if kind in ("FLOAT", "DOUBLE"):
        converted = float(value)
    else:
        converted = bool(value) if kind == "BOOL" else int(value)
    try:
        struct.pack(f"<{FIXED[kind]}", converted)
    except (struct.error, OverflowError):
        raise ValueError(f"{value}, which is out of the range of {kind.lower()}") from None
    return converted


def _texts(part: Any, as_text: bool) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(part):
        end = at + 4 + int.from_bytes(part[at : at + 4], "little")
        piece = part[at + 4 : end]
        found.append(str(piece, "utf-8") if as_text else bytes(piece))
        at = end
    return found
