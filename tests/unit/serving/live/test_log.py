"""The live log: whole lines, on the disk or not there."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.errors import ProfilestoreError
from serving.live.log import LiveLog, Position

MONDAY = datetime(2026, 3, 2, 23, tzinfo=UTC)
TUESDAY = datetime(2026, 3, 3, 1, tzinfo=UTC)
BEGINNING = Position("", 0)


def texts(log: LiveLog, after: Position = BEGINNING) -> list[bytes]:
    return [line.text for line in log.lines(after)]


def test_lines_are_read_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    log = LiveLog(tmp_path / "events")
    log.append(b"one\ntwo\n", MONDAY)
    middle = log.append(b"three\n", TUESDAY)
    log.append(b"four\n", MONDAY)  # a clock that was set back
    assert texts(log) == [b"one", b"two", b"three", b"four"]
    assert texts(log, middle) == [b"four"]
    assert sorted(path.name for path in (tmp_path / "events").iterdir()) == [
        "2026-03-02.jsonl",
        "2026-03-03.jsonl",
    ]


@given(torn=st.binary(max_size=200_000).map(lambda some: some.replace(b"\n", b"")))
def test_a_torn_last_line_is_cut(tmp_path_factory: pytest.TempPathFactory, torn: bytes) -> None:
    folder = tmp_path_factory.mktemp("log")
    first = LiveLog(folder)
    first.append(b"whole\n", MONDAY)
    first.close()
    with (folder / "2026-03-02.jsonl").open("ab") as file:
        file.write(torn)
    log = LiveLog(folder)
    assert log.end == Position("2026-03-02.jsonl", 6)
    log.append(b"next\n", MONDAY)
    assert texts(log) == [b"whole", b"next"]
    log.close()


def test_a_reader_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    log = LiveLog(tmp_path)
    log.append(b"whole\n", MONDAY)
    with (tmp_path / "2026-03-02.jsonl").open("ab") as file:
        file.write(b"begun")
    assert texts(log) == [b"whole"]


def test_what_could_not_be_written_whole_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LiveLog(tmp_path)
    log.append(b"whole\n", MONDAY)

    write = os.write

    def half(handle: int, some: bytes) -> int:
        if len(some) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, some[: len(some) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(ProfilestoreError, match="were not taken"):
        log.append(b"too much for this disk\n", MONDAY)
    monkeypatch.undo()
    assert (tmp_path / "2026-03-02.jsonl").read_bytes() == b"whole\n"
    log.append(b"next\n", MONDAY)
    assert texts(log) == [b"whole", b"next"]


def test_nothing_is_taken_after_a_disk_that_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LiveLog(tmp_path)
    log.append(b"whole\n", MONDAY)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        broken.setattr(os, "ftruncate", refuse)
        with pytest.raises(ProfilestoreError):
            log.append(b"lost\n", MONDAY)
    with pytest.raises(ProfilestoreError, match="start the service again"):
        log.append(b"next\n", MONDAY)
