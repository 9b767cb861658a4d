"""What stands for a missing value of a column, checked against the column's type."""

from __future__ import annotations

import json
import math
from typing import Any

from profilestore.codegen.feast_types import feast_type
from profilestore.errors import InputError

_BITS = {"Int32": 32, "Int64": 64}


def default_text(mart: str, column: str, data_type: str, default: Any) -> str:
    """A declared default as JSON.

    Args:
        data_type: as the contract spells it.

    Raises:
        InputError: it is no value of that type, or null, which is what a missing value is anyway.
    """
    # Only the type is wanted: whether a timestamp may be a feature is not asked here.
    kind = feast_type(mart, column, data_type, unit="seconds")
    of_items = kind.startswith("Array(")
    item = kind.removeprefix("Array(").removesuffix(")")
    if of_items:
        fits = isinstance(default, list) and all(_is(item, one) for one in default)
    else:
        fits = _is(item, default)
    if not fits:
        raise InputError(
            f"model {mart}, column {column}: meta.default is {default!r}, which is no value of "
            f"type {data_type}. Correct it, or leave it out where a missing value stays null."
        )
    return json.dumps(default, ensure_ascii=False)


def _is(kind: str, value: Any) -> bool:
    """Whether a value of YAML is one of a Feast type. Times and bytes have no form in YAML."""
    if kind == "Bool":
        return isinstance(value, bool)
    if kind == "String":
        return isinstance(value, str)
    if isinstance(value, bool):
        return False
    if kind in _BITS:
        beyond = 2 ** (_BITS[kind] - 1)
        return isinstance(value, int) and -beyond <= value < beyond
    if kind in ("Float32", "Float64", "Decimal"):
        return isinstance(value, int | float) and math.isfinite(value)
    return False
