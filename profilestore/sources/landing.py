"""Lines of log files, as they are, in Parquet: what `make logs` leaves of a folder of logs.

A log only grows. So a file that was landed before is not read again, of one that grew only the new
end is, and one that is shorter than it was is refused. Each reading of a file is one part:

```
<table>/<file>[@<first row>].parquet      raw_file, raw_row, header, line
landed.json                               what was read of each file
```

A line is text in UTF-8; bytes that are not are read as Windows-1252, which is what they are when an
older system wrote them. A last line without an end is left for the next time while the file was
written to in the last minute. A record is a line: CSV with line ends within quotes is not read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from profilestore.errors import InputError

LEDGER = "landed.json"
_CHUNK_BYTES = 16 << 20
_AT_REST_SECONDS = 60
_SCHEMA = pa.schema(
    {
        # The same in all rows of a part, and so next to nothing on disk.
        "raw_file": pa.string(),
        "raw_row": pa.int64(),
        "header": pa.string(),
        "line": pa.string(),
    }
)


@dataclass(frozen=True)
class LogTable:
    """One kind of log files.

    Attributes:
        name: of the table.
        pattern: of its files, below the folder.
        has_header: whether a file begins with the names of its columns, as CSV does.
        needs_ends: whether a last line without an end is left for the next time however old it is:
            whoever writes the file may cut it.
    """

    name: str
    pattern: str
    has_header: bool = False
    needs_ends: bool = False


@dataclass(frozen=True)
class Landed:
    """What has been read of one file.

    Attributes:
        bytes: how many, up to the end of a line.
        rows: how many.
        header: its first line, if it has one.
        parts: files below the folder of raw logs.
    """

    bytes: int
    rows: int
    header: str | None
    parts: tuple[str, ...]


Ledger = dict[str, Landed]


def read_ledger(folder: Path) -> Ledger:
    """What was landed in `folder`; nothing when that is not there."""
    path = folder / LEDGER
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {
        file: Landed(one["bytes"], one["rows"], one["header"], tuple(one["parts"]))
        for file, one in found.items()
    }


def log_files(origin: Path, table: LogTable) -> list[Path]:
    """The files of a table, by name."""
    return sorted(path for path in origin.glob(table.pattern) if path.is_file())


def land(
    origin: Path, tables: Sequence[LogTable], former: Path, draft: Path, now: datetime
) -> dict[str, int]:
    """Write the whole landing of `origin` into `draft`; rows of each table.

    Args:
        former: the last landing of the same origin; its parts are linked, not written again.

    Raises:
        InputError: a file is shorter than what was read of it, or is gone.
    """
    before = read_ledger(former)
    ledger: Ledger = {}
    rows = {table.name: 0 for table in tables}
    for table in tables:
        (draft / table.name).mkdir(parents=True)
        for path in log_files(origin, table):
            name = path.relative_to(origin).as_posix()
            landed = before.pop(name, Landed(0, 0, None, ()))
            for part in landed.parts:
                os.link(former / part, draft / part)
            ledger[name] = _land_rest(path, name, table, landed, draft, now)
            rows[table.name] += ledger[name].rows
    if before:
        raise InputError(
            f"{origin / min(before)}: this log was read before and is gone now. What was learned "
            f"from it would stay without a source. Bring it back, or delete {former} to begin anew."
        )
    text = json.dumps({name: asdict(one) for name, one in ledger.items()}, indent=1)
    (draft / LEDGER).write_text(text + "\n", encoding="utf-8")
    return rows


def _land_rest(
    path: Path, name: str, table: LogTable, landed: Landed, draft: Path, now: datetime
) -> Landed:
    size = path.stat().st_size
    if size < landed.bytes:
        raise InputError(
            f"{path}: found {size:,} bytes, and {landed.bytes:,} were read of it before. A log "
            f"only grows: what was changed in it would go unnoticed. Write new rows to a new file."
        )
    age = now.timestamp() - path.stat().st_mtime
    at_rest = age > _AT_REST_SECONDS and not table.needs_ends
    header, rows, taken = landed.header, landed.rows, landed.bytes
    stem = path.name if rows == 0 else f"{path.name}@{rows + 1}"
    part = f"{table.name}/{stem}.parquet"
    with path.open("rb") as file, pq.ParquetWriter(draft / part, _SCHEMA, compression="zstd") as to:
        for chunk in _whole_lines(file, landed.bytes, at_rest):
            taken += len(chunk)
            lines = _texts(chunk)
            if table.has_header and header is None:
                header, *lines = lines
            count = len(lines)
            columns = [
                pa.array([name] * count, pa.string()),
                pa.array(np.arange(rows + 1, rows + count + 1)),
                pa.array([header] * count, pa.string()),
                pa.array(lines, pa.string()),
            ]
            to.write_table(pa.table(columns, schema=_SCHEMA))
            rows += count
    if rows == landed.rows:
        (draft / part).unlink()
        return Landed(taken, rows, header, landed.parts)
    return Landed(taken, rows, header, (*landed.parts, part))


def _whole_lines(file: BinaryIO, start: int, at_rest: bool) -> Iterator[bytes]:
    """What follows `start`, in chunks that end with a line, or at the end of a file at rest."""
    file.seek(max(0, start - 1))
    if start and file.read(1) != b"\n" and file.read(1) != b"\n":
        # The last line was read before it was whole. What follows is a line of its own, and of both
        # the warehouse will say that they cannot be read.
        file.seek(start)
    rest = b""
    while read := file.read(_CHUNK_BYTES):
        rest += read
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest and at_rest:
        yield rest


def _texts(chunk: bytes) -> list[str]:
    """The lines of a chunk, without their ends."""
    lines: list[str]
    try:
        lines = chunk.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = [_text(line) for line in chunk.split(b"\n")]
    if lines[-1] == "":
        lines.pop()  # what stands after the last end
    return [line.removesuffix("\r") for line in lines]


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")
