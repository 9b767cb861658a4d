"""A materialisation of one view: collected beside the store, then written in one transaction.

Collecting holds no lock, so pushes and other views go on; a crash before the end leaves the store
as it was, a crash after it leaves the whole. What the last crash left beside the store is removed
by the next load.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from profilestore.errors import ProfilestoreError
from profilestore.online_store.collected import Collected, SealedCollected
from profilestore.online_store.columns import between
from profilestore.online_store.database import BATCH, ENTITIES, LIVE, Database, Snapshot
from profilestore.online_store.keys import LONGEST, short
from profilestore.online_store.layout import Layout, make_layout, read_layout, write_layout
from profilestore.online_store.record import Schema, run_number, stamp_of

_ROWS = pa.schema([("key", pa.binary()), ("record", pa.binary())])
# Rows put between two sorts. Our offline store gives them by key, but for integer keys, whose bytes
# have another order.
_SORTED_ROWS = 100_000


class Load:
    """A context: leaving it before `commit` writes nothing.

    Attributes:
        schema, position: how records are to be laid out, for `columns.records`.
        run, written: what they are to carry.
        since: see `Layout`.
    """

    def __init__(self, database: Database, project: str, view: str, schema: Schema) -> None:
        self.database = database
        self.schema = schema
        self.position = 0
        self.run = 0
        self.written = 0
        self.since: int | None = None
        self._project = project
        self._view = view
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._number = -1
        self._erasures = 0
        self._collected: Collected | None = None

    def __enter__(self) -> Load:
        with self.database.write() as snapshot:
            layout = make_layout(snapshot, self._project, self._view)
            layout, self.position = layout.with_schema(self.schema)
            # Reserved now: two loads of a view at once must not take the same number.
            layout = replace(layout, run=layout.run + 1)
            self.run = layout.run
            self.since = layout.since
            self._number = layout.number
            self._erasures = layout.erasures
            write_layout(snapshot, self._project, self._view, layout)
        self.written = time.time_ns() // 1_000
        with self.database.words():
            sweep(self.database.path)
            self._file, self._path = _own_file(self.database.path)
        seal = self.database.seal()
        self._collected = (
            Collected(self._file, _ROWS) if seal is None else SealedCollected(self._file, seal)
        )
        return self

    def add(self, entities: pa.Array, records: pa.Array) -> None:
        """Collect rows.

        Args:
            entities: of `columns.entities`.
            records: of `columns.records`.
        """
        assert self._collected is not None
        with self.database.words():
            self._collected.add(pa.record_batch([entities, records], schema=_ROWS))

    def finish(self) -> None:
        """No more rows come."""
        assert self._collected is not None
        with self.database.words():
            self._collected.finish()

    def write(self, snapshot: Snapshot, whole_since: int | None) -> None:
        """Write what was collected; see `commit`."""
        layout = read_layout(snapshot, self._project, self._view)
        if layout is None or layout.number != self._number or layout.floor > self.run:
            raise ProfilestoreError(
                f"feature view {self._view!r}: it was deleted, or materialised by another process, "
                f"while this materialisation ran; nothing was written. Run it again."
            )
        if layout.erasures != self._erasures:
            # They may be among what was collected before they were deleted.
            raise ProfilestoreError(
                f"feature view {self._view!r}: entities were deleted while this materialisation "
                f"ran; nothing was written. Run it again."
            )
        for rows in self._sorted():
            _put(snapshot, layout, rows, overwrite=whole_since is not None)
        layout = replace(layout, loads=layout.loads + 1)
        if whole_since is not None:
            layout = replace(layout, floor=self.run, since=whole_since)
        if layout.pushed:
            layout = replace(layout, pushed=_drop_superseded(snapshot, layout))
        write_layout(snapshot, self._project, self._view, layout)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._file is not None:
            # What it still wants to write, to a disk that is full, nobody needs.
            with contextlib.suppress(OSError):
                self._file.close()

    def _sorted(self) -> Iterator[pa.Table]:
        assert self._collected is not None
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for batch in self._collected:
            waiting.append(batch)
            rows += batch.num_rows
            if rows >= _SORTED_ROWS:
                yield _by_key(waiting)
                waiting, rows = [], 0
        if waiting:
            yield _by_key(waiting)


def commit(loads: Sequence[tuple[Load, int | None]]) -> None:
    """Write what several loads of one store have collected, in one transaction.

    Args:
        loads: each with the event time, in microseconds, from which on it has all that the source
            has, so that an entity that is not in it is gone; or with None when it has a part, which
            takes the place of nothing that is newer.

    Raises:
        ProfilestoreError: a later load of a view has been committed meanwhile; nothing is written.
    """
    for load, _ in loads:
        load.finish()
    if loads:
        with loads[0][0].database.write() as snapshot:
            for load, whole_since in loads:
                load.write(snapshot, whole_since)


def _by_key(batches: list[pa.RecordBatch]) -> pa.Table:
    table = pa.Table.from_batches(batches).combine_chunks()
    keys = table.column("key")
    if pc.all(pc.less_equal(keys[:-1], keys[1:])).as_py():
        return table
    return table.take(pc.sort_indices(table, [("key", "ascending")]))


def _put(snapshot: Snapshot, layout: Layout, rows: pa.Table, *, overwrite: bool) -> None:
    for batch in rows.to_batches():
        keys = batch.column("key")
        longest = pc.max(pc.binary_length(keys)).as_py() or 0
        if longest > LONGEST:
            whole = keys.to_pylist()
            note_long(snapshot, whole)
            keys = pa.array([short(key) for key in whole], pa.binary())
        records = batch.column("record").to_pylist()
        if overwrite:
            whole_keys = between(BATCH, keys, layout.suffix).to_pylist()
            snapshot.put_whole(zip(whole_keys, records, strict=True))
            continue
        put = between(b"", keys, layout.suffix).to_pylist()
        there = snapshot.get_many(BATCH, put)
        newer = [
            (key, record)
            for key, record, old in zip(put, records, there, strict=True)
            if old is None
            or run_number(old) < layout.floor
            or stamp_of(record)[:2] >= stamp_of(old)[:2]
        ]
        snapshot.put_many(BATCH, newer)


def note_long(snapshot: Snapshot, entities: Iterable[bytes]) -> None:
    """Keep the whole of those entities whose keys only have a digest."""
    for entity in entities:
        shortened = short(entity)
        if shortened is not entity:
            snapshot.put(ENTITIES, shortened, entity)


def _drop_superseded(snapshot: Snapshot, layout: Layout) -> bool:
    """Delete pushed records that are no longer the newer ones; whether any is left."""
    left, gone = 0, []
    for key, pushed in layout.records(snapshot, LIVE):
        if layout.newer(snapshot.get(BATCH, key), pushed) is pushed:
            left += 1
        else:
            gone.append(key)
    snapshot.delete(LIVE, gone)
    return left > 0


def _own_file(folder: Path) -> tuple[IO[bytes], Path]:
    """A file for what is collected, which `sweep` leaves alone while it is open."""
    while True:
        path = folder / f"generation-load-{uuid.uuid4().hex}"
        file = path.open("w+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return file, path
        # Swept by another process before it was locked.
        file.close()


def sweep(folder: Path) -> None:
    """Remove what loads that were killed have left."""
    for path in folder.glob("generation-load-*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            # Held by whoever is still at work.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
