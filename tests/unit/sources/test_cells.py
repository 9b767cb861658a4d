"""One cell at a time: what each of our types reads, what is missing, what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from profilestore import lake
from profilestore.sources import cells
from profilestore.sources.cells import Conversion

UNREADABLE = "unreadable"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = lake.connect()
    yield connection
    connection.close()


def convert(connection: duckdb.DuckDBPyConnection, cell: str, conversion: Conversion) -> Any:
    """The converted value, None when it is missing, UNREADABLE when it is neither."""
    row = connection.execute(
        f"SELECT {conversion.sql}, {conversion.present} FROM (SELECT {cell} AS cell)"
    ).fetchone()
    assert row is not None
    value, present = row
    if present and value is None:
        return UNREADABLE
    assert present or value in (None, [])
    return value


@pytest.mark.parametrize(
    ("cell", "utc"),
    [
        ("'2024-05-31'", "2024-05-30 22:00:00"),
        ("'2024-05-31 18:30'", "2024-05-31 16:30:00"),
        ("'2024-05-31T18:30:05.25'", "2024-05-31 16:30:05.250000"),
        ("'2024-01-31 18:30'", "2024-01-31 17:30:00"),
        ("' 2024-5-1 8:30 '", "2024-05-01 06:30:00"),
        ("'2024-05-31T18:30Z'", "2024-05-31 18:30:00"),
        ("'2024-05-31T18:30:00z'", "2024-05-31 18:30:00"),
        ("'2024-05-31 18:30:00 UTC'", "2024-05-31 18:30:00"),
        ("'2024-05-31 18:30+05:30'", "2024-05-31 13:00:00"),
        ("'2024-05-31 18:30:00-0800'", "2024-06-01 02:30:00"),
        ("'2024-05-31 18:30:00.5+02'", "2024-05-31 16:30:00.500000"),
        ("''", None),
        ("NULL::varchar", None),
        ("'2024-02-30'", UNREADABLE),
        ("'2024-05-31 25:00'", UNREADABLE),
        ("'2024-05-31T18:30:00+02:00:15'", UNREADABLE),
        ("'31.05.2024'", UNREADABLE),
        ("'infinity'", UNREADABLE),
        ("'epoch'", UNREADABLE),
        ("'1717173000'", UNREADABLE),
    ],
)
def test_iso_times(connection: duckdb.DuckDBPyConnection, cell: str, utc: str | None) -> None:
    conversion = cells.time("cell", "VARCHAR", unit="iso", zone="Europe/Berlin")
    found = convert(connection, cell, conversion)
    assert (found if utc in (None, UNREADABLE) else str(found.replace(tzinfo=None))) == utc


@pytest.mark.parametrize(
    ("cell", "kind", "unit", "utc"),
    [
        ("'1476640644'", "VARCHAR", "s", "2016-10-16 17:57:24"),
        ("1476640644", "BIGINT", "s", "2016-10-16 17:57:24"),
        ("1476640644.25::double", "DOUBLE", "s", "2016-10-16 17:57:24.250000"),
        ("'-1.5'", "VARCHAR", "ms", "1969-12-31 23:59:59.998500"),
        ("9223372036854775807", "BIGINT", "us", UNREADABLE),
        ("'99999999999999999999999999'", "VARCHAR", "s", UNREADABLE),
        ("'1e400'", "VARCHAR", "s", UNREADABLE),
        ("'inf'::double", "DOUBLE", "s", UNREADABLE),
        ("'nan'::double", "DOUBLE", "s", None),
        ("''", "VARCHAR", "s", None),
        ("'soon'", "VARCHAR", "s", UNREADABLE),
    ],
)
def test_counted_times(
    connection: duckdb.DuckDBPyConnection, cell: str, kind: str, unit: str, utc: str | None
) -> None:
    conversion = cells.time("cell", kind, unit=unit, zone="Europe/Berlin")
    found = convert(connection, cell, conversion)
    assert (found if utc in (None, UNREADABLE) else str(found.replace(tzinfo=None))) == utc


@pytest.mark.parametrize(
    ("cell", "kind", "utc"),
    [
        ("DATE '2024-05-31'", "DATE", "2024-05-30 22:00:00"),
        ("TIMESTAMP '2024-05-31 18:30:00'", "TIMESTAMP", "2024-05-31 16:30:00"),
        ("TIMESTAMP_NS '2024-05-31 18:30:00'", "TIMESTAMP_NS", "2024-05-31 16:30:00"),
        (
            "TIMESTAMPTZ '2024-05-31 18:30:00+00'",
            "TIMESTAMP WITH TIME ZONE",
            "2024-05-31 18:30:00",
        ),
    ],
)
def test_typed_times(connection: duckdb.DuckDBPyConnection, cell: str, kind: str, utc: str) -> None:
    conversion = cells.time("cell", kind, unit="iso", zone="Europe/Berlin")
    assert conversion.fits
    assert str(convert(connection, cell, conversion).replace(tzinfo=None)) == utc


@pytest.mark.parametrize("cell", ["'cheap'", "'1,5'", "'1e15'", "'inf'", "'12:30'"])
def test_amounts_that_cannot_be_read(connection: duckdb.DuckDBPyConnection, cell: str) -> None:
    assert convert(connection, cell, cells.amount("cell", "VARCHAR")) == UNREADABLE


@pytest.mark.parametrize(
    ("cell", "kind", "text"),
    [
        ("'1.23456'", "VARCHAR", "1.2346"),
        ("'-1e3'", "VARCHAR", "-1000.0000"),
        ("7", "INTEGER", "7.0000"),
        ("2.5::double", "DOUBLE", "2.5000"),
        ("'nan'::double", "DOUBLE", "None"),
        ("'NaN'", "VARCHAR", "None"),
        ("''", "VARCHAR", "None"),
    ],
)
def test_amounts(connection: duckdb.DuckDBPyConnection, cell: str, kind: str, text: str) -> None:
    assert str(convert(connection, cell, cells.amount("cell", kind))) == text


@pytest.mark.parametrize(
    ("cell", "kind", "year"),
    [
        ("'1999'", "VARCHAR", 1999),
        ("'1999-12-31'", "VARCHAR", 1999),
        ("DATE '1999-12-31'", "DATE", 1999),
        ("1999", "BIGINT", 1999),
        ("1999.0::double", "DOUBLE", 1999),
        ("'nan'::double", "DOUBLE", None),
        ("''", "VARCHAR", None),
        ("'soon'", "VARCHAR", UNREADABLE),
    ],
)
def test_years(connection: duckdb.DuckDBPyConnection, cell: str, kind: str, year: object) -> None:
    assert convert(connection, cell, cells.year("cell", kind)) == year


@pytest.mark.parametrize(
    ("cell", "kind", "separator", "json", "found"),
    [
        ("'a| b||'", "VARCHAR", "|", False, ["a", "b"]),
        ("'a| b'", "VARCHAR", None, False, ["a| b"]),
        ("''", "VARCHAR", "|", False, []),
        ("NULL::varchar", "VARCHAR", "|", False, []),
        ("['a', NULL, ' b']", "VARCHAR[]", None, False, ["a", "b"]),
        ("""'["a", "b"]'""", "VARCHAR", None, True, ["a", "b"]),
        ("""'["a", "b"]'""", "VARCHAR", None, False, ['["a", "b"]']),
        ("'[a'", "VARCHAR", None, True, ["[a"]),
        ("'a/b'", "VARCHAR", "/", True, ["a", "b"]),
    ],
)
def test_categories(
    connection: duckdb.DuckDBPyConnection,
    cell: str,
    kind: str,
    separator: str | None,
    json: bool,
    found: list[str],
) -> None:
    conversion = cells.several("cell", kind, separator=separator, json=json)
    assert convert(connection, cell, conversion) == found


def test_types_that_do_not_fit() -> None:
    assert not cells.text("cell", "DOUBLE", nested="false").fits
    assert not cells.amount("cell", "BOOLEAN").fits
    assert not cells.time("cell", "BIGINT", unit="iso", zone="UTC").fits
    assert not cells.time("cell", "DATE", unit="s", zone="UTC").fits
    assert not cells.year("cell", "BOOLEAN").fits
    assert not cells.several("cell", "INTEGER[]", separator=None, json=False).fits
