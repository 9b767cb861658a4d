"""Rows handed over to be written, made to fit the columns that they are written to.

A value is written if it is the same when it is read back. So pandas may bring 7.0 for a whole
number, or nanoseconds that are all zero; 7.5 and a text in place of a time are refused, before
anything is written. One loss is meant: a FLOAT column takes doubles, rounded to its precision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from profilestore.errors import InputError, MissingStageError
from profilestore.offline_store.point_in_time import Column, identifier, literal
from profilestore.offline_store.source import describe, first_line
from profilestore.offline_store.types import TIMESTAMPS, UNTYPED, element, family, kind

INCOMING = "profilestore_incoming"

# What pandas adds for an index that is more than a count of rows.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def receive(connection: duckdb.DuckDBPyConnection, rows: pa.Table | Path) -> list[Column]:
    """Make rows readable as `profilestore_incoming` on a connection; its columns.

    Args:
        rows: an Arrow table, or a Parquet file or a folder of them.

    Raises:
        InputError, MissingStageError: neither; or files that cannot be read.
    """
    if isinstance(rows, pa.Table):
        index = [name for name in rows.column_names if _PANDAS_INDEX.fullmatch(name)]
        table = rows.drop_columns(index).replace_schema_metadata(None)
        connection.register(INCOMING, table)
        columns = describe(connection, INCOMING)
        # DuckDB takes an all-null column for INTEGER.
        return [
            Column(name, UNTYPED if pa.types.is_null(given) else column.type)
            for name, given, column in zip(
                table.column_names, table.schema.types, columns, strict=True
            )
        ]
    if not isinstance(rows, Path):
        raise InputError(f"rows to write are a {type(rows).__name__}; give an Arrow table.")
    if not rows.exists():
        raise MissingStageError(f"no rows to write at {rows}: there is no such file or folder.")
    files = rows / "**" / "*.parquet" if rows.is_dir() else rows
    try:
        connection.execute(
            f"CREATE TEMP VIEW {INCOMING} AS SELECT * FROM "
            f"read_parquet({literal(str(files))}, hive_partitioning = false)"
        )
        return describe(connection, INCOMING)
    except duckdb.Error as error:
        raise InputError(
            f"rows to write at {rows} cannot be read as Parquet: {first_line(error)}"
        ) from error


def fitted(
    connection: duckdb.DuckDBPyConnection,
    given: Sequence[Column],
    wanted: Sequence[Column],
    where: str,
) -> str:
    """The SELECT that gives the rows of `profilestore_incoming` as `wanted` has them.

    Args:
        given: what `receive` returned, under the names that `wanted` has.
        where: what is written to, for messages.

    Raises:
        InputError: one line for each column that is missing, is not known, or has a value that
            would not come back the same: column, found, wanted.
    """
    names = [column.name for column in given]
    problems = []
    outputs = []
    checks = []
    checked = []
    for column in wanted:
        if column.name not in names:
            problems.append(f"column {column.name!r}: found none, wanted {column.type}")
            continue
        position = names.index(column.name)
        value, lost = _cast(f"given.c{position}", given[position].type, column.type)
        outputs.append(f"{value} AS {identifier(column.name)}")
        if lost is not None:
            checked.append((column, given[position]))
            checks += [
                f"count(*) FILTER (WHERE {lost})",
                f"any_value(CAST(given.c{position} AS VARCHAR)) FILTER (WHERE {lost})",
            ]
    known = {column.name for column in wanted}
    problems += [
        f"column {column.name!r}: found {column.type}, and there is no such column"
        for column in given
        if column.name not in known
    ]
    # By position: names that differ only in capitals are one to DuckDB.
    renamed = ", ".join(f"c{n}" for n in range(len(given)))
    relation = f"(SELECT * FROM {INCOMING}) AS given({renamed})"
    if checks and not problems:
        try:
            found = connection.execute(f"SELECT {', '.join(checks)} FROM {relation}").fetchall()[0]
        except duckdb.Error as error:
            raise InputError(f"{where}: rows cannot be read: {first_line(error)}") from error
        for n, (column, had) in enumerate(checked):
            count, example = found[2 * n], found[2 * n + 1]
            if count:
                problems.append(
                    f"column {column.name!r}: found {had.type}, wanted {column.type}; "
                    f"{count:,} value(s) do not fit, such as {example!r}{_advice(had, column)}"
                )
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise InputError(f"{where}: nothing was written, because the rows do not fit:{lines}")
    return f"SELECT {', '.join(outputs)} FROM {relation}"


def _cast(value: str, given: str, wanted: str) -> tuple[str, str | None]:
    """The value as `wanted`, and the condition under which it is not the same; None for never."""
    if given == wanted:
        return value, None
    if given == UNTYPED:
        return f"CAST(NULL AS {wanted})", None
    if _family(given) != _family(wanted):
        return f"CAST(NULL AS {wanted})", f"{value} IS NOT NULL"
    cast = f"TRY_CAST({value} AS {wanted})"
    lost = f"{cast} IS NULL"
    if not _rounds(given, wanted) and kind(wanted) != "UUID":
        lost = f"({lost} OR CAST({cast} AS {given}) IS DISTINCT FROM {value})"
    return cast, f"({value} IS NOT NULL AND {lost})"


def _rounds(given: str, wanted: str) -> bool:
    if kind(given) == "LIST" and kind(wanted) == "LIST":
        return _rounds(element(given), element(wanted))
    return given == "DOUBLE" and wanted == "FLOAT"


def _family(duckdb_type: str) -> str:
    name = kind(duckdb_type)
    if name == "LIST":
        return f"{_family(element(duckdb_type))}[]"
    return "text" if name == "JSON" else family(duckdb_type)


def _advice(given: Column, wanted: Column) -> str:
    if kind(wanted.type) in TIMESTAMPS and _family(given.type) == "text":
        return f". Use pd.to_datetime(df[{given.name!r}], utc=True)"
    return ""
