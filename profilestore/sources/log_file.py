"""One file of the owner's folder: Parquet, CSV or JSON lines, as DuckDB can read it safely.

DuckDB guesses a lot about a CSV file, and a wrong guess loses rows in silence: a row too long can
make it skip the rows before it, and `007` becomes 7. So nothing is guessed here but the delimiter,
which is taken from the header; all values of CSV and JSON stay text until they are converted.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import duckdb

from profilestore.errors import InputError
from profilestore.sources.mapping import MAPPING_FILE

_DELIMITERS = ",;\t|"
_CHUNK_BYTES = 1 << 20


class Kind(Enum):
    """What a file is, by the end of its name."""

    PARQUET = (".parquet",)
    CSV = (".csv", ".csv.gz")
    JSON = (".jsonl", ".ndjson")


SUFFIXES = [suffix for kind in Kind for suffix in kind.value]


@dataclass(frozen=True)
class LogFile:
    """A file that was opened and found whole.

    Attributes:
        path: where it lies.
        name: the same, relative to the folder, with forward slashes.
        kind: how it is read.
        columns: DuckDB type of each column; for JSON, the keys found in any row, as VARCHAR.
        scan: a FROM clause with the file's rows in the order of the file.
    """

    path: Path
    name: str
    kind: Kind
    columns: Mapping[str, str]
    scan: str

    def cell(self, column: str) -> str:
        """An expression over `scan`: the value of one column, of the type in `columns`."""
        if self.kind is Kind.JSON:
            return f"(json ->> {_pointer(column)})"
        return identifier(column)

    def nested(self, column: str) -> str:
        """A condition over `scan`: the cell holds a JSON object or array."""
        if self.kind is Kind.JSON:
            return f"coalesce(json_type(json -> {_pointer(column)}) IN ('OBJECT', 'ARRAY'), false)"
        return "false"

    def json_cell(self, column: str) -> str:
        """An expression over `scan`: the value of one column as JSON; null stays null."""
        if self.kind is Kind.JSON:
            # A JSON null is a value of its own: ask for its text to find it.
            return f"if(json ->> {_pointer(column)} IS NULL, NULL, json -> {_pointer(column)})"
        if self.columns[column] == "VARCHAR":
            cell = identifier(column)
            return f"if(json_valid({cell}), {cell}::json, to_json(nullif({cell}, '')))"
        return f"to_json({identifier(column)})"

    @property
    def payload(self) -> str:
        """An expression over `scan`: the whole row as JSON text."""
        if self.kind is Kind.JSON:
            return "json::varchar"
        fields = ", ".join(f"{literal(name)}: {identifier(name)}" for name in self.columns)
        return f"to_json({{{fields}}})::varchar"


def find_files(folder: Path, pattern: str, where: str) -> list[Path]:
    """The files that a pattern of `profilestore.yaml` means, sorted by name.

    Raises:
        InputError: there is none, or one of a kind that cannot be read.
    """
    mapping = folder / MAPPING_FILE
    try:
        found = sorted(
            path
            for path in folder.glob(pattern)
            if path.is_file() and not path.name.startswith(".") and path != mapping
        )
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"{mapping}: {where}: {pattern!r} is no pattern: {error}.") from None
    if not found:
        raise InputError(
            f"{mapping}: {where}: found no file in {folder} that fits {pattern!r}; "
            f"needed at least one ({', '.join(SUFFIXES)})."
        )
    return found


def open_file(connection: duckdb.DuckDBPyConnection, folder: Path, path: Path) -> LogFile:
    """Look at a file: is it whole, and what columns does it have?

    Raises:
        InputError: it is of an unknown kind, empty, cut short, or not what its name says.
    """
    name = path.relative_to(folder).as_posix()
    kind = next((kind for kind in Kind if path.name.endswith(kind.value)), None)
    if kind is None:
        raise InputError(
            f"{name}: found a kind of file that cannot be read here; needed a name that ends in "
            f"one of {', '.join(SUFFIXES)}. Narrow `files:` in {MAPPING_FILE}, or convert it."
        )
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{name}: found an empty file (0 bytes); needed rows.")
        if kind is Kind.CSV:
            return _open_csv(path, name)
        if kind is Kind.JSON:
            return _open_json(connection, path, name)
        return _open_parquet(connection, path, name)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error}.") from None


def reading_failed(file: LogFile, error: duckdb.Error) -> InputError:
    """What to tell the owner when DuckDB stops inside a file."""
    said = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", said)
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", said)
    if line and counts:
        return InputError(
            f"{file.name}: line {line[1]}: found {counts[2]} columns, needed {counts[1]} as in the "
            "header. The file may be cut short, or a text with a delimiter lacks its quotes."
        )
    if line and "unterminated quote" in said:
        return InputError(
            f"{file.name}: line {line[1]}: found a quote that is not closed; needed "
            '`"` around a text and `""` inside it. The file may be cut short.'
        )
    if line and "Invalid unicode" in said:
        return InputError(f"{file.name}: line {line[1]}: found bytes that are not UTF-8 text.")
    return InputError(f"{file.name}: cannot be read to its end: {_first_line(error)}")


def identifier(name: str) -> str:
    """A column name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"


def _open_csv(path: Path, name: str) -> LogFile:
    packed = path.name.endswith(".gz")
    if packed:
        _check_gzip(path, name)
    with gzip.open(path) if packed else path.open("rb") as raw:
        # More than the header is decoded here; DuckDB says it if the rest is not UTF-8.
        lines = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        with lines:
            delimiter, header = _header(lines, name)
    columns = dict.fromkeys(header, "VARCHAR")
    types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    return LogFile(
        path,
        name,
        Kind.CSV,
        columns,
        f"read_csv({_scannable(path)}, auto_detect = false, header = true, "
        f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', strict_mode = true, "
        f"null_padding = false, hive_partitioning = false, columns = {{{types}}})",
    )


def _header(lines: io.TextIOWrapper, name: str) -> tuple[str, list[str]]:
    """The delimiter and the column names of a CSV file."""
    try:
        start = re.sub(r'"[^"]*"', "", lines.readline())
        delimiter = max(_DELIMITERS, key=start.count)
        lines.seek(0)
        header = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
        "".join(header).encode()
    except UnicodeEncodeError:
        raise InputError(f"{name}: line 1: found bytes that are not UTF-8 text.") from None
    except csv.Error as error:
        raise InputError(f"{name}: line 1: the header cannot be read: {error}.") from None
    # A table saved with its row labels has one column without a name.
    names = [column or f"column_{place}" for place, column in enumerate(header, start=1)]
    if not any(header):
        raise InputError(f"{name}: line 1: found an empty header; needed the names of columns.")
    seen: dict[str, str] = {}
    for column in names:
        other = seen.setdefault(column.casefold(), column)
        if other is not column:
            raise InputError(
                f"{name}: line 1: found the columns {other!r} and {column!r}; needed names that "
                "differ in more than upper and lower case."
            )
    return delimiter, names


def _check_gzip(path: Path, name: str) -> None:
    """Read to the end: DuckDB stops at a cut or a wrong checksum without a word."""
    try:
        with gzip.open(path) as packed:
            while packed.read(_CHUNK_BYTES):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{name}: found a gzip file that is cut short or damaged ({error}); needed a whole "
            "one. Copy it again."
        ) from None


def _open_json(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> LogFile:
    scan = f"read_ndjson_objects({_scannable(path)}, hive_partitioning = false)"
    try:
        odd = connection.execute(
            "SELECT min(place), arg_min(json::varchar, place) FROM "
            f"(SELECT row_number() OVER () AS place, json FROM {scan}) "
            "WHERE json_type(json) <> 'OBJECT'"
        ).fetchone()
        keys = connection.execute(
            f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM {scan} ORDER BY key"
        ).fetchall()
    except duckdb.Error as error:
        raise _broken_json(path, name, error) from None
    if odd is not None and odd[0] is not None:
        raise InputError(
            f"{name}: row {odd[0]}: found {str(odd[1])[:60]}; needed one JSON object a line, "
            'such as {"user": "a"}.'
        )
    return LogFile(path, name, Kind.JSON, {key: "VARCHAR" for (key,) in keys}, scan)


def _broken_json(path: Path, name: str, error: duckdb.Error) -> InputError:
    # The line that DuckDB names can be off by one, so it is looked for here.
    with path.open("rb") as lines:
        for place, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                json.loads(line)
            except ValueError:
                return InputError(
                    f"{name}: line {place}: found text that is not JSON; needed one JSON object "
                    "a line. The file may be cut short."
                )
    return InputError(f"{name}: cannot be read as JSON lines: {_first_line(error)}")


def _open_parquet(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> LogFile:
    scan = f"read_parquet({_scannable(path)}, hive_partitioning = false)"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    except duckdb.Error as error:
        raise InputError(
            f"{name}: found a file that is no whole Parquet file ({_first_line(error)}); needed "
            "one that was written to its end. Copy it again."
        ) from None
    return LogFile(path, name, Kind.PARQUET, {row[0]: row[1] for row in described}, scan)


def _scannable(path: Path) -> str:
    """The path as SQL text: DuckDB takes each path for a pattern."""
    return literal(re.sub(r"([\[*?])", r"[\1]", str(path)))


def _pointer(key: str) -> str:
    """A JSON pointer (RFC 6901) to one key, as SQL text."""
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]
