"""Files that are empty, cut, of another kind or not there: each is refused by name."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from profilestore.sources import RawLog

HEAD = b"who,what,at\n"
ROW = b"a,x,2026-01-01T10:00:00Z\n"


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"who": ["a"], "what": ["x"], "at": ["2026-01-01"]}), buffer)
    return buffer.getvalue()


PACKED = gzip.compress(HEAD + ROW * 1000)


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.csv", b"", ["found an empty file (0 bytes)"]),
        ("a.jsonl", b"", ["found an empty file (0 bytes)"]),
        ("a.parquet", b"", ["found an empty file (0 bytes)"]),
        ("a.csv", HEAD, ["found no rows"]),
        ("a.csv", b"\n" + HEAD + ROW, ["line 1", "an empty header"]),
        ("a.csv", b"who,what,at,Who\n", ["'who' and 'Who'", "upper and lower case"]),
        ("a.csv", HEAD + b"caf\xe9,x,2026-01-01\n", ["line 2", "not UTF-8"]),
        ("a.csv", b"caf\xe9,x,2026-01-01\n", ["line 1", "not UTF-8"]),
        ("a.csv.gz", PACKED[: len(PACKED) // 2], ["cut short or damaged"]),
        ("a.csv.gz", PACKED[:-4], ["cut short or damaged"]),
        ("a.csv.gz", PACKED[:-8] + bytes(8), ["cut short or damaged", "CRC"]),
        ("a.csv.gz", HEAD + ROW, ["cut short or damaged", "Not a gzipped file"]),
        ("a.csv.gz", gzip.compress(b""), ["line 1", "an empty header"]),
        ("a.parquet", parquet()[:-20], ["no whole Parquet file", "Copy it again"]),
        ("a.parquet", HEAD + ROW, ["no whole Parquet file"]),
        ("a.jsonl", b'{"who": 1}\n{"who": 2, "wh', ["line 2", "not JSON", "cut short"]),
        ("a.jsonl", b'{\n"who": 1\n}\n', ["line 1", "one JSON object a line"]),
        ("a.jsonl", b'{"who": 1}\n[1, 2]\n', ["row 2: found [1, 2]", "one JSON object a line"]),
        ("a.jsonl", b'{"who": "caf\xe9"}\n', ["line 1", "not JSON"]),
        ("a.xlsx", b"PK", ["cannot be read here", ".parquet, .csv, .csv.gz, .jsonl, .ndjson"]),
    ],
)
def test_a_file_that_is_not_whole(
    logs: Callable[..., Path],
    refused: Callable[..., str],
    name: str,
    content: bytes,
    parts: list[str],
) -> None:
    message = refused(logs({f"days/{name}": content}, events={"files": "days/*"}))
    assert message.startswith(f"days/{name}: ")
    for part in parts:
        assert part in message


def test_no_file_fits(logs: Callable[..., Path], refused: Callable[..., str]) -> None:
    message = refused(logs({"a.csv": HEAD + ROW}, events={"files": "days/*.csv"}))
    assert "events.files: found no file" in message
    assert "'days/*.csv'" in message


@pytest.mark.parametrize(
    "content",
    [
        HEAD.replace(b",", b";") + ROW.replace(b",", b";"),
        HEAD.replace(b",", b"\t") + ROW.replace(b",", b"\t"),
        b"\xef\xbb\xbf" + HEAD + ROW,
        (HEAD + ROW).replace(b"\n", b"\r\n"),
        (HEAD + ROW).replace(b"\n", b"\r"),
        (HEAD + ROW).rstrip(),
        HEAD + b"\n" + ROW + b"\n\n",
        b'who,"what",at,"a;b;c;d"\na,x,2026-01-01,\n',
        b",who,what,at\n0,a,x,2026-01-01\n",
    ],
)
def test_csv_as_programs_write_it(
    logs: Callable[..., Path], write: Callable[..., RawLog], content: bytes
) -> None:
    assert write(logs({"a.csv": content})).rows == {"events": 1, "items": 1}


def test_hidden_files_and_the_mapping_are_no_logs(
    logs: Callable[..., Path], write: Callable[..., RawLog]
) -> None:
    folder = logs({"a.csv": HEAD + ROW, ".a.csv": b"x", "sub/b.csv": b"x"}, events={"files": "*"})
    assert write(folder).rows["events"] == 1


def test_rows_are_numbered_in_the_order_of_a_large_file(
    logs: Callable[..., Path],
    write: Callable[..., RawLog],
    rows: Callable[..., list[dict[str, object]]],
) -> None:
    # Several row groups and several threads.
    folder = logs({"b.csv": HEAD + ROW}, events={"files": "*.parquet"})
    who = [str(place) for place in range(1, 150_001)]
    table = pa.table({"who": who, "what": ["x"] * len(who), "at": ["2026-01-01"] * len(who)})
    pq.write_table(table, folder / "a.parquet", row_group_size=20_000)
    assert all(row["user_id"] == str(row["row_number"]) for row in rows(write(folder), "events"))
