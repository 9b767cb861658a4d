"""Lines of logs go to Parquet as they are, each once, and files that grew from where they ended."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.errors import InputError
from profilestore.sources import landing
from profilestore.sources.landing import LogTable, land, read_ledger

EVENTS = LogTable("events", "events/*.jsonl")
LINES = LogTable("lines", "lines/*.csv", has_header=True)
LATER = datetime.now(UTC) + timedelta(days=1)


class Log:
    """A folder of logs, landed again and again."""

    def __init__(self, folder: Path, tables: tuple[LogTable, ...] = (EVENTS,)) -> None:
        self.origin, self.folder, self.tables = folder / "origin", folder / "landed-0", tables
        self.origin.mkdir()
        self.turn = 0

    def append(self, name: str, data: bytes) -> Path:
        path = self.origin / name
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(data)
        return path

    def land(self, now: datetime = LATER) -> dict[str, int]:
        self.turn += 1
        draft = self.folder.with_name(f"landed-{self.turn}")
        rows = land(self.origin, self.tables, self.folder, draft, now)
        self.folder = draft
        return rows

    def rows(self, table: str = "events") -> list[tuple[str, int, str | None, str]]:
        found = []
        for part in sorted((self.folder / table).iterdir()):
            columns = pq.read_table(part).to_pydict().values()
            found += list(zip(*columns, strict=True))
        return sorted(found)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_lines_are_landed_as_they_are(log: Log) -> None:
    log.append("events/b.jsonl", b'{"a": 1}\n\n not json \r\n')
    log.append("events/a.jsonl", '{"é": "ü"}\n'.encode())
    assert log.land() == {"events": 4}
    assert log.rows() == [
        ("events/a.jsonl", 1, None, '{"é": "ü"}'),
        ("events/b.jsonl", 1, None, '{"a": 1}'),
        ("events/b.jsonl", 2, None, ""),
        ("events/b.jsonl", 3, None, " not json "),
    ]


def test_bytes_that_are_no_utf_8_are_windows_1252_and_only_they(log: Log) -> None:
    log.append("events/a.jsonl", "naïve €\n".encode("cp1252") + "naïve 漢\n".encode())
    log.land()
    assert [line for *_, line in log.rows()] == ["naïve €", "naïve 漢"]


def test_a_header_stands_beside_each_row(tmp_path: Path) -> None:
    log = Log(tmp_path, (LINES,))
    log.append("lines/a.csv", b"id,name\n1,x\n")
    log.append("lines/empty.csv", b"id,name\n")
    log.append("lines/nothing.csv", b"")
    assert log.land() == {"lines": 1}
    log.append("lines/a.csv", b"2,y\n")
    log.append("lines/empty.csv", b"7,z\n")
    assert log.land() == {"lines": 3}
    assert log.rows("lines") == [
        ("lines/a.csv", 1, "id,name", "1,x"),
        ("lines/a.csv", 2, "id,name", "2,y"),
        ("lines/empty.csv", 1, "id,name", "7,z"),
    ]


PIECES = st.lists(
    st.lists(st.sampled_from(["x", "ü", '{"a":1}', "", "a\tb", "漢字"]), max_size=5), max_size=5
)


@settings(deadline=None, max_examples=60)
@given(pieces=PIECES, chunk=st.integers(1, 40))
def test_in_however_many_pieces_a_log_comes(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[str]], chunk: int
) -> None:
    log = Log(tmp_path_factory.mktemp("log"))
    log.append("events/a.jsonl", b"")
    whole: list[str] = []
    log.land()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landing, "_CHUNK_BYTES", chunk)
        for piece in pieces:
            whole += piece
            log.append("events/a.jsonl", "".join(f"{line}\n" for line in piece).encode())
            assert log.land() == {"events": len(whole)}
    assert [row for _, row, _, _ in log.rows()] == [*range(1, len(whole) + 1)]
    assert [line for *_, line in log.rows()] == whole


def test_what_was_landed_is_not_written_again(log: Log) -> None:
    log.append("events/a.jsonl", b"one\n")
    log.land()
    first = next((log.folder / "events").iterdir())
    log.append("events/a.jsonl", b"two\n")
    log.append("events/b.jsonl", b"three\n")
    log.land()
    parts = {part.name: part for part in (log.folder / "events").iterdir()}
    assert parts.keys() == {"a.jsonl.parquet", "a.jsonl@2.parquet", "b.jsonl.parquet"}
    assert parts["a.jsonl.parquet"].stat().st_ino == first.stat().st_ino
    assert pq.read_table(parts["a.jsonl@2.parquet"])["line"].to_pylist() == ["two"]


def test_a_line_that_is_being_written_waits(log: Log) -> None:
    path = log.append("events/a.jsonl", b"whole\nhal")
    now = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    assert log.land(now) == {"events": 1}
    assert log.land(now) == {"events": 1}
    log.append("events/a.jsonl", b"f\n")
    assert log.land(now) == {"events": 2}
    assert [line for *_, line in log.rows()] == ["whole", "half"]


def test_a_file_at_rest_is_read_to_its_end(log: Log) -> None:
    log.append("events/a.jsonl", b"one\ntwo")
    assert log.land() == {"events": 2}
    assert log.land() == {"events": 2}
    log.append("events/a.jsonl", b"\nthree\n")
    assert log.land() == {"events": 3}
    assert [line for *_, line in log.rows()] == ["one", "two", "three"]
    # Cut in the middle after all: two lines that say so, and nothing is lost.
    log.append("events/b.jsonl", b"fo")
    log.land()
    log.append("events/b.jsonl", b"ur\nfive\n")
    log.land()
    assert [line for file, *_, line in log.rows() if file == "events/b.jsonl"] == [
        *("fo", "ur", "five")
    ]


def test_a_log_that_shrank_or_went_is_refused_and_nothing_changes(log: Log) -> None:
    path = log.append("events/a.jsonl", b"one\ntwo\n")
    log.land()
    before = log.rows()
    os.truncate(path, 4)
    with pytest.raises(InputError, match=r"a\.jsonl: found 4 bytes, and 8 were read"):
        log.land()
    path.unlink()
    with pytest.raises(InputError, match=r"a\.jsonl: this log was read before and is gone"):
        log.land()
    assert log.rows() == before


def test_the_ledger_says_what_was_read(log: Log) -> None:
    log.append("events/a.jsonl", b"one\n")
    log.land()
    one = read_ledger(log.folder)["events/a.jsonl"]
    assert (one.bytes, one.rows, one.parts) == (4, 1, ("events/a.jsonl.parquet",))
    assert json.loads((log.folder / "landed.json").read_text())["events/a.jsonl"]["rows"] == 1
