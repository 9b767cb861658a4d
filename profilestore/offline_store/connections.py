"""Cursors on a DuckDB that has the lake attached, read-only.

Loading the extensions takes most of the 150 ms of opening a connection, so one DuckDB instance per
lake is kept per process and each job gets a cursor of it. A cursor is a connection of its own: its
transactions start when its statements do, so it sees the last commit of any process, and its
temporary tables are its own and go when it is closed.

A DuckDB file is another matter: whoever has it open for reading keeps its writers out, and the
reverse. It is attached while some job of this process reads it, and not a moment longer; and by one
instance at a time, because the lock is the process's: closing the file in one instance would take
the lock from another that still reads.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from profilestore.errors import InputError, MissingStageError
from profilestore.lake import attach_lake, connect, load_extension


@dataclass(frozen=True)
class LakeLocation:
    """Where the lake is, and what DuckDB may use.

    Attributes:
        catalog: the DuckLake's SQLite file; None where only files are read.
        files: the folder of its data files.
        threads, memory_limit: DuckDB's settings of that name; None leaves its defaults.
        snapshot, snapshot_time: read the lake as it was then; at most one of them.
    """

    catalog: Path | None
    files: Path | None
    threads: int | None = None
    memory_limit: str | None = None
    snapshot: int | None = None
    snapshot_time: datetime | None = None

    @property
    def data_files(self) -> Path:
        """The folder of the data files; by default `files` beside the catalog."""
        assert self.catalog is not None
        return self.files or self.catalog.parent / "files"


@dataclass(frozen=True)
class Needs:
    """What a statement reads beside the lake and Parquet.

    Attributes:
        databases: DuckDB files; in the statement each database is called by its path.
        delta: Delta tables.
        files: Parquet files read by name, which others may replace meanwhile.
    """

    databases: frozenset[Path] = frozenset()
    delta: bool = False
    files: frozenset[Path] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.databases | other.databases,
            self.delta or other.delta,
            self.files | other.files,
        )


NOTHING = Needs()

# A process has one lake, or a few; tests make many.
MOST_INSTANCES = 4

# DuckLake keeps about a kilobyte of each transaction until its instance ends: after so many cursors
# an instance is left for a new one.
MOST_CURSORS = 5_000

# How long to wait for another user of a DuckDB file.
LOCK_SECONDS = 10.0

_lock = threading.Lock()
# The one used last stands last.
_instances: dict[tuple[int, LakeLocation], _Instance] = {}


@dataclass
class _Instance:
    identity: object
    connection: duckdb.DuckDBPyConnection
    cursors: int = 0


@dataclass
class _Attachment:
    instance: duckdb.DuckDBPyConnection
    users: int


_attached = threading.Condition()
_attachments: dict[tuple[int, Path], _Attachment] = {}


@contextmanager
def cursor(location: LakeLocation, needs: Needs = NOTHING) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for one job and one thread, closed at the end.

    Raises:
        MissingStageError: there is no lake at `location`, or no DuckDB file where one is needed.
        InputError: the pinned snapshot is not there; a DuckDB file is locked, or is none.
    """
    with ExitStack() as stack:
        instance, connection = _cursor(location)
        try:
            if needs.delta:
                load_extension(connection, "delta")
            for path in sorted(needs.databases):
                stack.enter_context(_reading(instance, path))
            yield connection
        finally:
            # Before the files are detached, which a statement under way would prevent.
            connection.close()


def open_cursor(location: LakeLocation) -> duckdb.DuckDBPyConnection:
    """As `cursor` without needs, for a caller that closes it later."""
    return _cursor(location)[1]


def forget_instances() -> None:
    """Let go of the instances of this process; each ends with its last cursor."""
    with _lock:
        for key in [key for key in _instances if key[0] == os.getpid()]:
            del _instances[key]


@contextmanager
def writable_database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own with a DuckDB file attached for writing, called by its path.

    Raises:
        MissingStageError, InputError: as `cursor`; locked means that another user of the file,
            here or in another process, was not done within `LOCK_SECONDS`.
    """
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        with _holding(connection, path, writable=True):
            yield connection
    finally:
        connection.close()


def _cursor(
    location: LakeLocation,
) -> tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]:
    """The instance and a cursor of it."""
    # A child after fork() has its parent's instances and must neither use nor end them.
    key = (os.getpid(), location)
    with _lock:
        identity = _identity(location)
        kept = _instances.pop(key, None)
        if kept is None or kept.identity != identity or _worn_out(kept):
            kept = _Instance(identity, _open(location))
        _instances[key] = kept
        kept.cursors += 1
        ours = [other for other in _instances if other[0] == key[0]]
        # Forgotten and not closed: closing would close the cursors that are still at work, and
        # the last of them takes the instance with it.
        for oldest in ours[:-MOST_INSTANCES]:
            del _instances[oldest]
        connection = kept.connection.cursor()
    # A cursor starts with the zone of the machine, whatever its parent's is; and it would take a
    # name that is no table for a variable of ours.
    connection.execute("SET TimeZone = 'UTC'; SET python_enable_replacements = false")
    return kept.connection, connection


def _worn_out(instance: _Instance) -> bool:
    if instance.cursors < MOST_CURSORS:
        return False
    # One that has DuckDB files attached stays: another would have to wait for them.
    with _attached:
        return all(held.instance is not instance.connection for held in _attachments.values())


@contextmanager
def _reading(instance: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    with _holding(instance, path, writable=False):
        yield


@contextmanager
def _holding(instance: duckdb.DuckDBPyConnection, path: Path, *, writable: bool) -> Iterator[None]:
    key = (os.getpid(), path)
    _attach(instance, key, writable=writable)
    try:
        yield
    finally:
        with _attached:
            held = _attachments[key]
            held.users -= 1
            if held.users == 0:
                del _attachments[key]
                # On a cursor of its own: the instance's connection is shared by threads.
                with instance.cursor() as connection:
                    connection.execute(f"DETACH {_identifier(path)}")
                _attached.notify_all()


def _attach(instance: duckdb.DuckDBPyConnection, key: tuple[int, Path], *, writable: bool) -> None:
    path = key[1]
    if not path.is_file():
        raise MissingStageError(
            f"no DuckDB file at {path}. Make it, or correct the path `database` of the source."
        )
    until = time.monotonic() + LOCK_SECONDS
    with _attached:
        while True:
            held = _attachments.get(key)
            if held is not None and held.instance is instance:
                held.users += 1
                return
            if held is None:
                holder = _try_attach(instance, path, writable=writable)
                if holder is None:
                    _attachments[key] = _Attachment(instance, 1)
                    return
            else:
                holder = "another job of this process"
            if time.monotonic() > until:
                action = "write" if writable else "read"
                raise InputError(
                    f"cannot {action} DuckDB file {path}: it is locked by {holder} (waited "
                    f"{LOCK_SECONDS:g} s). Close it there and try again; a DuckLake can be read "
                    f"while it is written."
                )
            _attached.wait(0.05)


def _try_attach(instance: duckdb.DuckDBPyConnection, path: Path, *, writable: bool) -> str | None:
    """Attach; or else who holds the file."""
    option = "" if writable else " (READ_ONLY)"
    try:
        with instance.cursor() as connection:
            connection.execute(f"ATTACH {_text(str(path))} AS {_identifier(path)}{option}")
    except duckdb.BinderException as error:
        if "Unique file handle conflict" in str(error):
            return "another connection of this process"
        raise
    except duckdb.IOException as error:
        said = str(error)
        if "Could not set lock" in said:
            _, _, holder = said.partition("Conflicting lock is held in ")
            return holder.partition(". ")[0].strip() or "another process"
        raise InputError(
            f"cannot open {path} as a DuckDB file: {said.strip().splitlines()[0]} "
            f"Correct the path `database` of the source, or make the file anew with DuckDB "
            f"{duckdb.__version__} or older."
        ) from error
    return None


def _identity(location: LakeLocation) -> object:
    """What changes when the catalog is deleted and made anew under the same name."""
    if location.catalog is None or not location.catalog.exists():
        return None
    status = location.catalog.stat()
    return status.st_dev, status.st_ino


def _open(location: LakeLocation) -> duckdb.DuckDBPyConnection:
    connection = connect()
    try:
        # A spine that comes as Arrow is estimated at one row, and for under 64 rows DuckDB joins
        # as-of by a nested loop: minutes instead of a second.
        connection.execute("SET asof_loop_join_threshold = 0")
        # Files named by path may be rewritten in place.
        connection.execute("SET enable_external_file_cache = false")
        # Two instances must not spill into the same folder; DuckDB makes and removes it.
        spill = Path(tempfile.gettempdir()) / f"profilestore-spill-{uuid.uuid4().hex}"
        connection.execute(f"SET temp_directory = {_text(str(spill))}")
        if location.threads is not None:
            connection.execute(f"SET threads = {int(location.threads)}")
        if location.memory_limit is not None:
            connection.execute(f"SET memory_limit = {_text(location.memory_limit)}")
        if location.catalog is not None:
            attach_lake(
                connection,
                location.catalog,
                location.data_files,
                snapshot=location.snapshot,
                snapshot_time=location.snapshot_time,
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _identifier(path: Path) -> str:
    return '"' + str(path).replace('"', '""') + '"'
