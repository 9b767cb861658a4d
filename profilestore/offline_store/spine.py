"""The (entity, time) rows asked for: a data frame, a query, or every change in a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import duckdb
import pandas as pd
import pyarrow as pa

from profilestore.errors import InputError
from profilestore.offline_store.point_in_time import (
    SPINE,
    Column,
    Reach,
    Spine,
    View,
    is_narrow,
    key_positions,
    spine_statement,
)
from profilestore.offline_store.source import bare_query, describe, first_line
from profilestore.offline_store.types import TIMESTAMPS, UNTYPED, kind

EVENT_TIMESTAMP = "event_timestamp"
_GIVEN = "profilestore_given"


@dataclass(frozen=True)
class FrameRows:
    """Rows of a pandas DataFrame or of anything that is an Arrow table."""

    table: pa.Table

    @property
    def query(self) -> None:
        """These rows cannot stand in a statement."""

    @property
    def arrow_types(self) -> Sequence[pa.DataType]:
        """The types that the caller gave."""
        return list(self.table.schema.types)

    def columns(self, connection: duckdb.DuckDBPyConnection) -> tuple[Column, ...]:
        """Names and DuckDB types."""
        connection.register(_GIVEN, self.table.slice(0, 0))
        try:
            described = describe(connection, _GIVEN)
        finally:
            connection.unregister(_GIVEN)
        # DuckDB renames a column that differs from another only in capitals: take our own names.
        return tuple(
            Column(name, UNTYPED if self._says_nothing(given) else column.type)
            for name, given, column in zip(
                self.table.column_names, self.table.schema.types, described, strict=True
            )
        )

    def _says_nothing(self, given: pa.DataType) -> bool:
        """Whether a column's type is a guess: all null, or a frame without rows."""
        if self.table.num_rows == 0:
            return not pa.types.is_timestamp(given)
        return bool(pa.types.is_null(given))

    def load(self, connection: duckdb.DuckDBPyConnection, spine: Spine) -> Reach | None:
        """Make the temporary table `profilestore_spine`; None when no row has an instant."""
        connection.register(_GIVEN, self.table)
        try:
            return _load(connection, spine_statement(spine, _GIVEN))
        finally:
            connection.unregister(_GIVEN)


@dataclass(frozen=True)
class QueryRows:
    """Rows of a SELECT; lake tables are called `lake.main.<table>` in it."""

    query: str

    @property
    def arrow_types(self) -> Sequence[pa.DataType]:
        """None given: DuckDB's stay."""
        return ()

    def columns(self, connection: duckdb.DuckDBPyConnection) -> tuple[Column, ...]:
        """As `FrameRows.columns`.

        Raises:
            InputError: the query does not run.
        """
        try:
            return tuple(describe(connection, f"(\n{self.query}\n)"))
        except duckdb.Error as error:
            raise InputError(
                f"the spine's query does not run: {first_line(error)} "
                f"Give one SELECT; call lake tables lake.main.<table>."
            ) from error

    def load(self, connection: duckdb.DuckDBPyConnection, spine: Spine) -> Reach | None:
        """As `FrameRows.load`."""
        return _load(connection, spine_statement(spine, f"(\n{self.query}\n)"))


SpineRows: TypeAlias = FrameRows | QueryRows


def _load(connection: duckdb.DuckDBPyConnection, statement: str) -> Reach | None:
    # A table, not a view: a query is run once, and its size is known to the planner.
    connection.execute(f"CREATE TEMP TABLE {SPINE} AS {statement}")
    found = connection.execute(f"SELECT min(instant), max(instant), count(*) FROM {SPINE}")
    first, last, rows = found.fetchall()[0]
    return None if first is None else Reach(first=first, last=last, rows=rows)


def count_repeats(
    connection: duckdb.DuckDBPyConnection, reach: Reach | None, views: Sequence[View]
) -> Reach | None:
    """The reach of the spine that was loaded, with the repeats of the keys that are looked for."""
    if reach is None:
        return None
    looked_for = {key_positions(view) for view in views if view.keys and is_narrow(view, reach)}
    repeats = {}
    for positions in looked_for:
        keys = ", ".join(f"c{position}" for position in positions)
        found = connection.execute(
            "SELECT sum(rows * rows) / sum(rows)\n"
            f"FROM (SELECT count(*)::double AS rows FROM {SPINE} GROUP BY {keys})"
        )
        repeats[positions] = found.fetchall()[0][0]
    return replace(reach, repeats=repeats)


def spine_rows(given: Any) -> SpineRows:
    """Rows from what a caller passed as `entity_df`.

    Args:
        given: a pandas DataFrame (its index is not read), an Arrow table, any object with
            `__arrow_c_stream__` (Polars), or a SELECT.

    Raises:
        InputError: it is none of these, or a column has no Arrow form.
    """
    if isinstance(given, str):
        return QueryRows(bare_query(given))
    try:
        if isinstance(given, pd.DataFrame):
            table = pa.Table.from_pandas(given, preserve_index=False)
        elif isinstance(given, pa.Table):
            table = given
        elif hasattr(given, "__arrow_c_stream__"):
            table = pa.table(given)
        else:
            raise InputError(
                f"the spine is a {type(given).__name__}; give a pandas DataFrame, an Arrow table, "
                f"or a SELECT as text."
            )
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise InputError(f"the spine cannot be read: {error}") from error
    table = table.replace_schema_metadata(None)
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise InputError(f"the spine has several columns named {', '.join(repeated)}; rename them.")
    return FrameRows(table)


def describe_spine(rows: SpineRows, connection: duckdb.DuckDBPyConnection) -> Spine:
    """Find the column of the instants: `event_timestamp`, or else the only column of times.

    Raises:
        InputError: there is none, several could be it, or `event_timestamp` is not a time.
    """
    columns = rows.columns(connection)
    names = [column.name for column in columns]
    times = [n for n, column in enumerate(columns) if kind(column.type) in TIMESTAMPS]
    if EVENT_TIMESTAMP in names:
        position = names.index(EVENT_TIMESTAMP)
    elif len(times) == 1:
        position = times[0]
    else:
        candidates = ", ".join(names[n] for n in times) or "none"
        raise InputError(
            f"the spine has no column {EVENT_TIMESTAMP!r}, which says at what instant each row "
            f"asks; columns of times: {candidates}; all columns: {', '.join(names)}. "
            f"Add it, or rename the one that is meant."
        )
    found = columns[position]
    if kind(found.type) not in TIMESTAMPS | {UNTYPED}:
        raise InputError(
            f"the spine's column {found.name!r} is {found.type}; a time is wanted. Use "
            f"pd.to_datetime(df[{found.name!r}], utc=True) in pandas, or CAST(... AS TIMESTAMPTZ) "
            f"in SQL."
        )
    return Spine(columns=columns, time=position)
