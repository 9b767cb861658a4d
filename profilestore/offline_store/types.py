"""Types at the three borders: DuckDB to Feast, DuckDB to Arrow, spine to history.

DuckDB writes a type as text (`DECIMAL(10,2)`, `BIGINT[]`, `TIMESTAMP WITH TIME ZONE`); every
function here takes that text, because it is what `DESCRIBE` and Feast's registry carry.
"""

from __future__ import annotations

import re

import pyarrow as pa
from feast.value_type import ValueType

from profilestore.errors import InputError

INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
FLOATS = {"FLOAT", "DOUBLE"}
TIMESTAMPS = {
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
}
# What DuckDB calls a column of which nothing is known but that it is null.
UNTYPED = '"NULL"'

_VALUE_TYPES = {
    "BOOLEAN": ValueType.BOOL,
    "TINYINT": ValueType.INT32,
    "SMALLINT": ValueType.INT32,
    "INTEGER": ValueType.INT32,
    "UTINYINT": ValueType.INT32,
    "USMALLINT": ValueType.INT32,
    "UINTEGER": ValueType.INT64,
    "BIGINT": ValueType.INT64,
    "UBIGINT": ValueType.INT64,
    # sum() of integers is HUGEINT; no Feast integer holds it, and DOUBLE would round.
    "HUGEINT": ValueType.DECIMAL,
    "UHUGEINT": ValueType.DECIMAL,
    "FLOAT": ValueType.FLOAT,
    "DOUBLE": ValueType.DOUBLE,
    "VARCHAR": ValueType.STRING,
    "BLOB": ValueType.BYTES,
    "UUID": ValueType.UUID,
    "JSON": ValueType.JSON,
    **dict.fromkeys(TIMESTAMPS, ValueType.UNIX_TIMESTAMP),
}


def kind(duckdb_type: str) -> str:
    """The type without its parameters: `DECIMAL(10,2)` is `DECIMAL`, `BIGINT[3]` is `LIST`."""
    if duckdb_type.endswith("]"):
        return "LIST"
    return re.sub(r"\(.*", "", duckdb_type, flags=re.DOTALL).strip()


def element(duckdb_type: str) -> str:
    """The element type of `X[]` or `X[3]`."""
    return re.sub(r"\[\d*\]$", "", duckdb_type)


def value_type(duckdb_type: str) -> ValueType:
    """The Feast type of a DuckDB type.

    Raises:
        InputError: Feast has no such type (TIME, INTERVAL, BIT, UNION): cast it in the model.
    """
    name = kind(duckdb_type)
    if name == "LIST":
        inner = value_type(element(duckdb_type))
        if inner.name.endswith("_LIST") or inner is ValueType.SCALAR_MAP:
            return ValueType.VALUE_LIST
        return ValueType[f"{inner.name}_LIST"]
    if name == "DECIMAL":
        return ValueType.DECIMAL
    if name == "ENUM":
        return ValueType.STRING
    if name == "STRUCT":
        return ValueType.STRUCT
    if name == "MAP":
        # Feast's Map has text keys; anything else is its ScalarMap.
        return ValueType.MAP if duckdb_type.startswith("MAP(VARCHAR") else ValueType.SCALAR_MAP
    try:
        return _VALUE_TYPES[name]
    except KeyError:
        raise InputError(
            f"Feast has no type for a DuckDB column of type {duckdb_type}. "
            f"Cast it in the model, for example to VARCHAR or BIGINT."
        ) from None


def portable(expression: str, duckdb_type: str) -> str:
    """`expression`, cast where DuckDB's own Arrow or Parquet form would surprise a reader.

    HUGEINT would become DOUBLE in Parquet; ENUM a dictionary; a fixed-size array a type that Feast
    does not expect.
    """
    name = kind(duckdb_type)
    if name in ("HUGEINT", "UHUGEINT"):
        return f"CAST({expression} AS DECIMAL(38,0))"
    if name in ("ENUM", "UUID"):
        return f"CAST({expression} AS VARCHAR)"
    if name == "LIST" and not duckdb_type.endswith("[]"):
        return f"CAST({expression} AS {element(duckdb_type)}[])"
    return expression


def arrow_type(given: pa.DataType) -> pa.DataType:
    """The Arrow type as Feast spells it: the child of a list is called `item`."""
    if pa.types.is_list(given):
        return pa.list_(arrow_type(given.value_type))
    return given


def joinable(spine_type: str, history_type: str) -> bool:
    """Whether `spine key = history key` can be true for some values without a guess."""
    return spine_type == UNTYPED or family(spine_type) == family(history_type)


def family(duckdb_type: str) -> str:
    """The types whose values can be compared with this one's, as one word."""
    name = kind(duckdb_type)
    if name in INTEGERS | FLOATS | {"DECIMAL"}:
        return "number"
    if name in ("VARCHAR", "ENUM", "UUID"):
        return "text"
    if name in TIMESTAMPS:
        return "time"
    return name


def spine_key(expression: str, spine_type: str, history_type: str) -> str:
    """The spine's key as the history has it.

    pandas turns an integer column with a hole into floats: 7.0 has to find 7, and 7.5 nothing.
    """
    if spine_type == UNTYPED:
        return f"CAST(NULL AS {history_type})"
    if kind(spine_type) in FLOATS and kind(history_type) in INTEGERS:
        whole = f"{expression} = floor({expression})"
        return f"CASE WHEN {whole} THEN TRY_CAST({expression} AS BIGINT) END"
    return portable(expression, spine_type)


def microseconds(expression: str, duckdb_type: str, *, round_up: bool = False) -> str:
    """A BIGINT of microseconds since 1970 in UTC; a naive time is UTC, a date is its midnight.

    Nanoseconds are rounded down, or up with `round_up`: a spine looks from the microsecond it has
    reached, a history row counts from the microsecond in which it has wholly happened, so that
    rounding never shows the future. Infinite times give null.
    """
    if duckdb_type == UNTYPED:
        return "CAST(NULL AS BIGINT)"
    if kind(duckdb_type) != "TIMESTAMP_NS":
        return f"epoch_us({expression})"
    # epoch_us cuts towards zero.
    if round_up:
        return f"(epoch_us({expression}) + CAST(epoch_ns({expression}) % 1000 > 0 AS BIGINT))"
    return f"(epoch_us({expression}) - CAST(epoch_ns({expression}) % 1000 < 0 AS BIGINT))"
