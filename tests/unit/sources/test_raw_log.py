"""Writing a raw log: whole or not at all, and one shift per log."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from profilestore.errors import InputError
from profilestore.settings import Settings
from profilestore.sources import PACKS, RawLog, raw_log, read_clock, write_raw_logs
from profilestore.sources.source import QueriedTables

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAYS = "who,what,at\na,x,2026-01-01T10:00:00Z\nb,y,2026-01-02T10:00:00Z\n"


def test_the_active_pack_is_named_with_its_origin(
    home: Settings, logs: Callable[..., Path], write: Callable[..., RawLog]
) -> None:
    folder = logs({"a.csv": DAYS})
    log = write(folder)
    assert json.loads((home.raw / "active.json").read_text()) == {
        "source_pack": "files",
        "packs": ["files"],
        "origin": str(folder),
    }
    assert log.rows == {"events": 2, "items": 2}
    assert log.clock == read_clock(home)
    assert sorted(path.name for path in home.raw.iterdir()) == ["active.json", "files"]
    assert sorted(path.name for path in log.folder.iterdir()) == [
        *("clock.json", "events.parquet", "items.parquet", "source.json")
    ]


def test_switching_packs_keeps_both_and_their_shifts(
    home: Settings, logs: Callable[..., Path], write: Callable[..., RawLog]
) -> None:
    folder = logs({"a.csv": DAYS}, shift="to_now")
    first = write(folder)
    films = write("movielens")
    assert read_clock(home) == films.clock
    assert write(folder, NOW + timedelta(weeks=9)) == first
    assert read_clock(home) == first.clock


def test_a_log_that_grows_keeps_its_shift_and_shows_its_new_span(
    logs: Callable[..., Path], write: Callable[..., RawLog]
) -> None:
    first = write(logs({"a.csv": DAYS}, shift="to_now"))
    assert first.clock.shift_seconds > 0
    grown = write(logs({"a.csv": DAYS + "c,z,2026-02-01T10:00:00Z\n"}, shift="to_now"))
    assert grown.clock.shift_seconds == first.clock.shift_seconds
    assert grown.clock.chosen_at == first.clock.chosen_at
    assert grown.clock.last_event_at == datetime(2026, 2, 1, 10, tzinfo=UTC)
    assert grown.rows["events"] == 3


def test_another_folder_is_another_log(
    logs: Callable[..., Path], write: Callable[..., RawLog]
) -> None:
    folder = logs({"a.csv": DAYS}, shift="to_now")
    first = write(folder)
    moved = folder.rename(folder.with_name("moved"))
    assert write(moved, NOW + timedelta(weeks=3)).clock.chosen_at > first.clock.chosen_at


def test_another_rule_for_the_same_log_is_for_the_owner_to_decide(
    home: Settings,
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    snapshot: Callable[[Path], Any],
) -> None:
    write(logs({"a.csv": DAYS}))
    before = snapshot(home.raw)
    with pytest.raises(InputError, match=r"found 'to_now', but .* with 'none'") as caught:
        write(logs({"a.csv": DAYS}, shift="to_now"))
    assert f"delete the folder {home.raw / 'files'}" in str(caught.value)
    assert snapshot(home.raw) == before


@pytest.mark.parametrize("source", ["netflix", "./nowhere", "", "movielens2"])
def test_neither_pack_nor_folder(refused: Callable[..., str], source: str) -> None:
    message = refused(source)
    assert repr(source) in message
    assert all(pack in message for pack in PACKS)
    assert "profilestore.yaml" in message


def test_a_file_is_no_source(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(DAYS)
    assert "this is a file; needed a folder" in refused(tmp_path / "a.csv")


def test_now_has_a_zone(home: Settings) -> None:
    with pytest.raises(ValueError, match="zone"):
        write_raw_logs("movielens", home, now=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("where", "broken"),
    [(QueriedTables, "write"), (raw_log, "replace_folder"), (raw_log, "_json")],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_write_that_fails_leaves_no_trace(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, where: object, broken: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(where, broken, fails)
    message = refused("movielens")
    assert "could not be written" in message
    assert "No space left" in message


def test_a_rename_that_fails_brings_the_old_log_back(
    logs: Callable[..., Path], refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    folder = logs({"a.csv": DAYS})
    monkeypatch.setattr(Path, "rename", fails)
    assert "Input/output error" in refused(folder)


def test_an_interrupt_leaves_no_trace(
    home: Settings,
    write: Callable[..., RawLog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(raw_log, "tree_to_disk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write("movielens")
    assert list(home.raw.iterdir()) == []


def test_a_full_disk_at_the_first_sync_leaves_no_trace(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    assert "No space left" in refused("movielens")


def test_what_a_killed_writer_left_is_cleared_away(
    home: Settings,
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    snapshot: Callable[[Path], Any],
) -> None:
    folder = logs({"a.csv": DAYS}, shift="to_now")
    first = write(folder)
    before = snapshot(home.raw)
    # Killed between the two renames, with everything of the next log on the disk.
    first.folder.rename(home.raw / ".files.old")
    (home.raw / ".files.new").mkdir()
    (home.raw / ".files.new" / "events.parquet").write_bytes(b"half")
    (home.raw / ".active.json.new").write_text("{}")
    assert write(folder, NOW + timedelta(weeks=5)) == first
    assert snapshot(home.raw) == before


def test_writers_wait_for_each_other(
    home: Settings, logs: Callable[..., Path], snapshot: Callable[[Path], Any]
) -> None:
    folder = str(logs({"a.csv": DAYS}))
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda _: write_raw_logs(folder, home, now=NOW), range(4)))
    assert written == [written[0]] * 4
    assert len(snapshot(home.raw)) == 6
