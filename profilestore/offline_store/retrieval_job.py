"""A statement that has been checked and not yet run, as Feast passes it around."""

from __future__ import annotations

import os
import re
import shutil
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.types import from_feast_to_pyarrow_type

from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.offline_store.connections import NOTHING, LakeLocation, Needs, cursor
from profilestore.offline_store.point_in_time import literal
from profilestore.offline_store.saved_dataset import dataset_file
from profilestore.offline_store.source import first_line
from profilestore.offline_store.types import arrow_type

BATCH_ROWS = 100_000
# About the size of one file of `to_remote_storage`.
EXPORT_FILE_SIZE = "256MB"
# Where Linux has what a process holds open.
_OPEN_FILES = Path("/proc/self/fd")


@dataclass(frozen=True)
class Query:
    """What a job runs.

    Attributes:
        text: one statement that runs on any connection with the lake attached (except that the
            rows of a data frame are not in it: there it reads `profilestore_spine`).
        prepare: makes what is needed on a connection, and returns the statement to run there.
        names: of the result's columns, in order; they may differ only in capitals.
        arrow_types: of the first columns, as the caller gave them.
        needs: what the connection has to have beside the lake.
        reads: what it reads, for messages: `feature view 'user_activity'`.
    """

    text: str
    prepare: Callable[[duckdb.DuckDBPyConnection], str]
    names: Sequence[str]
    arrow_types: Sequence[pa.DataType] = ()
    needs: Needs = NOTHING
    reads: str = "the query"


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
        staging_path: Path | None = None,
    ) -> None:
        self._location = location
        self._query = query
        self._repo_path = repo_path
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._describe = metadata
        self._staging_path = staging_path
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

    def to_arrow(self, validation_reference: Any = None, timeout: int | None = None) -> pa.Table:
        """The result in the spine's order, with on-demand features after the stored ones.

        Args:
            validation_reference: as Feast has it.
            timeout: seconds.
        """
        table = super().to_arrow(validation_reference=validation_reference, timeout=timeout)
        # Feast takes the type of what is computed from its values; of nulls alone that is none.
        for view in self._on_demand_feature_views:
            prefix = f"{view.projection.name_to_use()}__" if self._full_feature_names else ""
            for feature in view.features:
                position = table.schema.get_field_index(f"{prefix}{feature.name}")
                if position >= 0 and pa.types.is_null(table.schema.types[position]):
                    declared = from_feast_to_pyarrow_type(feature.dtype)
                    nulls = pa.nulls(table.num_rows, declared)
                    table = table.set_column(position, table.column_names[position], nulls)
        return table

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
        with ExitStack() as stack:
            pinned = stack.enter_context(_pinned(self._query.needs.files, self._query.reads))
            connection = stack.enter_context(cursor(self._location, self._query.needs))
            stack.enter_context(self._explained(pinned))
            statement = pinned.statement(self._query.prepare(connection))
            reader = connection.execute(statement).to_arrow_reader(batch_size)
            schema = self._schema(reader.schema)
            batches = _Batches(reader, schema, self._query.reads, pinned)
            del reader
            stack.callback(batches.forget)
            batches.end = weakref.finalize(batches, stack.pop_all().close)
        return pa.RecordBatchReader.from_batches(schema, batches)

    def persist(
        self,
        storage: Any,
        allow_overwrite: bool | None = False,
        timeout: int | None = None,
    ) -> None:
        """Write the result to one Parquet file; a reader sees the old file or the whole new one.

        Without on-demand views the rows go from DuckDB to the file, and what does not fit into
        memory through DuckDB's temporary folder: the result may be larger than memory.

        Args:
            storage: a SavedDatasetDuckDBStorage, or Feast's SavedDatasetFileStorage, with a path
                as `dataset_file` says.
            allow_overwrite: replace a file that is there.
            timeout: seconds.

        Raises:
            InputError: another kind of storage or path.
            SavedDatasetLocationAlreadyExists: there is something, and `allow_overwrite` is false.
        """
        target = dataset_file(storage, self._repo_path, allow_overwrite=bool(allow_overwrite))
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            self._write(unfinished, "(FORMAT parquet)", timeout)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def supports_remote_storage_export(self) -> bool:
        """Whether `staging_path` is set in `feature_store.yaml`."""
        return self._staging_path is not None

    def to_remote_storage(self) -> list[str]:
        """Write the result to Parquet files in a new folder below `staging_path`.

        As `persist`, without passing through Python. The folder appears whole.

        Returns:
            The paths of the files, each of about 256 MB. They are written side by side, so that
            only within a stretch of rows is their order the spine's. Whoever asked deletes them.

        Raises:
            InputError: no `staging_path` is configured.
        """
        if self._staging_path is None:
            raise InputError(
                "no staging_path in the offline store of feature_store.yaml: say in which folder "
                "exported files are to be put."
            )
        folder = self._staging_path / uuid.uuid4().hex
        unfinished = folder.with_name(f".{folder.name}")
        self._staging_path.mkdir(parents=True, exist_ok=True)
        try:
            options = f"(FORMAT parquet, FILE_SIZE_BYTES '{EXPORT_FILE_SIZE}')"
            if self._on_demand_feature_views:
                unfinished.mkdir()
                self._write(unfinished / "data_0.parquet", options, None)
            else:
                self._write(unfinished, options, None)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return sorted(str(file) for file in folder.iterdir())

    def _write(self, target: Path, options: str, timeout: int | None) -> None:
        if self._on_demand_feature_views:
            pq.write_table(self.to_arrow(timeout=timeout), target)
            return
        with self._running(timeout) as (connection, statement):
            connection.execute(f"COPY (\n{statement}\n) TO {literal(str(target))} {options}")

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
        with (
            _pinned(self._query.needs.files, self._query.reads) as pinned,
            cursor(self._location, self._query.needs) as connection,
        ):
            alarm = threading.Timer(timeout, connection.interrupt) if timeout else None
            if alarm:
                alarm.start()
            try:
                with self._explained(pinned):
                    yield connection, pinned.statement(self._query.prepare(connection))
            except duckdb.InterruptException as error:
                raise ProfilestoreError(
                    f"the query was stopped after {timeout} s. Ask for fewer rows or features, "
                    f"or for a longer timeout."
                ) from error
            finally:
                if alarm:
                    alarm.cancel()

    @contextmanager
    def _explained(self, pinned: _Pinned) -> Iterator[None]:
        try:
            yield
        except (duckdb.InterruptException, duckdb.FatalException, duckdb.InternalException):
            raise
        except duckdb.Error as error:
            raise _explanation(error, self._query.reads, pinned) from error


class _Pinned:
    """Files held open, so that a statement reads each as it was at the start.

    DuckDB opens a file by its name several times in one statement. If it is replaced meanwhile, as
    `persist` and appends do, the end of one would be read with the beginning of another.
    """

    def __init__(self, names: Mapping[Path, str]) -> None:
        self._names = names

    def statement(self, statement: str) -> str:
        """The statement, reading what is held."""
        for path, name in self._names.items():
            statement = statement.replace(
                f"read_parquet({literal(str(path))})", f"read_parquet({literal(name)})"
            )
        return statement

    def message(self, said: str) -> str:
        """What DuckDB says, with the names that the user knows."""
        for path, name in self._names.items():
            said = re.sub(rf"{re.escape(name)}(?!\d)", str(path).replace("\\", r"\\"), said)
        return said


@contextmanager
def _pinned(files: frozenset[Path], reads: str) -> Iterator[_Pinned]:
    names: dict[Path, str] = {}
    with ExitStack() as stack:
        # Where the system has no names for what is held open, names have to do.
        for path in sorted(files) if _OPEN_FILES.is_dir() else ():
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except OSError as error:
                raise MissingStageError(
                    f"{reads}: cannot read {path}: {error.strerror}. It was there before: put it "
                    f"back, or correct the path of the source."
                ) from error
            stack.callback(os.close, descriptor)
            names[path] = str(_OPEN_FILES / str(descriptor))
        yield _Pinned(names)


class _Batches:
    """The batches of a reader, in the caller's types.

    Attributes:
        end: lets go of the connection; called with the last batch, or when nobody reads on.
        forget: lets go of the reader, which has to happen first.
    """

    end: Callable[[], Any]

    def __init__(self, reader: Any, schema: pa.Schema, reads: str, pinned: _Pinned) -> None:
        # In a list, so that `forget` need not hold this object, whose end it is part of.
        self._reader = [reader]
        self._schema = schema
        self._reads = reads
        self._pinned = pinned
        self.forget = self._reader.clear

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            batch = next(self._reader[0]) if self._reader else None
        except StopIteration:
            batch = None
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            self.end()
            raise _explanation(error, self._reads, self._pinned) from error
        if batch is None:
            self.end()
            raise StopIteration
        columns = [
            _as_given(column, wanted)
            for column, wanted in zip(batch.columns, self._schema.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _explanation(error: Exception, reads: str, pinned: _Pinned) -> ProfilestoreError:
    """What a user can do about a statement that was checked and failed while it ran."""
    said = pinned.message(first_line(error))
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in said:
        return ProfilestoreError(
            f"{reads}: the result does not fit into memory: {said} Write it to Parquet with "
            f"persist() or read it with to_record_batches(); or raise memory_limit of the offline "
            f"store in feature_store.yaml."
        )
    return InputError(
        f"{reads}: reading failed: {said} A file is damaged, or was changed under the feature "
        f"view, or holds a value that its column's type does not: mend it, and run `feast apply` "
        f"where columns have changed."
    )


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
