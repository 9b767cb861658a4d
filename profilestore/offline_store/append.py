"""Appending rows to the source of a feature view: whole or not at all, from anywhere at once.

What it costs, and how several writers get along, depends on where the rows are kept:

    folder of Parquet    one new file, renamed into place when it is whole: costs what is appended,
                         and writers do not meet
    lake table           one transaction; appends of all processes take turns by a lock beside the
                         catalog, and a catalog that another writer has locked is tried again
    table of a           one transaction; the file has one user at a time, and is waited for
    DuckDB file
    one Parquet file     the file is written anew under a lock: costs the file. Use a folder

The house itself never appends to its marts: those have one writer, dbt. This is for feature views
over sources of one's own, and for what is pushed.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.repo_config import RepoConfig

from profilestore.disk import to_disk
from profilestore.errors import InputError, MissingStageError
from profilestore.lake import attach_lake, connect
from profilestore.offline_store.connections import LakeLocation, cursor, writable_database
from profilestore.offline_store.contract import duckdb_type
from profilestore.offline_store.incoming import fitted, receive
from profilestore.offline_store.point_in_time import Column, literal
from profilestore.offline_store.source import (
    DuckDBSource,
    batch_source,
    database_path,
    file_path,
    first_line,
    is_csv,
    is_delta,
    is_glob,
    is_query,
    lake_location,
    read_columns,
    relation,
    source_column,
)

# How long to try for a lake or a file that others are writing.
WRITE_SECONDS = 60.0

# What SQLite and DuckLake say when another writer was first; nothing of ours is written then.
_BUSY = ("database is locked", "database table is locked", "conflict")


def append(config: RepoConfig, feature_view: FeatureView, rows: pa.Table) -> None:
    """Append rows to the source of a view.

    Args:
        rows: the source's columns, in any order, under their own names or their mapped ones.

    Raises:
        InputError: the rows do not fit, or the source cannot be appended to; or it was locked by
            others for longer than is waited. Nothing is written.
        MissingStageError: the table or file is not there.
    """
    label = f"feature view {feature_view.name!r}"
    source = batch_source(feature_view.batch_source, label)
    where = f"{label}: source {source.name!r}"
    if not isinstance(rows, pa.Table):
        raise InputError(f"{where}: rows are a {type(rows).__name__}; give an Arrow table.")
    database = database_path(source, config)
    path = file_path(source, config)
    _refuse(source, path, where)
    if database is not None:
        _to_database(source, config, database, rows, label)
    elif path is None:
        _to_lake(source, config, rows, label)
    elif path.is_dir():
        _to_folder(source, config, path, feature_view, rows, label)
    elif path.is_file():
        _to_file(source, config, path, rows, label)
    else:
        raise MissingStageError(
            f"{where}: there is neither a file nor a folder at {path}. Make the folder, and "
            f"rows are appended to it as Parquet files."
        )


def _refuse(source: DataSource, path: Path | None, where: str) -> None:
    what = None
    if is_query(source):
        what = "a query: append to the tables that it reads"
    elif path is not None and is_csv(path):
        what = "CSV, which has no types: use a folder of Parquet files"
    elif path is not None and is_delta(source, path):
        what = "a Delta table, which this store only reads: append with the tool that writes it"
    elif path is not None and is_glob(path):
        what = f"a glob ({path}): give the folder itself as path"
    if what is not None:
        raise InputError(f"{where}: rows cannot be appended to {what}.")


def write_new_file(connection: duckdb.DuckDBPyConnection, select: str, folder: Path) -> Path:
    """Put the rows of a SELECT into a new Parquet file of a folder, which appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    # Readers take every *.parquet, whatever it begins with.
    unfinished = folder / f".{uuid.uuid4().hex}.unfinished"
    target = folder / f"{time.time_ns()}-{uuid.uuid4().hex}.parquet"
    _write(connection, select, unfinished, target)
    return target


def _write(
    connection: duckdb.DuckDBPyConnection, select: str, unfinished: Path, target: Path
) -> None:
    try:
        connection.execute(f"COPY ({select}) TO {literal(str(unfinished))} (FORMAT parquet)")
        to_disk(unfinished)
        unfinished.replace(target)
        to_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _to_folder(
    source: DataSource,
    config: RepoConfig,
    folder: Path,
    feature_view: FeatureView,
    rows: pa.Table,
    label: str,
) -> None:
    with cursor(lake_location(config)) as connection:
        given = _received(connection, rows, source)
        if any(folder.rglob("*.parquet")):
            wanted = read_columns(connection, source, config, label)
        else:
            wanted = _declared(feature_view, source, given)
        select = fitted(connection, given, wanted, f"{label}: source {source.name!r}")
        if rows.num_rows:
            write_new_file(connection, select, folder)


def _to_file(
    source: DataSource, config: RepoConfig, file: Path, rows: pa.Table, label: str
) -> None:
    file = file.resolve()
    with _locked(file), cursor(lake_location(config)) as connection:
        given = _received(connection, rows, source)
        wanted = read_columns(connection, source, config, label)
        where = f"{label}: source {source.name!r}"
        select = fitted(connection, given, wanted, where)
        if rows.num_rows:
            unfinished = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
            both = f"SELECT * FROM {relation(source, config)} UNION ALL {select}"
            try:
                _write(connection, both, unfinished, file)
            except duckdb.Error as error:
                raise InputError(
                    f"{where}: nothing was written, because {file} cannot be read whole: "
                    f"{first_line(error)} Mend the file."
                ) from error


def _to_database(
    source: DataSource, config: RepoConfig, database: Path, rows: pa.Table, label: str
) -> None:
    with writable_database(database) as connection:
        _insert(connection, source, config, rows, label)


def _to_lake(source: DataSource, config: RepoConfig, rows: pa.Table, label: str) -> None:
    location = lake_location(config)
    if location.catalog is None or not location.catalog.exists():
        # Says what is missing.
        with cursor(location) as connection:
            read_columns(connection, source, config, label)
    assert location.catalog is not None
    if location.snapshot is not None or location.snapshot_time is not None:
        raise InputError(
            f"{label}: source {source.name!r}: the lake is pinned to a snapshot, to which nothing "
            f"can be appended. Take `snapshot` or `snapshot_time` out of feature_store.yaml."
        )
    until = time.monotonic() + WRITE_SECONDS
    wait = 0.01
    while True:
        try:
            with _locked(location.catalog), _writable_lake(location) as connection:
                _insert(connection, source, config, rows, label)
            return
        except duckdb.Error as error:
            if not any(word in str(error) for word in _BUSY):
                raise
            if time.monotonic() > until:
                raise InputError(
                    f"{label}: source {source.name!r}: nothing was written, because the lake at "
                    f"{location.catalog} was locked by another process for {WRITE_SECONDS:g} s: "
                    f"{first_line(error)} Try again when it is done."
                ) from error
        # Two that collided must not collide again.
        time.sleep(wait * random.uniform(0.5, 1.5))
        wait = min(2 * wait, 0.5)


@contextmanager
def _writable_lake(location: LakeLocation) -> Iterator[duckdb.DuckDBPyConnection]:
    assert location.catalog is not None
    with connect() as connection:
        if location.threads is not None:
            connection.execute(f"SET threads = {int(location.threads)}")
        attach_lake(connection, location.catalog, location.data_files, writable=True)
        yield connection


def _insert(
    connection: duckdb.DuckDBPyConnection,
    source: DuckDBSource,
    config: RepoConfig,
    rows: pa.Table,
    label: str,
) -> None:
    where = f"{label}: source {source.name!r}"
    given = _received(connection, rows, source)
    wanted = read_columns(connection, source, config, label)
    select = fitted(connection, given, wanted, where)
    if not rows.num_rows:
        return
    try:
        connection.execute(f"INSERT INTO {relation(source, config)} {select}")
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ConstraintException) as error:
        raise InputError(
            f"{where}: nothing was written to {source.table!r}: {first_line(error)} Rows can be "
            f"appended to a table, not to a view, and have to keep its constraints."
        ) from error


def _received(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table, source: DataSource
) -> list[Column]:
    """The rows' columns under the source's names: Feast hands them over under the mapped ones."""
    return [
        Column(source_column(source, column.name), column.type)
        for column in receive(connection, rows)
    ]


def _declared(
    feature_view: FeatureView, source: DataSource, given: Sequence[Column]
) -> list[Column]:
    """The columns of a folder without files: those that the view declares."""
    times = [source.timestamp_field, source.created_timestamp_column]
    types: dict[str, str | None] = {
        source_column(source, field.name): duckdb_type(field.dtype)
        for field in [*feature_view.entity_columns, *feature_view.features]
        if field.name != DUMMY_ENTITY_ID
    }
    types.update(
        {source_column(source, name): "TIMESTAMP WITH TIME ZONE" for name in times if name}
    )
    as_given = {column.name: column.type for column in given}
    return [Column(name, held or as_given.get(name, "VARCHAR")) for name, held in types.items()]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """The right to write a file; the lock is beside it, as the file itself may be replaced."""
    lock = file.with_name(f".{file.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + WRITE_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise InputError(
                        f"nothing was written: {file} was being written by others for "
                        f"{WRITE_SECONDS:g} s. Try again; a folder of Parquet files takes many "
                        f"writers."
                    ) from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)
