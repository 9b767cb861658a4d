"""An online response as Feast's feature server sends it: JSON straight from the records.

Feast makes a message of every value, then Python's values of the messages, and JSON of those. The
bytes are to say the same: a test compares with what Feast's server makes of the same messages.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from feast.feature_server_utils import _value_to_native

from profilestore.instants import from_micros
from profilestore.online_store.reading import ViewRecords
from profilestore.online_store.record import FIXED, FIXED_LISTS, Column, listed
from profilestore.online_store.response import to_proto
from profilestore.online_store.selection import Selection

_STATUSES = {"fresh": b'"PRESENT"', "stale": b'"OUTSIDE_MAX_AGE"', "missing": b'"NOT_FOUND"'}
_NO_TIME = b'"1970-01-01T00:00:00Z"'
# From so many on, all times at once are quicker than one by one.
_FEW = 8
_FLOATS = {"FLOAT", "DOUBLE"}
_FLOAT_LISTS = {f"{kind}_LIST" for kind in _FLOATS}
# Their values are JSON's as they are.
_PLAIN = ({"STRING", "STRING_LIST"} | set(FIXED) | set(FIXED_LISTS)) - _FLOATS - _FLOAT_LISTS


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
    for selection, found in views:
        # The features of a view share these: written once.
        statuses = _column([_STATUSES[state] for state in found.states])
        times = _column(_times(found.stored_events))
        stored = found.stored
        results += [
            {
                "values": _WRITTEN.get(kind, _others)(kind, stored[feature]),
                "statuses": statuses,
                "event_timestamps": times,
            }
            for feature, kind in selection.features
        ]
    return orjson.dumps({"results": results, "metadata": {"feature_names": [*keys, *names]}})


def _column(parts: Sequence[bytes]) -> orjson.Fragment:
    return orjson.Fragment(b"[%s]" % b",".join(parts))


def _times(events: Column) -> list[bytes]:
    """RFC 3339 with as many digits of a second as protobuf's JSON gives: none, three or six."""
    listed_ = listed(events)
    if len(listed_) < _FEW or None in listed_:
        return [_NO_TIME if event is None else _time(event) for event in listed_]
    # All at once, with six digits each.
    texts = np.datetime_as_string(np.asarray(listed_, "<M8[us]")).tolist()
    return [
        f'"{text}Z"'.encode() if event % 1_000 else _time(event)
        for event, text in zip(listed_, texts, strict=True)
    ]


@lru_cache(maxsize=4096)
def _time(event: int) -> bytes:
    precision = "microseconds"
    if not event % 1_000:
        precision = "milliseconds" if event % 1_000_000 else "seconds"
    return b'"%sZ"' % from_micros(event).replace(tzinfo=None).isoformat("T", precision).encode()


def _plain(_: str, column: Column) -> Sequence[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _numbers(_: str, column: Column) -> Sequence[Any]:
    if isinstance(column, np.ndarray):
        return column.tolist() if np.isfinite(column).all() else _each(column, _number)
    try:
        are_finite = all(map(math.isfinite, column))
    except TypeError:  # some are null
        are_finite = all(value is None or math.isfinite(value) for value in column)
    return column if are_finite else _each(column, _number)


def _others(kind: str, column: Column) -> Sequence[Any]:
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
