"""What a feature view declares against what its source holds.

A column fits a declared type if every value of the column's type is a value of the declared one.
Judged by type, never by the values that happen to be there today:

    integers     the same or a wider integer; a float that has each of them (INTEGER to Float64,
                 BIGINT not). UBIGINT fits nothing; HUGEINT fits Decimal
    floats       the same or wider: FLOAT to Float64, DOUBLE to Float32 not
    decimals     Decimal only: a float rounds
    texts        String; VARCHAR and UUID also Uuid, VARCHAR and JSON also Json
    times        UnixTimestamp. Feast keeps those to the second online; a type does not say whether
                 there is anything below the second, and the house's marts are cut to it
    arrays       Array and Set, element by element (a Set says that order and repetition mean
                 nothing)
    structs      Struct with the same fields, each fitting
    maps         Map for text keys, ScalarMap

Where Feast infers a type it forgets what is inside of a struct and of an array of arrays: it then
says `Struct({_value: String})` and `Array(Array(String))`, which any struct and any such array fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.field import Field
from feast.repo_config import RepoConfig
from feast.types import Array, Set, String, Struct, from_value_type
from feast.value_type import ValueType

from profilestore.errors import InputError
from profilestore.offline_store.point_in_time import Column
from profilestore.offline_store.source import (
    batch_source,
    columns_of,
    source_column,
    time_columns,
)
from profilestore.offline_store.types import TIMESTAMPS, UNTYPED, element, kind, value_type

_SMALL = {"TINYINT", "SMALLINT", "UTINYINT", "USMALLINT"}
_INT32 = _SMALL | {"INTEGER"}
_INT64 = _INT32 | {"UINTEGER", "BIGINT"}

# Feast type (the name of its ValueType) -> the DuckDB types all of whose values it holds.
_HOLDS = {
    "BOOL": {"BOOLEAN"},
    "INT32": _INT32,
    "INT64": _INT64,
    # Whole numbers up to 2^24 and 2^53 have a float each.
    "FLOAT": _SMALL | {"FLOAT"},
    "DOUBLE": _INT32 | {"UINTEGER", "FLOAT", "DOUBLE"},
    "DECIMAL": {"HUGEINT", "UHUGEINT", "DECIMAL"},
    "STRING": {"VARCHAR", "ENUM", "UUID", "JSON"},
    "UUID": {"UUID", "VARCHAR"},
    "TIME_UUID": {"UUID", "VARCHAR"},
    "JSON": {"JSON", "VARCHAR"},
    "BYTES": {"BLOB"},
    "IMAGE_BYTES": {"BLOB"},
    "PDF_BYTES": {"BLOB"},
    "UNIX_TIMESTAMP": TIMESTAMPS,
    "ZONED_TIMESTAMP": TIMESTAMPS,
}

_ANY_STRUCT = from_value_type(ValueType.STRUCT)
_ANY_ARRAYS = Array(String)

# Feast type -> the DuckDB type that a new column gets for it.
_COLUMNS = {
    "BOOL": "BOOLEAN",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "STRING": "VARCHAR",
    "UUID": "VARCHAR",
    "TIME_UUID": "VARCHAR",
    "JSON": "VARCHAR",
    "BYTES": "BLOB",
    "UNIX_TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
}

# What may become of one another by a careless change of a model, and never by a wider type.
_FAMILIES = {
    "text": {"STRING"},
    "number": {"INT32", "INT64", "FLOAT", "DOUBLE", "DECIMAL"},
    "bytes": {"BYTES", "IMAGE_BYTES", "PDF_BYTES"},
    "time": {"UNIX_TIMESTAMP", "ZONED_TIMESTAMP"},
    "truth": {"BOOL"},
}
# Feast reads these pairs as one another without a guess.
_KIN = {("time", "number"), ("number", "truth"), ("truth", "number")}


def check_view(feature_view: FeatureView, config: RepoConfig) -> None:
    """Check that a view's source holds every key and feature that it declares, without loss.

    The time columns are checked too. A view that computes its features from its source, or has no
    batch source, is not checked beyond them.

    Raises:
        MissingStageError: the table or file is not there.
        InputError: one line for each column that is missing or does not fit: view, column, found,
            wanted; and what to do.
    """
    if feature_view.batch_source is None:
        return
    label = f"feature view {feature_view.name!r}"
    source = batch_source(feature_view.batch_source, label)
    columns = columns_of(source, config, label)
    problems = []
    try:
        time_columns(source, columns, f"{label}: source {source.name!r}")
    except InputError as error:
        problems.append(str(error))
    for role, field in _declared(feature_view):
        problem = _problem(columns, source_column(source, field.name), field, role)
        if problem:
            problems.append(problem)
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise InputError(
            f"{label} declares what its source {source.name!r} does not hold:{lines}\n"
            f"Correct the model, or the declaration, and apply again."
        )


def fits(duckdb_type: str, declared: Any) -> bool:
    """Whether every value of a DuckDB type is a value of a Feast type (`feast.types`)."""
    if duckdb_type == UNTYPED:
        return True
    name = kind(duckdb_type)
    if isinstance(declared, (Array, Set)):
        if name != "LIST":
            return False
        inner = element(duckdb_type)
        if declared.base_type == _ANY_ARRAYS and kind(inner) == "LIST":
            return True
        return fits(inner, declared.base_type)
    if isinstance(declared, Struct):
        if name != "STRUCT":
            return False
        if declared == _ANY_STRUCT:
            return True
        fields = _fields(duckdb_type)
        return fields.keys() == declared.fields.keys() and all(
            fits(found, declared.fields[field]) for field, found in fields.items()
        )
    wanted = declared.to_value_type().name
    if wanted in ("MAP", "SCALAR_MAP"):
        return name == "MAP" and (wanted == "SCALAR_MAP" or value_type(duckdb_type).name == "MAP")
    return name in _HOLDS.get(wanted, set())


def same_family(duckdb_type: str, declared: Any) -> bool:
    """Whether a DuckDB type could still be read as a Feast type: false for a number where a text
    was declared, or an array where there was none. Other losses are for `check_view`."""
    if duckdb_type == UNTYPED:
        return True
    if isinstance(declared, (Array, Set)):
        return kind(duckdb_type) in ("LIST", "VARCHAR", "BLOB")
    wanted = _family(declared.to_value_type().name)
    if wanted is None:
        return True
    if kind(duckdb_type) == "LIST":
        return False
    try:
        found = _family(value_type(duckdb_type).name)
    except InputError:
        return True
    return found is None or found == wanted or (wanted, found) in _KIN


def duckdb_type(declared: Any) -> str | None:
    """The DuckDB type of a new column for a Feast type; None where the values have to say it."""
    if isinstance(declared, (Array, Set)):
        inner = duckdb_type(declared.base_type)
        return None if inner is None else f"{inner}[]"
    return _COLUMNS.get(declared.to_value_type().name)


def _declared(feature_view: FeatureView) -> list[tuple[str, Field]]:
    computed = ("feature_transformation", "aggregations")
    if any(getattr(feature_view, how, None) for how in computed):
        return []
    return [
        *(("key", f) for f in feature_view.entity_columns if f.name != DUMMY_ENTITY_ID),
        *(("feature", f) for f in feature_view.features),
    ]


def _problem(columns: Sequence[Column], name: str, field: Field, role: str) -> str | None:
    what = f"column {name!r} ({role}{'' if name == field.name else f' {field.name!r}'})"
    found = [column for column in columns if column.name == name] or [
        column for column in columns if column.name.lower() == name.lower()
    ]
    if not found:
        there = ", ".join(column.name for column in columns)
        return f"{what}: found no such column, wanted {field.dtype}; there are: {there}"
    if fits(found[0].type, field.dtype):
        return None
    return f"{what}: found {found[0].type}, wanted {field.dtype}{_advice(found[0].type)}"


def _advice(duckdb_type: str) -> str:
    """Which declaration would fit."""
    try:
        fitting = from_value_type(value_type(duckdb_type))
    except (InputError, ValueError):
        fitting = None
    if fitting is not None and fits(duckdb_type, fitting):
        return f" (it fits {fitting})"
    return " (no Feast type holds all of it: cast it in the model)"


def _fields(struct: str) -> dict[str, str]:
    """The fields of a `STRUCT(...)`: name -> type. DuckDB reads its own types best."""
    with duckdb.connect(":memory:") as connection:
        given = connection.execute(f"SELECT CAST(NULL AS {struct}) AS s").description
    assert given is not None  # a SELECT always has one
    return {name: str(inner) for name, inner in given[0][1].children}


def _family(value_type_name: str) -> str | None:
    return next((f for f, names in _FAMILIES.items() if value_type_name in names), None)
