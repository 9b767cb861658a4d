"""An online response as Feast's feature server sends it: JSON straight from the records.

Feast makes a message of every value, then Python's values of the messages, and JSON of those. The
bytes are to say the same: a test compares with what Feast's server makes of the same messages.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from feast.feature_server_utils import _value_to_native

from profilestore.instants import from_micros
from profilestore.online_store.instant_text import InstantTexts
from profilestore.online_store.reading import ViewRecords
from profilestore.online_store.record import Column, listed
from profilestore.online_store.response import to_proto
from profilestore.online_store.selection import FLOAT_LISTS, FLOATS, PLAIN, Selection

_STATUSES = {"fresh": b'"PRESENT"', "stale": b'"OUTSIDE_MAX_AGE"', "missing": b'"NOT_FOUND"'}
_NO_TIME = b'"1970-01-01T00:00:00Z"'


def encode(
    keys: Mapping[str, tuple[str, Sequence[Any]]],
    names: Sequence[str],
    views: Sequence[tuple[Selection, ViewRecords]],
) -> bytes:
    """The body of an answer.

    Args:
        keys: join key -> its Feast type and its values, a row each.
        names: of the features in the answer, in the order of the views and of their selections.
        views: each with its records.
    """
    rows = max((len(values) for _, values in keys.values()), default=0)
    statuses, times = _column([_STATUSES["fresh"]] * rows), _column([_NO_TIME] * rows)
    results: list[dict[str, Any]] = [
        {"values": values, "statuses": statuses, "event_timestamps": times}
        for _, values in keys.values()
    ]
    present = _column([_STATUSES["fresh"]] * rows)
    for (selection, found), times in zip(views, _times_of(views), strict=True):
        # The features of a view share these: written once.
        states = found.states
        statuses = (
            present
            if states.count("fresh") == rows
            else _column([_STATUSES[state] for state in states])
        )
        results += [
            {"values": values, "statuses": statuses, "event_timestamps": times}
            for values in _written(selection, found.stored)
        ]
    answer = {"results": results, "metadata": {"feature_names": [*keys, *names]}}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _column(parts: Sequence[bytes]) -> orjson.Fragment:
    return orjson.Fragment(b"[%s]" % b",".join(parts))


def _times_of(views: Sequence[tuple[Selection, ViewRecords]]) -> Iterator[orjson.Fragment]:
    """The event times of each view's rows; those of all arrays are written at once."""
    columns = [found.stored_events for _, found in views]
    arrays = [one for one in columns if isinstance(one, np.ndarray)]
    texts = InstantTexts(np.concatenate(arrays)) if arrays else None
    begin = 0
    for one in columns:
        if texts is not None and isinstance(one, np.ndarray):
            yield orjson.Fragment(texts.json(begin, begin + len(one)))
            begin += len(one)
        else:
            yield _column([_NO_TIME if event is None else _time(event) for event in listed(one)])


@lru_cache(maxsize=4096)
def _time(event: int) -> bytes:
    precision = "microseconds"
    if not event % 1_000:
        precision = "milliseconds" if event % 1_000_000 else "seconds"
    return b'"%sZ"' % from_micros(event).replace(tzinfo=None).isoformat("T", precision).encode()


def _written(selection: Selection, columns: Sequence[Column]) -> Sequence[Column]:
    """The values of each feature as they are to be written."""
    if not selection.is_plain:
        return [
            _WRITTEN.get(kind, _others)(kind, column)
            for (_, kind), column in zip(selection.features, columns, strict=True)
        ]
    if isinstance(columns[0], np.ndarray):
        return [
            _WRITTEN[kind](kind, column)
            for (_, kind), column in zip(selection.features, columns, strict=True)
        ]
    # JSON has no name for what is no number, and a sum with one of those is none either.
    try:
        are_finite = math.isfinite(sum(sum(columns[n]) for n in selection.floats))
    except TypeError:  # some are null
        are_finite = False
    if are_finite:
        return columns
    return [
        _WRITTEN[kind](kind, column)
        for (_, kind), column in zip(selection.features, columns, strict=True)
    ]


def _plain(_: str, column: Column) -> Column:
    # What lies side by side is written as it is.
    return np.ascontiguousarray(column) if isinstance(column, np.ndarray) else column


def _numbers(_: str, column: Column) -> Column:
    if isinstance(column, np.ndarray):
        # A number of four bytes is written with all the digits of its eight.
        wide = np.ascontiguousarray(column, np.float64)
        return wide if np.isfinite(wide).all() else _each(column, _number)
    try:
        are_finite = all(map(math.isfinite, column))
    except TypeError:  # some are null
        are_finite = all(value is None or math.isfinite(value) for value in column)
    return column if are_finite else _each(column, _number)


def _others(kind: str, column: Column) -> Column:
    if kind in FLOAT_LISTS:
        return _each(column, lambda numbers: [_number(number) for number in numbers])
    if kind == "BYTES":
        return _each(column, lambda part: base64.b64encode(part).decode())
    return _each(column, lambda value: _value_to_native(to_proto(kind, value)))


_WRITTEN = dict.fromkeys(PLAIN, _plain) | dict.fromkeys(FLOATS, _numbers)


def _each(column: Column, native: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else native(value) for value in listed(column)]


def _number(value: float) -> float | str:
    """JSON has no name for what is no number; protobuf's JSON has these."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
