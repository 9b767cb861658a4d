"""The live log in Parquet: each whole line once, and never a torn one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from profilestore.errors import InputError, MissingStageError
from profilestore.settings import Settings
from profilestore.sources import land_live_log, packs_to_build

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def append(home: Settings, text: str, day: str = "2026-03-01") -> Path:
    path = home.live / "events" / f"{day}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    os.utime(path, (0, 0))  # long ago
    return path


def landed(home: Settings) -> list[str]:
    parts = sorted((home.raw / "live" / "live_events").glob("*.parquet"))
    return [line for part in parts for line in pq.read_table(part)["line"].to_pylist()]


def test_each_line_is_landed_once_and_a_torn_one_not_at_all(home: Settings) -> None:
    path = append(home, "one\ntwo\nto")
    assert land_live_log(home, now=NOW) == 2
    assert landed(home) == ["one", "two"]
    # The service cuts what has no end, and goes on.
    path.write_text("one\ntwo\nthree\n")
    append(home, "four\n", "2026-03-02")
    assert land_live_log(home, now=NOW) == 4
    assert sorted(landed(home)) == ["four", "one", "three", "two"]
    assert land_live_log(home, now=NOW) == 4


def test_nothing_told_is_nothing_landed(home: Settings) -> None:
    assert land_live_log(home, now=NOW) == 0
    assert not (home.raw / "live").exists()


def test_a_log_that_lost_lines_is_refused(home: Settings) -> None:
    path = append(home, "one\ntwo\n")
    land_live_log(home, now=NOW)
    path.write_text("one\n")
    with pytest.raises(InputError, match="only grows"):
        land_live_log(home, now=NOW)
    assert landed(home) == ["one", "two"]


def test_live_is_built_once_there_is_something_in_it(home: Settings) -> None:
    with pytest.raises(MissingStageError):
        packs_to_build(home)
    home.raw.mkdir(parents=True)
    (home.raw / "active.json").write_text('{"source_pack": "files", "origin": "x"}')
    assert packs_to_build(home) == ("files",)
    append(home, "torn")
    land_live_log(home, now=NOW)
    assert packs_to_build(home) == ("files",)
    append(home, "\n")
    land_live_log(home, now=NOW)
    assert packs_to_build(home) == ("files", "live")
