"""What counts of the records of a view: the newer of a materialised and a pushed one, by the
schema each was written by, within the view's ttl."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Literal, NamedTuple

import numpy as np

from profilestore.online_store.database import BATCH, ENTITIES, LIVE, Snapshot
from profilestore.online_store.keys import VIEW, is_digest
from profilestore.online_store.layout import Layout
from profilestore.online_store.record import (
    NEVER,
    Column,
    Records,
    Stamp,
    listed,
    run_number,
    schema_number,
)
from profilestore.online_store.side_by_side import SideBySide, side_by_side

State = Literal["fresh", "stale", "missing"]
# A feature's name and the name of its Feast type.
Feature = tuple[str, str]
_FRESH: tuple[State, ...] = ("fresh",)
# Records that a scan decodes at a time.
_SCANNED = 10_000


# Not frozen: that takes five times as long, and each request makes some.
@dataclass(eq=False)
class ViewRecords:
    """The records of one view for the entities asked for, in their order.

    Attributes:
        states: `fresh`, `stale` (past the view's ttl: no values) or `missing`.
        events, created: microseconds since 1970; None where nothing is known.
        columns: feature -> values, None where null or not fresh. Python's bool, int, float, str,
            bytes and lists of these; a timestamp is whole seconds since 1970; a value of another
            Feast type is its serialised `Value` message.
        features: what was asked for.
        stored_events, stored_created, stored: the same three, where arrays may stand for lists of
            numbers, and NEVER for a time that is not known; a column a feature.
        has_all: whether every record is fresh and none of its values is null, as far as known.
    """

    states: Sequence[State]
    features: Sequence[Feature]
    stored_events: Column
    stored_created: Column
    stored: Sequence[Column]
    has_all: bool = False

    @cached_property
    def events(self) -> Sequence[int | None]:
        return listed(self.stored_events)

    @cached_property
    def created(self) -> Sequence[int | None]:
        return [None if at == NEVER else at for at in listed(self.stored_created)]

    @cached_property
    def columns(self) -> dict[str, Sequence[Any]]:
        return {
            name: listed(column)
            for (name, _), column in zip(self.features, self.stored, strict=True)
        }


class Row(NamedTuple):
    """One record."""

    stamp: Stamp
    values: tuple[Any, ...]


class Views:
    """Some views and their layouts, as of one commit.

    Args:
        layouts: of each view; None where nothing was ever written.
        wanted: the features to read of each.
    """

    def __init__(
        self, layouts: Sequence[Layout | None], wanted: Sequence[Sequence[Feature]]
    ) -> None:
        self._layouts = layouts
        self._wanted = wanted
        self._suffixes = [layout.suffix for layout in layouts if layout is not None]
        self._together = _together(layouts, wanted)

    def read(
        self,
        snapshot: Snapshot,
        entities: Sequence[bytes],
        oldest: Sequence[int | None],
        *,
        stale_values: bool,
    ) -> list[ViewRecords]:
        """The records of each view: one pass in key order for all of them.

        Args:
            entities: as in LMDB.
            oldest: of each view, the earliest event time that its ttl allows.
            stale_values: whether to give the values of records past their ttl.
        """
        # An entity's records lie side by side: entity by entity, and then each view its share.
        begins = [BATCH + entity for entity in entities]
        keys = [begin + suffix for begin in begins for suffix in self._suffixes]
        batch = snapshot.get_whole(keys)
        at_once = self._read_together(batch, len(entities), oldest)
        if at_once is not None:
            return at_once
        found = []
        turn = 0
        for layout, wanted, earliest in zip(self._layouts, self._wanted, oldest, strict=True):
            if layout is None:
                found.append(_view_records([None] * len(entities), None, wanted, None))
                continue
            buffers = batch[turn :: len(self._suffixes)]
            turn += 1
            if layout.pushed:
                live = snapshot.get_many(LIVE, [entity + layout.suffix for entity in entities])
                buffers = [layout.newer(a, b) for a, b in zip(buffers, live, strict=True)]
            found.append(_view_records(buffers, layout, wanted, earliest, stale_values))
        return found

    def _read_together(
        self, batch: Sequence[Any], rows: int, oldest: Sequence[int | None]
    ) -> list[ViewRecords] | None:
        """All views at once; None where some record is not there, gone, or past the ttl."""
        if self._together is None or not rows:
            return None
        records = self._together.read(batch, rows)
        if records is None:
            return None
        found = []
        for one, layout, wanted, earliest in zip(
            records, self._layouts, self._wanted, oldest, strict=True
        ):
            fresh = None if layout is None else _fresh(one, layout, wanted, earliest)
            if fresh is None:
                return None
            found.append(fresh)
        return found


def _together(
    layouts: Sequence[Layout | None], wanted: Sequence[Sequence[Feature]]
) -> SideBySide | None:
    """How to read all views at once; None where one of them does not let itself be read so."""
    schemas = []
    for layout, features in zip(layouts, wanted, strict=True):
        if layout is None or layout.pushed or len(layout.schemas) != 1:
            return None
        schema = layout.schemas[0]
        if schema.variable or schema.fixed_fields(features) is None:
            return None
        schemas.append(schema)
    return side_by_side(tuple(schemas), tuple(map(tuple, wanted))) if schemas else None


def read_nothing(wanted: Sequence[Sequence[Feature]], rows: int) -> list[ViewRecords]:
    """As `Views.read`, of a store that is not there yet."""
    return [_view_records([None] * rows, None, features, None) for features in wanted]


def read_rows(
    snapshot: Snapshot, layout: Layout, wanted: Sequence[Feature], entities: Sequence[bytes]
) -> list[Row | None]:
    """The records of one view, whatever their age; `entities` as in LMDB."""
    keys = [entity + layout.suffix for entity in entities]
    buffers = snapshot.get_many(BATCH, keys)
    live = snapshot.get_many(LIVE, keys) if layout.pushed else [None] * len(keys)
    buffers = [layout.newer(a, b) for a, b in zip(buffers, live, strict=True)]
    present = [buffer for buffer in buffers if buffer is not None]
    rows = iter(_rows(layout, present, wanted))
    return [None if buffer is None else next(rows) for buffer in buffers]


class Scan:
    """All records of one view at one moment, but for those past its ttl. Entities as in LMDB."""

    def __init__(
        self, snapshot: Snapshot, layout: Layout, wanted: Sequence[Feature], oldest: int | None
    ) -> None:
        self._snapshot = snapshot
        self._layout = layout
        self._wanted = wanted
        self._oldest = NEVER if oldest is None else oldest

    def materialised(self) -> Iterator[tuple[bytes, Row]]:
        """What materialisations wrote, pushed over or not."""
        floor = self._layout.floor
        every = self._layout.records(self._snapshot, BATCH)
        rows = (one for one in every if run_number(one[1]) >= floor)
        while some := list(islice(rows, _SCANNED)):
            decoded = _rows(self._layout, [buffer for _, buffer in some], self._wanted)
            for (key, _), row in zip(some, decoded, strict=True):
                if row.stamp.event >= self._oldest:
                    yield key[: -VIEW.size], row

    def pushed(self) -> dict[bytes, Row]:
        """What was pushed and is the newer."""
        if not self._layout.pushed:
            return {}
        newer = []
        for key, buffer in self._layout.records(self._snapshot, LIVE):
            batch = self._snapshot.get(BATCH, key)
            if self._layout.newer(batch, buffer) is buffer:
                newer.append((key[: -VIEW.size], buffer))
        decoded = _rows(self._layout, [buffer for _, buffer in newer], self._wanted)
        return {
            entity: row
            for (entity, _), row in zip(newer, decoded, strict=True)
            if row.stamp.event >= self._oldest
        }

    def row(self, entity: bytes) -> Row | None:
        """What materialisations wrote of one entity."""
        buffer = self._snapshot.get(BATCH, entity + self._layout.suffix)
        if buffer is None or run_number(buffer) < self._layout.floor:
            return None
        row = _rows(self._layout, [buffer], self._wanted)[0]
        return row if row.stamp.event >= self._oldest else None

    def whole(self, entity: bytes) -> bytes:
        """The entity as `keys.entity_bytes` has it."""
        if not is_digest(entity):
            return entity
        found = self._snapshot.get(ENTITIES, entity)
        assert found is not None  # written with the record
        return bytes(found)


def _decoded(layout: Layout, buffers: Sequence[Any], wanted: Sequence[Feature]) -> Records:
    if len(layout.schemas) == 1:
        return layout.schemas[0].read(buffers, wanted)
    numbers = [schema_number(buffer) for buffer in buffers]
    different = set(numbers)
    if len(different) <= 1:
        return layout.schemas[different.pop() if different else 0].read(buffers, wanted)
    # A row at a time, in their order: views change seldom, and the next load makes them one.
    parts = [
        layout.schemas[number].read([buffer], wanted)
        for number, buffer in zip(numbers, buffers, strict=True)
    ]
    return Records(
        [part.events[0] for part in parts],
        [part.created[0] for part in parts],
        [part.written[0] for part in parts],
        [part.runs[0] for part in parts],
        [[part.columns[n][0] for part in parts] for n in range(len(wanted))],
    )


def _rows(layout: Layout, buffers: Sequence[Any], wanted: Sequence[Feature]) -> list[Row]:
    found = _decoded(layout, buffers, wanted)
    stamps = map(Stamp, listed(found.events), listed(found.created), listed(found.written))
    columns = [listed(column) for column in found.columns]
    values = zip(*columns, strict=True) if wanted else iter([()] * len(buffers))
    return [Row(stamp, row) for stamp, row in zip(stamps, values, strict=True)]


def _view_records(
    buffers: Sequence[Any],
    layout: Layout | None,
    wanted: Sequence[Feature],
    oldest: int | None,
    stale_values: bool = False,
) -> ViewRecords:
    # A record is never empty.
    if layout is not None and buffers and all(buffers):
        found = _fresh(_decoded(layout, buffers, wanted), layout, wanted, oldest)
        if found is not None:
            return found
    return _scattered(buffers, layout, wanted, oldest, stale_values)


def _fresh(
    records: Records, layout: Layout, wanted: Sequence[Feature], oldest: int | None
) -> ViewRecords | None:
    """Records none of which is gone, or past the ttl; None where one is."""
    if _least(records.runs) < layout.floor and _is_gone(records.runs, layout):
        return None
    if oldest is not None and _least(records.events) < oldest:
        return None
    states = _FRESH * len(records.events)
    return ViewRecords(
        states, wanted, records.events, records.created, records.columns, records.has_all
    )


def _is_gone(runs: Column, layout: Layout) -> bool:
    """Whether there is a record of a materialisation that its source no longer has."""
    return any(0 < run < layout.floor for run in listed(runs))


def _scattered(
    buffers: Sequence[Any],
    layout: Layout | None,
    wanted: Sequence[Feature],
    oldest: int | None,
    stale_values: bool,
) -> ViewRecords:
    """As `_view_records`, where some records are not there, gone, or past the ttl."""
    present = [
        n
        for n, buffer in enumerate(buffers)
        if layout is not None and buffer is not None and not 0 < run_number(buffer) < layout.floor
    ]
    scattered: list[State] = ["missing"] * len(buffers)
    events: list[int | None] = [None] * len(buffers)
    learned: list[int | None] = [None] * len(buffers)
    columns: list[list[Any]] = [[None] * len(buffers) for _ in wanted]
    if layout is None or not present:
        return ViewRecords(scattered, wanted, events, learned, columns)
    found = _decoded(layout, [buffers[n] for n in present], wanted)
    times, created = listed(found.events), listed(found.created)
    fresh = [oldest is None or event >= oldest for event in times]
    for turn, n in enumerate(present):
        scattered[n] = "fresh" if fresh[turn] else "stale"
        events[n] = times[turn]
        learned[n] = created[turn]
    for column, values in zip(columns, found.columns, strict=True):
        for n, value, good in zip(present, listed(values), fresh, strict=True):
            if good or stale_values:
                column[n] = value
    return ViewRecords(scattered, wanted, events, learned, columns)


def _least(numbers: Column) -> int:
    return int(numbers.min() if isinstance(numbers, np.ndarray) else min(numbers))
