"""Read `point_in_time.md`: its sections become scenarios that every engine is run on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

BERLIN = ZoneInfo("Europe/Berlin")

ARROW_TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", "UTC"),
    "berlin": pa.timestamp("us", "Europe/Berlin"),
    "naive": pa.timestamp("us"),
    "date": pa.date32(),
    "decimal": pa.decimal128(10, 2),
    "bytes": pa.binary(),
    "texts": pa.list_(pa.string()),
    "floats": pa.list_(pa.float32()),
    "pair": pa.struct([("n", pa.int64()), ("word", pa.string())]),
}
TIMES = ("time", "berlin", "naive", "date")


@dataclass(frozen=True)
class Grid:
    """A table: column names, their types, and rows of values in that order.

    Times are aware datetimes in UTC whatever their type; the type says how they are stored.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def arrow(self) -> pa.Table:
        arrays = []
        for position, kind in enumerate(self.types):
            values = [_stored(row[position], kind) for row in self.rows]
            arrays.append(pa.array(values, ARROW_TYPES[kind]))
        return pa.Table.from_arrays(arrays, names=list(self.columns))


@dataclass(frozen=True)
class ViewOf:
    """A feature view of a scenario; its history is the grid called `table`."""

    table: str
    keys: tuple[str, ...] = ()
    event: str = "event_timestamp"
    created: str | None = None
    ttl: timedelta | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    join_key_map: dict[str, str] = field(default_factory=dict)
    alias: str | None = None

    @property
    def name(self) -> str:
        return self.alias or self.table

    def source_column(self, name: str) -> str:
        return {mapped: column for column, mapped in self.mapping.items()}.get(name, name)


@dataclass(frozen=True)
class Scenario:
    """One truth, or one random case of it."""

    name: str
    views: tuple[ViewOf, ...]
    asked: tuple[tuple[str, str], ...]
    histories: dict[str, Grid]
    spine: Grid | None
    result: Grid | None = None
    full_names: bool = False
    known_only: bool = False
    between: tuple[datetime, datetime] | None = None
    dask_reason: str | None = None
    dask_result: Grid | None = None
    dask_error: str | None = None

    def __str__(self) -> str:
        return self.name

    def features_of(self, view: ViewOf) -> list[str]:
        return [feature for name, feature in self.asked if name == view.name]

    def result_name(self, view: ViewOf, feature: str) -> str:
        return f"{view.name}__{feature}" if self.full_names else feature


def read_scenarios(path: Path) -> list[Scenario]:
    """Every section of the page.

    Raises:
        ValueError: a line that is none of the page's forms: nothing is passed over.
    """
    sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [_scenario(section) for section in sections]


def _scenario(section: str) -> Scenario:
    title, *lines = section.strip().split("\n")
    paragraphs = [part.split("\n") for part in "\n".join(lines).strip().split("\n\n")]
    why = paragraphs.pop(0)
    if why[0].startswith(("-", "|")) or why[0].endswith(":"):
        raise ValueError(f"{title}: no sentence says why")
    views: list[ViewOf] = []
    given: dict[str, Any] = {"histories": {}, "spine": None}
    grids: dict[str, Grid] = given["histories"]
    heading = ""
    for paragraph in paragraphs:
        first = paragraph[0]
        if first.startswith("- "):
            for line in paragraph:
                _setting(line.removeprefix("- "), views, given)
        elif first.startswith("|"):
            grid = _grid(paragraph)
            if heading in ("spine", "result"):
                given[heading] = grid
            elif heading.startswith("dask "):
                given["dask_reason"], given["dask_result"] = heading, grid
            else:
                grids[heading] = grid
        elif first.startswith("dask fails: "):
            given["dask_error"] = first.removeprefix("dask fails: ")
        elif first.endswith(":") and len(paragraph) == 1:
            heading = first.removesuffix(":")
        else:
            raise ValueError(f"{title}: cannot read {first!r}")
    return Scenario(name=title, views=tuple(views), **given)


def _setting(line: str, views: list[ViewOf], given: dict[str, Any]) -> None:
    if line.startswith("view "):
        table, _, rest = line.removeprefix("view ").partition(": ")
        options = dict(option.split("=", 1) for option in rest.split())
        views.append(
            ViewOf(
                table=table,
                keys=tuple(filter(None, options.pop("key", "").split(","))),
                event=options.pop("event"),
                created=options.pop("created", None),
                ttl=_days(options.pop("ttl", None)),
                mapping=_pairs(options.pop("map", "")),
                join_key_map=_pairs(options.pop("join", "")),
                alias=options.pop("alias", None),
            )
        )
        if options:
            raise ValueError(f"view {table}: cannot read {options}")
    elif line.startswith("ask: "):
        parts = line.removeprefix("ask: ").split(", ")
        given["asked"] = tuple((view, name) for view, _, name in (p.partition(":") for p in parts))
    elif line == "full names":
        given["full_names"] = True
    elif line == "known only":
        given["known_only"] = True
    elif line.startswith("between "):
        start, end = line.removeprefix("between ").split(" and ")
        given["between"] = (_moment(start, "time"), _moment(end, "time"))
    else:
        raise ValueError(f"cannot read the setting {line!r}")


def _days(text: str | None) -> timedelta | None:
    return None if text is None else timedelta(days=int(text.removesuffix("d")))


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(">") for pair in text.split(",") if pair)


def _grid(lines: list[str]) -> Grid:
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    columns, types = [], []
    for cell in head:
        name, _, kind = cell.rpartition(":")
        if kind not in ARROW_TYPES:
            name, kind = cell, "int"
        columns.append(name)
        types.append(kind)
    rows = [
        tuple(_value(cell, kind) for cell, kind in zip(row, types, strict=True)) for row in body
    ]
    return Grid(tuple(columns), tuple(types), tuple(rows))


def _value(cell: str, kind: str) -> Any:
    if cell == "-":
        return None
    if kind in TIMES:
        return _moment(cell, kind)
    readers = {
        "int": int,
        "float": float,
        "text": str,
        "bool": lambda text: {"true": True, "false": False}[text],
        "decimal": Decimal,
        "bytes": bytes.fromhex,
        "texts": str.split,
        "floats": lambda text: [float(part) for part in text.split()],
        "pair": lambda text: {"n": int(text.split()[0]), "word": text.split()[1]},
    }
    return readers[kind](cell)


def _moment(cell: str, kind: str) -> datetime:
    day, _, clock = cell.partition(" ")
    hours, minutes, seconds = ([*clock.split(":"), "0", "0"] if clock else ["0", "0", "0"])[:3]
    wall = datetime(2024, 1, 1) + timedelta(
        days=int(day) - 1,
        hours=int(hours),
        minutes=int(minutes),
        microseconds=int(Decimal(seconds) * 1_000_000),
    )
    return wall.replace(tzinfo=BERLIN if kind == "berlin" else UTC).astimezone(UTC)


def _stored(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "naive":
        return value.replace(tzinfo=None)
    if kind == "date":
        return date(value.year, value.month, value.day)
    return value
