"""Which Feast type holds a DuckDB type without loss, and which types have none."""

from __future__ import annotations

import re

from profilestore.errors import InputError

_SCALARS = {
    "boolean": "Bool",
    "bool": "Bool",
    "tinyint": "Int32",
    "smallint": "Int32",
    "integer": "Int32",
    "int": "Int32",
    "utinyint": "Int32",
    "usmallint": "Int32",
    "uinteger": "Int64",
    "bigint": "Int64",
    "float": "Float32",
    "real": "Float32",
    "double": "Float64",
    "varchar": "String",
    "text": "String",
    "string": "String",
    "blob": "Bytes",
}

_INSTANTS = ("timestamp with time zone", "timestamptz")

# Types that look as if they had a place, and what to do instead.
_REFUSED = {
    "timestamp": "it names no instant; use timestamp with time zone",
    "datetime": "it names no instant; use timestamp with time zone",
    "date": "Feast has no date; use timestamp with time zone at the day's start",
    "time": "Feast has no time of day; use bigint microseconds since midnight",
    "interval": "Feast has no interval; use bigint microseconds or double days",
    "hugeint": "it does not fit 64 bits; cast to bigint, or to decimal",
    "ubigint": "it does not fit signed 64 bits; cast to bigint, or to decimal",
    "json": "declare it varchar, or take the fields out as columns of their own",
    "uuid": "declare it varchar",
}

_DECIMAL = re.compile(r"(?:decimal|numeric)(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?")
_ARRAY = re.compile(r"(?P<item>.+?)\s*\[\d*\]")


def feast_type(mart: str, column: str, data_type: str, unit: str | None = None) -> str:
    """The expression of the Feast type, for example `Array(String)`.

    Args:
        unit: what the column's YAML says of its unit. Both of Feast's timestamp types keep whole
            seconds, so a timestamp has to declare `unit: seconds`.

    Raises:
        InputError: no Feast type holds it without loss.
    """
    spelled = " ".join(data_type.lower().split())
    if spelled in _INSTANTS:
        if unit == "seconds":
            return "UnixTimestamp"
        raise _refusal(
            mart,
            column,
            data_type,
            "Feast keeps timestamps to the second; cut it with date_trunc('second', ...) and "
            "declare `unit: seconds`, or use bigint of epoch_us()",
        )
    array = _ARRAY.fullmatch(spelled)
    if array:
        return f"Array({_array_item(mart, column, data_type, array['item'])})"
    return _scalar(mart, column, data_type, spelled)


def _array_item(mart: str, column: str, data_type: str, item: str) -> str:
    if _ARRAY.fullmatch(item):
        raise _refusal(mart, column, data_type, "Feast's arrays of arrays lose their inner type")
    if item in _INSTANTS:
        raise _refusal(
            mart,
            column,
            data_type,
            "Feast keeps timestamps to the second; use bigint[] of epoch_us()",
        )
    return _scalar(mart, column, data_type, item)


def _scalar(mart: str, column: str, data_type: str, spelled: str) -> str:
    if spelled in _SCALARS:
        return _SCALARS[spelled]
    if _DECIMAL.fullmatch(spelled):
        return "Decimal"
    if spelled.startswith(("struct", "map", "union", "row")):
        reason = "make each field a column of its own"
    else:
        reason = _REFUSED.get(spelled, "no Feast type holds it")
    raise _refusal(mart, column, data_type, reason)


def _refusal(mart: str, column: str, data_type: str, reason: str) -> InputError:
    return InputError(
        f"model {mart}, column {column}: type {data_type} cannot be a feature: {reason}."
    )
