"""An online response as Feast's feature server sends it: JSON straight from the records.

Feast makes a message of every value, then Python's values of the messages, and JSON of those. The
bytes are to say the same: a test compares with what Feast's server makes of the same messages.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from feast.feature_server_utils import _value_to_native
from feast.feature_view import FeatureView

from profilestore.instants import from_micros
from profilestore.online_store.reading import ViewRecords
from profilestore.online_store.record import FIXED, FIXED_LISTS, Column, kind_of, listed
from profilestore.online_store.response import to_proto

_STATUSES = {"fresh": b'"PRESENT"', "stale": b'"OUTSIDE_MAX_AGE"', "missing": b'"NOT_FOUND"'}
_NO_TIME = b'"1970-01-01T00:00:00Z"'
_FLOATS = {"FLOAT", "DOUBLE"}
_FLOAT_LISTS = {f"{kind}_LIST" for kind in _FLOATS}
# Their values are JSON's as they are.
_PLAIN = ({"STRING", "STRING_LIST"} | set(FIXED) | set(FIXED_LISTS)) - _FLOATS - _FLOAT_LISTS


def encode(
    keys: Mapping[str, tuple[str, Sequence[Any]]],
    views: Sequence[tuple[FeatureView, Sequence[str], ViewRecords]],
    full_feature_names: bool,
) -> bytes:
    """The body of an answer.

    Args:
        keys: join key -> its Feast type and its values, a row each.
        views: each with the features asked for and its records.
    """
    names = list(keys)
    results: list[dict[str, Any]] = []
    rows = max((len(values) for _, values in keys.values()), default=0)
    always = _column([_STATUSES["fresh"]] * rows), _column([_NO_TIME] * rows)
    for _, values in keys.values():
        results.append(_vector(values, *always))
    for view, wanted, found in views:
        prefix = f"{view.projection.name_to_use()}__" if full_feature_names else ""
        names += [f"{prefix}{feature}" for feature in wanted]
        kinds = {field.name: kind_of(field.dtype) for field in view.features}
        # The features of a view share these: written once.
        statuses = _column([_STATUSES[state] for state in found.states])
        times = _column(_times(found.stored_events))
        for feature in wanted:
            values = _values(kinds[feature], found.stored[feature])
            results.append(_vector(values, statuses, times))
    return orjson.dumps({"results": results, "metadata": {"feature_names": names}})


def _vector(
    values: Sequence[Any], statuses: orjson.Fragment, times: orjson.Fragment
) -> dict[str, Any]:
    return {"values": values, "statuses": statuses, "event_timestamps": times}


def _column(parts: Sequence[bytes]) -> orjson.Fragment:
    return orjson.Fragment(b"[%s]" % b",".join(parts))


def _times(events: Column) -> list[bytes]:
    written: dict[int | None, bytes] = {None: _NO_TIME}
    found = []
    for event in listed(events):
        text = written.get(event)
        if text is None:
            text = written[event] = _time(event)
        found.append(text)
    return found


def _time(event: int) -> bytes:
    """RFC 3339 with as many digits of a second as protobuf's JSON gives: none, three or six."""
    precision = "microseconds"
    if not event % 1_000:
        precision = "milliseconds" if event % 1_000_000 else "seconds"
    return b'"%sZ"' % from_micros(event).replace(tzinfo=None).isoformat("T", precision).encode()


def _values(kind: str, column: Column) -> Sequence[Any]:
    if kind in _PLAIN:
        return listed(column)
    if kind in _FLOATS:
        if isinstance(column, np.ndarray):
            finite = bool(np.isfinite(column).all())
        else:
            finite = all(value is None or math.isfinite(value) for value in column)
        return listed(column) if finite else _each(column, _number)
    if kind in _FLOAT_LISTS:
        return _each(column, lambda numbers: [_number(number) for number in numbers])
    if kind == "BYTES":
        return _each(column, lambda part: base64.b64encode(part).decode())
    return _each(column, lambda value: _value_to_native(to_proto(kind, value)))


def _each(column: Column, native: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else native(value) for value in listed(column)]


def _number(value: float) -> float | str:
    """JSON has no name for what is no number; protobuf's JSON has these."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
