"""Write the raw log of a source: whole or not at all.

```
data/raw/active.json            which log is read, where it came from, who reads; written last
data/raw/<source>/**.parquet    the rows, as they are
data/raw/<source>/clock.json    what staging adds to each time
data/raw/<source>/source.json   which log the clock was chosen for
data/raw/live/                  the live log, beside whichever of these is active
```
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from profilestore.disk import draft_of, replace_folder, settle_all, to_disk, tree_to_disk
from profilestore.errors import InputError, MissingStageError
from profilestore.settings import Settings
from profilestore.sources.clock import (
    ACTIVE_FILE,
    CLOCK_FILE,
    Clock,
    Shift,
    active_log,
    read_clock_file,
)
from profilestore.sources.files import Files
from profilestore.sources.landing import LogTable, land, read_ledger
from profilestore.sources.logs import Logs, packs_in
from profilestore.sources.mapping import MAPPING_FILE
from profilestore.sources.movielens import MovieLens
from profilestore.sources.published import Published, published_in
from profilestore.sources.simulator import Simulation, simulate
from profilestore.sources.source import RawTables, Source
from profilestore.sources.tafeng import TaFeng

PACKS = ("movielens", "tafeng", "simulated", "web", "social", "orders")
"""Names that can be given instead of a folder."""

# Events of one kind, with the catalogue that says what they are about.
_SIMULATED = {
    "simulated": ("web", "social", "orders", "catalog"),
    "web": ("web", "catalog"),
    "social": ("social", "catalog"),
    "orders": ("orders", "catalog"),
}

SOURCE_FILE = "source.json"

LIVE_PACK = "live"
"""The pack of what the service was told; it is read beside the others."""

_LIVE_EVENTS = LogTable("live_events", "*.jsonl", needs_ends=True)


@dataclass(frozen=True)
class RawLog:
    """What was written.

    Attributes:
        source_pack: the folder below `data/raw/`.
        packs: the folders of staging models that read it.
        origin: where the rows came from.
        folder: where they lie now.
        rows: rows of each table.
        clock: the clock that staging reads.
    """

    source_pack: str
    packs: tuple[str, ...]
    origin: str
    folder: Path
    rows: Mapping[str, int]
    clock: Clock


def write_raw_logs(source: str, settings: Settings, *, now: datetime) -> RawLog:
    """Read a source, check it, and make it the active raw log.

    Args:
        source: a name of `PACKS`; or the path of a folder with `profilestore.yaml`, with logs in
            the formats of `Logs`, or with a data set of `PUBLICATIONS`. A folder that bears the
            name of a pack is meant by `./movielens`. `simulated` and its parts are read from
            data/simulated, and simulated first if nothing is there.
        settings: where to write.
        now: an aware time; the shift of a new log is chosen by it.

    A pack that was written before from the same origin keeps its shift. On any failure the files
    below `data/raw` stay as they were.

    Raises:
        InputError: the source is not there or is not what it has to be, or the disk refused.
        ValueError: `now` has no zone.
    """
    if now.tzinfo is None:
        raise ValueError("now must have a zone")
    now = now.astimezone(UTC)
    opened = open_source(source, settings)
    tables = opened.read(now=now)
    try:
        with _only_writer(settings.raw):
            clock = _clock(opened, tables, settings, now)
            return _write(opened, tables, clock, settings.raw)
    except (duckdb.Error, OSError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{settings.raw}: the raw log could not be written: {said}") from None
    finally:
        tables.close()


def land_live_log(settings: Settings, *, now: datetime) -> int:
    """Land what the service was told (`POST /v1/events`), beside whatever log is active; the lines
    that are landed now.

    To be called after `write_raw_logs`: what the other log has learned is then older than the last
    line that is landed here, so that the `loaded_at` of a mart's row says which events it holds.

    Raises:
        InputError: a line that was landed before is gone, or the disk refused.
    """
    origin, folder = settings.live / "events", settings.raw / LIVE_PACK
    if not origin.exists():
        return sum(one.rows for one in read_ledger(folder).values())
    draft = draft_of(folder)
    try:
        with _only_writer(settings.raw):
            draft.mkdir()
            rows = land(origin, [_LIVE_EVENTS], folder, draft, now)
            tree_to_disk(draft)
            replace_folder(draft, folder)
            _tidy(settings.raw)
    except OSError as error:
        raise InputError(f"{settings.raw}: the live log could not be landed: {error}") from None
    return sum(rows.values())


def packs_to_build(settings: Settings) -> tuple[str, ...]:
    """The packs of the active log, and `live` where something was told to the service.

    Raises:
        MissingStageError: no raw log was written yet.
    """
    active = active_log(settings)
    if active is None:
        raise MissingStageError(f"no raw log in {settings.raw}. Run `make logs` first.")
    told = sum(one.rows for one in read_ledger(settings.raw / LIVE_PACK).values())
    return (*active.packs, LIVE_PACK) if told else active.packs


def open_source(source: str, settings: Settings) -> Source:
    """The source that a name or a path means.

    Raises:
        InputError: it is neither a known pack nor a folder.
    """
    if source == "movielens":
        return MovieLens()
    if source == "tafeng":
        return TaFeng()
    if source in _SIMULATED:
        return _simulated(settings.simulated, _SIMULATED[source])
    known = f"known packs: {', '.join(PACKS)}"
    path = Path(source).expanduser()
    if source and path.is_dir():
        return _folder(path)
    if not source or not path.exists():
        raise InputError(
            f"source {source!r}: there is no such pack ({known}) and no such folder. "
            "Needed the name of a pack, or the path of a folder with profilestore.yaml in it."
        )
    raise InputError(f"source {source!r}: this is a file; needed a folder, or a pack ({known}).")


def _folder(path: Path) -> Source:
    if (path / MAPPING_FILE).exists():
        return Files(path)
    if packs_in(path):
        return Logs(path)
    published = published_in(path)
    return Published(path, published) if published else Files(path)


def _simulated(folder: Path, packs: Sequence[str]) -> Source:
    if not (folder / "simulation.json").exists():
        simulate(Simulation(), folder)
    return Logs(folder, packs, Shift.TO_NOW)


def _clock(source: Source, tables: RawTables, settings: Settings, now: datetime) -> Clock:
    """The clock of this log: the one it has, with the span of today, or a new one."""
    folder = settings.raw / source.name
    if (folder / CLOCK_FILE).exists() and _same_log(source, tables.shift, folder):
        kept = read_clock_file(folder / CLOCK_FILE)
        return replace(
            kept, first_event_at=tables.first_event_at, last_event_at=tables.last_event_at
        )
    return Clock(
        shift_seconds=tables.shift.seconds(last_event_at=tables.last_event_at, now=now),
        chosen_at=now,
        first_event_at=tables.first_event_at,
        last_event_at=tables.last_event_at,
        why=tables.shift.why,
    )


def _same_log(source: Source, shift: Shift, folder: Path) -> bool:
    """Whether the clock in `folder` was chosen for this log.

    Raises:
        InputError: it was, but with another rule: moving all times is for the owner to decide.
    """
    path = folder / SOURCE_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        origin, rule = str(found["origin"]), str(found["shift"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if origin != source.origin:
        return False
    if rule != shift.value:
        raise InputError(
            f"shift: found {shift.value!r}, but the times of this log were written with {rule!r} "
            f"before. Set it back, or delete the folder {folder} to choose again."
        )
    return True


@contextmanager
def _only_writer(raw: Path) -> Iterator[None]:
    """Wait for any other writer, and clear away what one that was killed has left."""
    raw.mkdir(parents=True, exist_ok=True)
    handle = os.open(raw, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _tidy(raw)
        yield
    finally:
        os.close(handle)


def _tidy(raw: Path) -> None:
    settle_all(raw)
    for draft in raw.glob(".*.new"):
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            draft.unlink()


def _write(source: Source, tables: RawTables, clock: Clock, raw: Path) -> RawLog:
    folder = raw / source.name
    draft, active_draft = draft_of(folder), draft_of(raw / ACTIVE_FILE)
    about = {"source_pack": source.name, "packs": list(source.packs), "origin": source.origin}
    try:
        draft.mkdir()
        rows = tables.write(draft, folder if _same_log(source, tables.shift, folder) else draft)
        (draft / CLOCK_FILE).write_text(clock.to_json(), encoding="utf-8")
        (draft / SOURCE_FILE).write_text(_json(about | {"shift": tables.shift.value}), "utf-8")
        # All that can run out of space happens before the first rename.
        active_draft.write_text(_json(about), "utf-8")
        tree_to_disk(draft)
        to_disk(active_draft)
        replace_folder(draft, folder)
        active_draft.replace(raw / ACTIVE_FILE)
        to_disk(raw)
    finally:
        _tidy(raw)
    return RawLog(source.name, source.packs, source.origin, folder, rows, clock)


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
