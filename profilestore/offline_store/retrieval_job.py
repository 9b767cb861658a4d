"""A statement that has been checked and not yet run, as Feast passes it around."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView

from profilestore.errors import InputError, ProfilestoreError
from profilestore.offline_store.connections import LakeLocation, cursor, open_cursor
from profilestore.offline_store.point_in_time import literal
from profilestore.offline_store.types import arrow_type

BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Query:
    """What a job runs.

    Attributes:
        text: one statement that runs on any connection with the lake attached (except that the
            rows of a data frame are not in it: there it reads `profilestore_spine`).
        prepare: makes what is needed on a connection, and returns the statement to run there.
        names: of the result's columns, in order; they may differ only in capitals.
        arrow_types: of the first columns, as the caller gave them.
    """

    text: str
    prepare: Callable[[duckdb.DuckDBPyConnection], str]
    names: Sequence[str]
    arrow_types: Sequence[pa.DataType] = ()


class DuckDBRetrievalJob(RetrievalJob):  # type: ignore[misc]
    """Runs its query at each call of a `to_...` method; nothing is kept between calls."""

    def __init__(
        self,
        *,
        location: LakeLocation,
        query: Query,
        repo_path: Path,
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        metadata: Callable[[], RetrievalMetadata] | None = None,
    ) -> None:
        self._location = location
        self._query = query
        self._repo_path = repo_path
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._describe = metadata
        self._metadata: RetrievalMetadata | None = None

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """Features, keys and time range of the spine; None for a pull.

        The range of a spine given as a query is found by running that query, at the first call.
        """
        if self._metadata is None and self._describe is not None:
            self._metadata = self._describe()
        return self._metadata

    def to_sql(self) -> str:
        """The statement. For a spine in a data frame its rows are `profilestore_spine`."""
        return self._query.text

    def to_record_batches(self, batch_size: int = BATCH_ROWS) -> pa.RecordBatchReader:
        """Stream the result, at most `batch_size` rows at a time, in the spine's order.

        The connection ends with the last batch, or with the reader if that is dropped before.

        Raises:
            InputError: an on-demand feature view was asked for: those need `to_arrow`.
        """
        if self._on_demand_feature_views:
            names = ", ".join(view.name for view in self._on_demand_feature_views)
            raise InputError(
                f"on-demand feature views ({names}) are computed on the whole table: "
                f"use to_arrow() or to_df(), or ask for stored features only."
            )
        connection = open_cursor(self._location)
        try:
            statement = self._query.prepare(connection)
            reader = connection.execute(statement).to_arrow_reader(batch_size)
            schema = self._schema(reader.schema)
        except BaseException:
            connection.close()
            raise

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                for batch in reader:
                    yield pa.RecordBatch.from_arrays(
                        [
                            _as_given(column, wanted)
                            for column, wanted in zip(batch.columns, schema.types, strict=True)
                        ],
                        schema=schema,
                    )
            finally:
                connection.close()

        return pa.RecordBatchReader.from_batches(schema, batches())

    def persist(
        self,
        storage: Any,
        allow_overwrite: bool | None = False,
        timeout: int | None = None,
    ) -> None:
        """Write the result to one Parquet file; a reader sees the old file or the whole new one.

        Args:
            storage: a SavedDatasetFileStorage whose path, relative to the feature repo, ends in
                `.parquet`.
            allow_overwrite: replace a file that is there.
            timeout: seconds.

        Raises:
            InputError: another kind of storage or path.
            SavedDatasetLocationAlreadyExists: there is something, and `allow_overwrite` is false.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise InputError(
                f"cannot persist to {type(storage).__name__}: wanted a SavedDatasetFileStorage."
            )
        target = self._repo_path / storage.file_options.uri
        if target.suffix != ".parquet" or target.is_dir():
            raise InputError(f"cannot persist to {target}: wanted a file that ends in .parquet.")
        if target.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=str(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            if self._on_demand_feature_views:
                import pyarrow.parquet as pq

                pq.write_table(self.to_arrow(timeout=timeout), unfinished)
            else:
                with self._running(timeout) as (connection, statement):
                    connection.execute(
                        f"COPY (\n{statement}\n) TO {literal(str(unfinished))} (FORMAT parquet)"
                    )
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout=timeout).to_pandas()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with self._running(timeout) as (connection, statement):
            table = connection.execute(statement).to_arrow_table()
        schema = self._schema(table.schema)
        # One chunk: Feast's local engine reads the first chunk and drops the others.
        return pa.Table.from_arrays(
            [
                _as_given(column, wanted)
                for column, wanted in zip(table.columns, schema.types, strict=True)
            ],
            schema=schema,
        ).combine_chunks()

    def _schema(self, found: pa.Schema) -> pa.Schema:
        wanted = list(self._query.arrow_types)
        types = [
            wanted[n] if n < len(wanted) and _restorable(wanted[n]) else arrow_type(field.type)
            for n, field in enumerate(found)
        ]
        return pa.schema(list(zip(self._query.names, types, strict=True)))

    @contextmanager
    def _running(self, timeout: int | None) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """A connection with everything prepared; interrupted after `timeout` seconds."""
        with cursor(self._location) as connection:
            alarm = threading.Timer(timeout, connection.interrupt) if timeout else None
            if alarm:
                alarm.start()
            try:
                yield connection, self._query.prepare(connection)
            except duckdb.InterruptException as error:
                raise ProfilestoreError(
                    f"the query was stopped after {timeout} s. Ask for fewer rows or features, "
                    f"or for a longer timeout."
                ) from error
            finally:
                if alarm:
                    alarm.cancel()


def _restorable(given: pa.DataType) -> bool:
    return bool(
        pa.types.is_null(given)
        or pa.types.is_dictionary(given)
        or pa.types.is_timestamp(given)
        or pa.types.is_primitive(given)
        or pa.types.is_large_string(given)
        or pa.types.is_large_binary(given)
    )


def _as_given(column: Any, wanted: pa.DataType) -> Any:
    """The column in the type that the caller had, or that Feast spells."""
    if column.type == wanted and str(column.type) == str(wanted):
        return column
    if pa.types.is_null(wanted):
        return pa.nulls(len(column))
    if pa.types.is_dictionary(wanted):
        return column.dictionary_encode().cast(wanted)
    return column.cast(wanted)
