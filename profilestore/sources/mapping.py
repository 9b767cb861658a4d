"""`profilestore.yaml`: which of the owner's columns is which of ours.

The file is read strictly: a key that is not known is an error that names the nearest known one,
because a misspelt `zone:` that is silently skipped would move every event.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from profilestore.errors import InputError
from profilestore.sources.clock import Shift

MAPPING_FILE = "profilestore.yaml"

REQUIRED = ("user", "item", "event_type", "time")
OPTIONAL = ("value", "session", "context", "text", "event_id", "loaded_at")
# A constant makes sense where all events of a log may be alike.
CONSTANTS = ("event_type", "value", "session", "context", "text")
# From when on an item can be had, and until before when.
AVAILABLE = ("available_from", "available_until")
ITEM_REQUIRED = ("item",)
ITEM_OPTIONAL = ("title", "brand", "categories", "description", "released", *AVAILABLE)
UNITS = ("s", "ms", "us", "iso")

_LARGEST = 10**14  # DECIMAL(18,4)
_GUIDE = "docs/your-own-logs.md"


@dataclass(frozen=True)
class Column:
    """One of the owner's columns; `separator` splits its text into several values."""

    name: str
    separator: str | None = None


@dataclass(frozen=True)
class Constant:
    """The same value in each row."""

    value: str


@dataclass(frozen=True)
class Several:
    """Several of the owner's columns, which become one JSON object."""

    names: tuple[str, ...]


Given = Column | Constant | Several


@dataclass(frozen=True)
class TableMapping:
    """Files of one table and where each of our columns comes from."""

    files: str
    columns: Mapping[str, Given]


@dataclass(frozen=True)
class LogMapping:
    """The whole of `profilestore.yaml`.

    Attributes:
        unit: `s`, `ms` or `us` since 1970-01-01 UTC, or `iso` for text, dates and timestamps.
        zone: the zone of times that do not say theirs.
    """

    events: TableMapping
    items: TableMapping | None = None
    unit: str = "iso"
    zone: str = "UTC"
    shift: Shift = field(default=Shift.NONE)


def read_mapping(folder: Path) -> LogMapping:
    """Read `profilestore.yaml` of a folder.

    Raises:
        InputError: it is missing, is no YAML, or says something that is not understood.
    """
    path = folder / MAPPING_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{folder}: there is no {MAPPING_FILE} in this folder; needed one that says which "
            f"column is which. {_GUIDE} has an example."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}.") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise InputError(f"{path}:{where} this is not valid YAML: {problem}.") from None
    return _Reader(path).log(document)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the known name that is most like `name`, or nothing."""
    folded = {one.strip().casefold(): one for one in known}
    found = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[found[0]]!r}?)" if found else ""


@dataclass(frozen=True)
class _Reader:
    """Turns the parsed YAML into dataclasses; each message says the file and the key."""

    path: Path

    def log(self, document: object) -> LogMapping:
        top = self._section(document, "", required=("events",), optional=("items", "shift"))
        events = self._section(
            top["events"], "events", required=("files", "columns"), optional=("time",)
        )
        time = self._section(events.get("time", {}), "events.time", optional=("unit", "zone"))
        return LogMapping(
            events=self._table(events, "events", REQUIRED, OPTIONAL),
            items=self._items(top["items"]) if "items" in top else None,
            unit=self._choice(time.get("unit", "iso"), "events.time.unit", UNITS),
            zone=self._text(time.get("zone", "UTC"), "events.time.zone"),
            shift=Shift(
                self._choice(top.get("shift", "none"), "shift", [one.value for one in Shift])
            ),
        )

    def _items(self, value: object) -> TableMapping:
        items = self._section(value, "items", required=("files", "columns"))
        return self._table(items, "items", ITEM_REQUIRED, ITEM_OPTIONAL)

    def _table(
        self,
        section: Mapping[str, Any],
        where: str,
        required: tuple[str, ...],
        optional: tuple[str, ...],
    ) -> TableMapping:
        files = self._text(section["files"], f"{where}.files")
        if Path(files).is_absolute() or ".." in Path(files).parts:
            raise self._error(
                f"{where}.files", f"found {files!r}", "needed a pattern inside this folder"
            )
        columns = self._section(section["columns"], f"{where}.columns", required, optional)
        return TableMapping(
            files, {key: self._given(one, where, key) for key, one in columns.items()}
        )

    def _given(self, value: object, table: str, key: str) -> Given:
        where = f"{table}.columns.{key}"
        if isinstance(value, list) and key == "context" and value:
            return Several(tuple(self._text(one, where) for one in value))
        if not isinstance(value, dict):
            return Column(self._text(value, where))
        if "constant" in value and key in CONSTANTS:
            self._section(value, where, required=("constant",))
            return Constant(self._constant(value["constant"], f"{where}.constant", key))
        if "constant" in value:
            raise self._error(
                where,
                "found a constant",
                f"needed the name of a column (constants are for {', '.join(CONSTANTS)})",
            )
        separator = ("separator",) if key == "categories" else ()
        inner = self._section(value, where, required=("column",), optional=separator)
        name = self._text(inner["column"], f"{where}.column")
        if "separator" not in inner:
            return Column(name)
        return Column(name, self._text(inner["separator"], f"{where}.separator"))

    def _section(
        self,
        value: object,
        where: str,
        required: tuple[str, ...] = (),
        optional: tuple[str, ...] = (),
    ) -> Mapping[str, Any]:
        known = (*required, *optional)
        shown = where or "the file"
        if not isinstance(value, dict):
            raise self._error(
                shown, f"found {_what(value)}", f"needed the keys {', '.join(known)} below it"
            )
        for key in value:
            if key not in known:
                raise self._error(
                    shown,
                    f"unknown key {key!r}{nearest(str(key), known)}",
                    f"known here: {', '.join(known)}",
                )
        for key in required:
            if key not in value:
                raise self._error(shown, f"the key {key!r} is missing", "it is needed")
        return value

    def _choice(self, value: object, where: str, known: Iterable[str]) -> str:
        known = list(known)
        if not isinstance(value, str) or value not in known:
            raise self._error(
                where,
                f"found {value!r}{nearest(str(value), known)}",
                f"needed one of {', '.join(known)}",
            )
        return value

    def _text(self, value: object, where: str) -> str:
        if not isinstance(value, str) or not value:
            raise self._error(where, f"found {_what(value)}", "needed a text (quote it)")
        return value

    def _constant(self, value: object, where: str, key: str) -> str:
        # YAML 1.1 reads a bare `on` or `no` as true or false: that is hardly what was meant.
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            raise self._error(
                where, f"found {_what(value)}", "needed a text or a number (quote it)"
            )
        if key == "value" and (isinstance(value, str) or not abs(value) < _LARGEST):
            raise self._error(where, f"found {value!r}", "needed a number below 10^14")
        return str(value)

    def _error(self, where: str, found: str, needed: str) -> InputError:
        return InputError(f"{self.path}: {where}: {found}; {needed}. See {_GUIDE}.")


def _what(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    return repr(value)
