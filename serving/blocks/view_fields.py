"""A block of a feature view: each column a field, with the unit and meaning that dbt gives it."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from profilestore.instants import from_micros
from serving.blocks.known import Known
from serving.blocks.layout import SHAPES
from serving.documents import FieldsBlock, FieldValue


def fields_block(known: Known, name: str) -> FieldsBlock:
    """A block that has no other shape."""
    return FieldsBlock(**fields_of(known, name))


def fields_of(known: Known, name: str) -> dict[str, Any]:
    """State, age, source and fields of a block; a column with a place of its own is no field."""
    view = known.layout.views.get(name)
    about = known.about(view, f"the block {name!r}")
    if view is None or about["state"] == "withheld":
        return {**about, "fields": {}}
    shaped = SHAPES[name][1] if name in SHAPES else set()
    values = known.values(view)
    return {
        **about,
        "fields": {
            column.name: FieldValue(
                value=plain(values.get(column.name)),
                unit=column.tags.get("unit"),
                description=column.description or None,
            )
            for column in known.layout.columns[view]
            if column.name not in shaped
        },
    }


def plain(value: Any) -> Any:
    """A value that JSON can hold: null for NaN and infinity, lists for sets, base64 for bytes."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(element) for element in value]
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    return value


def instant(microseconds: int | None) -> datetime | None:
    """An instant of a column in microseconds since 1970."""
    return None if microseconds is None else from_micros(microseconds)


def parallel(values: Mapping[str, Any], first: str, *others: str) -> Iterable[tuple[Any, ...]]:
    """Rows of lists that run in parallel; a list that is absent or short gives None."""
    columns = [list(values.get(name) or ()) for name in (first, *others)]
    rows = len(columns[0])
    return zip(*(column[:rows] + [None] * (rows - len(column)) for column in columns), strict=True)
