"""An online response as Feast's feature server sends it: JSON straight from the records.

Feast makes a message of every value, then Python's values of the messages, and JSON of those. The
bytes are to say the same: a test compares with what Feast's server makes of the same messages.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from feast.feature_server_utils import _value_to_native

from profilestore.online_store.instant_text import InstantTexts, instant_json
from profilestore.online_store.reading import ViewRecords
from profilestore.online_store.record import FIXED, FIXED_LISTS, Column, listed
from profilestore.online_store.response import to_proto
from profilestore.online_store.selection import Selection

_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_FLOAT_LISTS = frozenset({"FLOAT_LIST", "DOUBLE_LIST"})
# Their values are JSON's as they are.
_PLAIN = ({"STRING", "STRING_LIST"} | set(FIXED) | set(FIXED_LISTS)) - _FLOATS - _FLOAT_LISTS

_STATUSES = {"fresh": b'"PRESENT"', "stale": b'"OUTSIDE_MAX_AGE"', "missing": b'"NOT_FOUND"'}
_NO_TIME = b'"1970-01-01T00:00:00Z"'


def encode(
    keys: Mapping[str, tuple[str, Sequence[Any]]],
    names: bytes,
    views: Sequence[tuple[Selection, ViewRecords]],
) -> bytes:
    """The body of an answer.

    Args:
        keys: join key -> its Feast type and its values, a row each; one at least.
        names: of the features in the answer, in the order of the views and of their selections.
        views: each with its records.
    """
    rows = max((len(values) for _, values in keys.values()), default=0)
    present, no_times = _column([_STATUSES["fresh"]] * rows), _column([_NO_TIME] * rows)
    given = [orjson.dumps(values)[1:-1] for _, values in keys.values()]
    parts = _features(given, present, no_times)
    for (selection, found), times in zip(views, _times_of(views), strict=True):
        states = found.states
        # The features of a view share these: written once.
        statuses = present if found.has_all else _column([_STATUSES[state] for state in states])
        parts += _features(_values(selection, found), statuses, times)
    every = b",".join(filter(None, (names_json(keys), names)))
    # The first has none before it.
    parts[0] = b'{"results":[{"values":['
    parts += [b'],"metadata":{"feature_names":[', every, b"]}}"]
    return b"".join(parts)


def names_json(names: Iterable[str]) -> bytes:
    """Names as they stand within a list."""
    return orjson.dumps(list(names))[1:-1]


def _column(parts: Sequence[bytes]) -> bytes:
    return b"[%b]" % b",".join(parts)


def _features(values: Sequence[bytes], statuses: bytes, times: bytes) -> list[bytes]:
    """Columns with the same statuses and times, a comma before each.

    Args:
        values: of each column, as they stand within a list.
    """
    end = b'],"statuses":%b,"event_timestamps":%b}' % (statuses, times)
    return [part for one in values for part in (b',{"values":[', one, end)]


def _times_of(views: Sequence[tuple[Selection, ViewRecords]]) -> list[bytes]:
    """The event times of each view's rows; those of all arrays are written at once."""
    columns = [found.stored_events for _, found in views]
    arrays = [one for one in columns if isinstance(one, np.ndarray)]
    if not arrays:
        return [_column([_time(at) for at in one]) for one in columns]
    texts = InstantTexts(np.concatenate(arrays))
    begin, found = 0, []
    for one in columns:
        if isinstance(one, np.ndarray):
            found.append(texts.json(begin, begin + len(one)))
            begin += len(one)
        else:
            found.append(_column([_time(at) for at in one]))
    return found


def _time(at: int | None) -> bytes:
    return _NO_TIME if at is None else instant_json(at)


def _values(selection: Selection, found: ViewRecords) -> list[bytes]:
    """The values of each feature as they stand within a list."""
    columns = found.stored
    if selection.is_numeric and found.has_all and columns and isinstance(columns[0], tuple):
        text = orjson.dumps(columns)
        # JSON has no name for what is no number: null is written, where Feast has a text.
        if b"null" not in text:
            return text[2:-2].split(b"],[")
    return [
        orjson.dumps(_WRITTEN.get(kind, _others)(kind, column), option=orjson.OPT_SERIALIZE_NUMPY)[
            1:-1
        ]
        for (_, kind), column in zip(selection.features, columns, strict=True)
    ]


def _plain(_: str, column: Column) -> Column:
    # What lies side by side is written as it is.
    return np.ascontiguousarray(column) if isinstance(column, np.ndarray) else column


def _numbers(_: str, column: Column) -> Column:
    if isinstance(column, np.ndarray):
        wide = np.ascontiguousarray(column, np.float64)
        # A sum with what is no number is none either. (Of huge ones too: then each is asked.)
        return wide if math.isfinite(wide.dot(wide)) else _each(column, _number)
    try:
        are_finite = all(map(math.isfinite, column))
    except TypeError:  # some are null
        are_finite = False
    return column if are_finite else _each(column, _number)


def _others(kind: str, column: Column) -> Column:
    if kind in _FLOAT_LISTS:
        return _each(column, lambda numbers: [_number(number) for number in numbers])
    if kind == "BYTES":
        return _each(column, lambda part: base64.b64encode(part).decode())
    return _each(column, lambda value: _value_to_native(to_proto(kind, value)))


_WRITTEN = dict.fromkeys(_PLAIN, _plain) | dict.fromkeys(_FLOATS, _numbers)


def _each(column: Column, native: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else native(value) for value in listed(column)]


def _number(value: float) -> float | str:
    """JSON has no name for what is no number; protobuf's JSON has these."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
