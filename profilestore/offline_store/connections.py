"""Cursors on a DuckDB that has the lake attached, read-only.

Loading the extensions takes most of the 150 ms of opening a connection, so one DuckDB instance per
lake is kept per process and each job gets a cursor of it. A cursor is a connection of its own: its
transactions start when its statements do, so it sees the last commit of any process, and its
temporary tables are its own and go when it is closed.
"""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from profilestore.lake import attach_lake, connect


@dataclass(frozen=True)
class LakeLocation:
    """Where the lake is, and what DuckDB may use.

    Attributes:
        catalog: the DuckLake's SQLite file; None where only files are read.
        files: the folder of its data files.
        threads, memory_limit: DuckDB's settings of that name; None leaves its defaults.
    """

    catalog: Path | None
    files: Path | None
    threads: int | None = None
    memory_limit: str | None = None


# A process has one lake, or a few; tests make many.
MOST_INSTANCES = 4

_lock = threading.Lock()
# The one used last stands last.
_instances: dict[tuple[int, LakeLocation], tuple[object, duckdb.DuckDBPyConnection]] = {}


@contextmanager
def cursor(location: LakeLocation) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for one job and one thread, closed at the end.

    Raises:
        MissingStageError: there is no lake at `location`.
    """
    connection = open_cursor(location)
    try:
        yield connection
    finally:
        connection.close()


def open_cursor(location: LakeLocation) -> duckdb.DuckDBPyConnection:
    """As `cursor`, for a caller that closes it later."""
    # A child after fork() has its parent's instances and must neither use nor end them.
    key = (os.getpid(), location)
    with _lock:
        identity = _identity(location)
        kept = _instances.pop(key, None)
        if kept is None or kept[0] != identity:
            kept = (identity, _open(location))
        _instances[key] = kept
        ours = [other for other in _instances if other[0] == key[0]]
        # Forgotten and not closed: closing would close the cursors that are still at work, and
        # the last of them takes the instance with it.
        for oldest in ours[:-MOST_INSTANCES]:
            del _instances[oldest]
        connection = kept[1].cursor()
    # A cursor starts with the zone of the machine, whatever its parent's is.
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def forget_instances() -> None:
    """Let go of the instances of this process; each ends with its last cursor."""
    with _lock:
        for key in [key for key in _instances if key[0] == os.getpid()]:
            del _instances[key]


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
            files = location.files or location.catalog.parent / "files"
            attach_lake(connection, location.catalog, files)
    except BaseException:
        connection.close()
        raise
    return connection


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
