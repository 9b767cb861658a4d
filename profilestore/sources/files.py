"""A folder of Parquet, CSV or JSON lines that the user owns, as `profilestore.yaml` maps it.

Everything is checked before the first row is written: each file is whole, each mapped column is
there, and each value in it can be read. `cells.py` says what counts as data and what as an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from profilestore import lake
from profilestore.errors import InputError
from profilestore.instants import from_micros
from profilestore.sources import cells
from profilestore.sources.cells import Conversion
from profilestore.sources.log_file import (
    Kind,
    LogFile,
    find_files,
    literal,
    open_file,
    reading_failed,
)
from profilestore.sources.mapping import (
    AVAILABLE,
    ITEM_REQUIRED,
    MAPPING_FILE,
    REQUIRED,
    Column,
    Constant,
    Given,
    LogMapping,
    Several,
    TableMapping,
    nearest,
    read_mapping,
)
from profilestore.sources.source import QueriedTables, RawTables, Source

# Logs of behaviour are younger. Times that all lie before it were counted in a larger unit.
_OLDEST = datetime(1980, 1, 1, tzinfo=UTC)
_FINER = {"s": "ms", "ms": "us"}
_COARSER = {"ms": "s", "us": "ms"}
_SHOWN_NAMES = 12


class Files(Source):
    """The logs in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    @property
    def name(self) -> str:
        return "files"

    @property
    def origin(self) -> str:
        return str(self._folder)

    def read(self, *, now: datetime) -> RawTables:
        """Tables `events` [rows of all files] and `items` [one row per item].

        Raises:
            InputError: the mapping or a file is not what it has to be.
        """
        mapping = read_mapping(self._folder)
        connection = lake.connect()
        try:
            return self._read(connection, mapping, now)
        except BaseException:
            connection.close()
            raise

    def _read(
        self, connection: duckdb.DuckDBPyConnection, mapping: LogMapping, now: datetime
    ) -> RawTables:
        _check_zone(connection, self._folder, mapping.zone)
        events = self._table(connection, mapping, mapping.events, "events")
        found = _check(connection, events, "events", REQUIRED, now)
        first, last = _span(events, found, mapping, now)
        connection.execute(f"CREATE TEMP VIEW events AS {_union(events, _event_rows)}")
        if mapping.items is None:
            connection.execute(_NO_CATALOGUE)
        else:
            items = self._table(connection, mapping, mapping.items, "items")
            _check(connection, items, "items", ITEM_REQUIRED, now)
            connection.execute(f"CREATE TEMP VIEW catalogue AS {_union(items, _catalogue_rows)}")
            _check_one_row_per_item(connection)
        return QueriedTables(
            connection=connection,
            queries={"events": "FROM events", "items": _ITEMS},
            first_event_at=first,
            last_event_at=last,
            shift=mapping.shift,
        )

    def _table(
        self,
        connection: duckdb.DuckDBPyConnection,
        mapping: LogMapping,
        table: TableMapping,
        where: str,
    ) -> list[_MappedFile]:
        paths = find_files(self._folder, table.files, f"{where}.files")
        files = [open_file(connection, self._folder, path) for path in paths]
        # A row of JSON may leave a key out, and so may all rows of one file of many.
        json_keys = {key for file in files if file.kind is Kind.JSON for key in file.columns}
        return [_map_file(file, mapping, table, where, json_keys) for file in files]


@dataclass(frozen=True)
class _MappedColumn:
    """One of our columns as it is made from one of the owner's."""

    owners_name: str
    cell: str
    conversion: Conversion


@dataclass(frozen=True)
class _MappedFile:
    """A file and where our columns come from in it.

    Attributes:
        columns: those that are converted, and can fail.
        fixed: SQL of those that cannot: constants and the context.
    """

    file: LogFile
    columns: Mapping[str, _MappedColumn]
    fixed: Mapping[str, str]

    def sql(self, key: str, otherwise: str) -> str:
        """The SQL of one of our columns, or `otherwise` when it is not mapped."""
        if key in self.columns:
            return self.columns[key].conversion.sql
        return self.fixed.get(key, otherwise)


@dataclass
class _Found:
    """What a first reading of all values of a table has shown.

    `first_event_at` and `last_event_at` are of the events up to now; `earliest` and `latest`, as
    text, of all of them, because a broken time can lie beyond what Python can hold.
    """

    rows: int
    filled: Counter[str]
    first_event_at: datetime | None = None
    last_event_at: datetime | None = None
    earliest: str = ""
    latest: str = ""


def _map_file(
    file: LogFile, mapping: LogMapping, table: TableMapping, where: str, json_keys: set[str]
) -> _MappedFile:
    columns: dict[str, _MappedColumn] = {}
    fixed: dict[str, str] = {}
    known = json_keys if file.kind is Kind.JSON else file.columns.keys()
    for key, given in table.columns.items():
        for name in _owners_names(given):
            if name not in known:
                shown = ", ".join(sorted(known)[:_SHOWN_NAMES])
                raise InputError(
                    f"{file.name}: there is no column {name!r}{nearest(name, known)}. "
                    f"Found: {shown or 'none'}.\n"
                    f"It is named by {where}.columns.{key} in {MAPPING_FILE}."
                )
        if isinstance(given, Constant):
            value = literal(given.value)
            if key == "value":
                value = f"{value}::decimal(18, 4)"
            fixed[key] = f"to_json({value})::varchar" if key == "context" else value
        elif isinstance(given, Several):
            fields = ", ".join(f"{literal(one)}, {file.json_cell(one)}" for one in given.names)
            fixed[key] = f"json_object({fields})::varchar"
        elif key == "context":
            fixed[key] = f"({file.json_cell(given.name)})::varchar"
        else:
            columns[key] = _map_column(file, mapping, key, given, where)
    return _MappedFile(file, columns, fixed)


def _map_column(
    file: LogFile, mapping: LogMapping, key: str, given: Column, where: str
) -> _MappedColumn:
    cell = file.cell(given.name)
    kind = file.columns.get(given.name, "VARCHAR")
    if key == "value":
        conversion = cells.amount(cell, kind)
    elif key in ("time", "loaded_at", *AVAILABLE):
        conversion = cells.time(cell, kind, unit=mapping.unit, zone=mapping.zone)
    elif key == "released":
        conversion = cells.year(cell, kind)
    elif key == "categories":
        conversion = cells.several(
            cell, kind, separator=given.separator, json=file.kind is Kind.JSON
        )
    else:
        conversion = cells.text(cell, kind, nested=file.nested(given.name))
    if not conversion.fits:
        raise InputError(
            f"{file.name}: column {given.name!r} ({key}): found the type {kind}; needed "
            f"{conversion.needed}.\nWrite the column with another type, or correct "
            f"{where}.columns.{key} in {MAPPING_FILE}."
        )
    return _MappedColumn(given.name, cell, conversion)


def _owners_names(given: Given) -> Sequence[str]:
    if isinstance(given, Several):
        return given.names
    return [given.name] if isinstance(given, Column) else []


def _check(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[_MappedFile],
    where: str,
    required: Sequence[str],
    now: datetime,
) -> _Found:
    """Read every mapped value of a table once.

    Raises:
        InputError: a value cannot be read, a required column is empty, or there is no row.
    """
    found = _Found(0, Counter())
    for mapped in files:
        _check_file(connection, mapped, where, found, now)
    if found.rows == 0:
        raise InputError(f"{_names(files)}: found no rows; needed at least one.")
    for key in required:
        if key in files[0].columns and found.filled[key] == 0:
            raise InputError(
                f"{_names(files)}: column {files[0].columns[key].owners_name!r} ({key}): found "
                f"nothing in any of {found.rows} rows; needed at least one value.\n"
                f"Correct {where}.columns.{key} in {MAPPING_FILE}."
            )
    return found


def _check_file(
    connection: duckdb.DuckDBPyConnection,
    mapped: _MappedFile,
    where: str,
    found: _Found,
    now: datetime,
) -> None:
    made = ["row_number() OVER () AS place"]
    asked = ["count(*)"]
    for key, column in mapped.columns.items():
        made += [
            f"{column.conversion.sql} AS {key}_made",
            f"{column.conversion.present} AS {key}_present",
            f"left(({column.cell})::varchar, 60) AS {key}_cell",
        ]
        unreadable = f"{key}_present AND {key}_made IS NULL"
        asked.append(
            f"{{'filled': count(*) FILTER ({key}_present), "
            f"'place': min(place) FILTER ({unreadable}), "
            f"'value': arg_min({key}_cell, place) FILTER ({unreadable})}}"
        )
    if "time" in mapped.columns:
        # The lower end is the first day that Python can hold in any zone.
        past = f"time_made BETWEEN '0001-01-02'::timestamptz AND {literal(now.isoformat())}"
        asked.append(
            f"{{'first': epoch_us(min(time_made) FILTER ({past})), "
            f"'last': epoch_us(max(time_made) FILTER ({past})), "
            "'earliest': min(time_made)::varchar, 'latest': max(time_made)::varchar}"
        )
    query = f"SELECT {', '.join(asked)} FROM (SELECT {', '.join(made)} FROM {mapped.file.scan})"
    try:
        answer = connection.execute(query).fetchone()
    except duckdb.Error as error:
        raise reading_failed(mapped.file, error) from None
    assert answer is not None
    found.rows += answer[0]
    for (key, column), seen in zip(mapped.columns.items(), answer[1:], strict=False):
        found.filled[key] += seen["filled"]
        if seen["place"] is not None:
            raise InputError(
                f"{mapped.file.name}: column {column.owners_name!r} ({key}): row {seen['place']}: "
                f"found {seen['value']!r}; needed {column.conversion.needed}.\n"
                f"Correct the value or leave it empty, or correct {where}.columns.{key} in "
                f"{MAPPING_FILE}."
            )
    if "time" in mapped.columns and answer[-1]["earliest"] is not None:
        _widen(found, **answer[-1])


def _widen(
    found: _Found, *, first: int | None, last: int | None, earliest: str, latest: str
) -> None:
    # As text only for a message, so the ends of the first file that has any will do.
    found.earliest = found.earliest or earliest
    found.latest = found.latest or latest
    if first is None or last is None:
        return
    start, end = from_micros(first), from_micros(last)
    found.first_event_at = min(start, found.first_event_at or start)
    found.last_event_at = max(end, found.last_event_at or end)


def _span(
    files: Sequence[_MappedFile], found: _Found, mapping: LogMapping, now: datetime
) -> tuple[datetime, datetime]:
    """First and last event up to now.

    Raises:
        InputError: all events lie where no log can lie, as they do when the unit is wrong.
    """
    first, last = found.first_event_at, found.last_event_at
    column = f"{_names(files)}: column {files[0].columns['time'].owners_name!r} (time)"
    if first is None or last is None:
        raise InputError(
            f"{column}: found times from {found.earliest} on; needed some that are not after now "
            f"({now:%Y-%m-%d %H:%M} UTC).{_hint(mapping.unit, _FINER)}"
        )
    if last < _OLDEST and mapping.unit in _COARSER:
        raise InputError(
            f"{column}: found times up to {found.latest}; needed some after {_OLDEST:%Y}."
            f"{_hint(mapping.unit, _COARSER)}"
        )
    return first, last


def _hint(unit: str, other: Mapping[str, str]) -> str:
    if unit not in other:
        return ""
    return f"\nevents.time.unit in {MAPPING_FILE} is {unit!r}: has it to be {other[unit]!r}?"


def _event_rows(mapped: _MappedFile) -> str:
    name = literal(mapped.file.name)
    row = "row_number() OVER ()"
    made_id = f"left(sha256({name} || '#' || {row}), 32)"
    return f"""
SELECT
    coalesce({mapped.sql("event_id", "NULL")}, {made_id}) AS event_id,
    {mapped.sql("user", "NULL")} AS user_id,
    {mapped.sql("item", "NULL")} AS item_id,
    {mapped.sql("event_type", "NULL")} AS event_type,
    {mapped.sql("time", "NULL")} AS event_at,
    {mapped.sql("loaded_at", "NULL::timestamptz")} AS loaded_at,
    {mapped.sql("value", "NULL::decimal(18, 4)")} AS value,
    {mapped.sql("session", "NULL::varchar")} AS session_hint,
    {mapped.sql("context", "NULL::varchar")} AS context,
    {mapped.sql("text", "NULL::varchar")} AS text,
    {mapped.file.payload} AS raw_payload,
    {name} AS file_name,
    {row} AS row_number
FROM {mapped.file.scan}"""


def _catalogue_rows(mapped: _MappedFile) -> str:
    return f"""
SELECT
    {mapped.sql("item", "NULL")} AS item_id,
    {mapped.sql("title", "NULL::varchar")} AS title,
    {mapped.sql("brand", "NULL::varchar")} AS brand,
    {mapped.sql("categories", "[]::varchar[]")} AS categories,
    {mapped.sql("description", "NULL::varchar")} AS description,
    {mapped.sql("released", "NULL::integer")} AS released_year,
    {mapped.sql("available_from", "NULL::timestamptz")} AS available_from,
    {mapped.sql("available_until", "NULL::timestamptz")} AS available_until,
    {literal(mapped.file.name)} AS file_name,
    row_number() OVER () AS row_number
FROM {mapped.file.scan}"""


_NO_CATALOGUE = """
CREATE TEMP VIEW catalogue AS
SELECT NULL::varchar AS item_id, NULL::varchar AS title, NULL::varchar AS brand,
       NULL::varchar[] AS categories, NULL::varchar AS description, NULL::integer AS released_year,
       NULL::timestamptz AS available_from, NULL::timestamptz AS available_until
WHERE false"""

# Items that the catalogue does not know get a row as well: every event then finds its item.
_ITEMS = """
SELECT item_id, title, brand, categories, description, released_year, available_from,
       available_until
FROM catalogue
UNION ALL
SELECT DISTINCT events.item_id, NULL, NULL, []::varchar[], NULL, NULL, NULL, NULL
FROM events ANTI JOIN catalogue USING (item_id)
WHERE events.item_id IS NOT NULL
ORDER BY item_id"""


def _union(files: Sequence[_MappedFile], rows: Callable[[_MappedFile], str]) -> str:
    return "\nUNION ALL".join(rows(mapped) for mapped in files)


def _check_one_row_per_item(connection: duckdb.DuckDBPyConnection) -> None:
    odd = connection.execute(
        """
SELECT item_id, file_name, row_number
FROM catalogue
QUALIFY item_id IS NULL
    OR row_number() OVER (PARTITION BY item_id ORDER BY file_name, row_number) > 1
ORDER BY file_name, row_number
LIMIT 1"""
    ).fetchone()
    if odd is None:
        return
    item, file, row = odd
    found = "no item id" if item is None else f"item {item!r} a second time"
    raise InputError(f"{file}: row {row}: found {found}; needed one row per item (items.columns).")


def _check_zone(connection: duckdb.DuckDBPyConnection, folder: Path, zone: str) -> None:
    names = [
        name for (name,) in connection.execute("SELECT name FROM pg_timezone_names()").fetchall()
    ]
    if zone not in names:
        raise InputError(
            f"{folder / MAPPING_FILE}: events.time.zone: found {zone!r}{nearest(zone, names)}; "
            "needed the name of a time zone, such as UTC or Europe/Berlin."
        )


def _names(files: Sequence[_MappedFile]) -> str:
    first = files[0].file.name
    return first if len(files) == 1 else f"{first} and {len(files) - 1} more"
