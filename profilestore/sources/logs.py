"""A folder of logs in the formats that our packs read: web, social, orders and catalog.

The simulator writes such a folder; an exporter of your own can. A pack is there when its files are:

```
web/events/*.jsonl      social/events/*.jsonl
orders/lines/*.csv      orders/customers/*.csv      catalog/items/*.csv
```

The name of a file begins with the day on which its rows arrived (2025-12-01-000.jsonl).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from profilestore.errors import InputError
from profilestore.sources.clock import Shift
from profilestore.sources.landing import LogTable, land, log_files
from profilestore.sources.source import RawTables, Source

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

TABLES: Mapping[str, Sequence[LogTable]] = {
    "web": [LogTable("web_events", "web/events/*.jsonl")],
    "social": [LogTable("social_events", "social/events/*.jsonl")],
    "orders": [
        LogTable("order_lines", "orders/lines/*.csv", has_header=True),
        LogTable("customers", "orders/customers/*.csv", has_header=True),
    ],
    "catalog": [LogTable("catalog_items", "catalog/items/*.csv", has_header=True)],
}
"""The log files of each pack."""


class Logs(Source):
    """Some packs of one folder.

    Args:
        folder: where the logs lie.
        packs: which to read; by default all that are there.
        shift: how their clock is brought to ours.
    """

    def __init__(
        self, folder: Path, packs: Sequence[str] | None = None, shift: Shift = Shift.NONE
    ) -> None:
        self._folder = folder.resolve()
        self._packs = tuple(packs) if packs else tuple(packs_in(self._folder))
        self._shift = shift

    @property
    def name(self) -> str:
        return "logs"

    @property
    def origin(self) -> str:
        return f"{self._folder} ({', '.join(self._packs)})"

    @property
    def packs(self) -> tuple[str, ...]:
        return self._packs

    def read(self, *, now: datetime) -> RawTables:
        """A table a kind of file; see `landing` for their columns.

        Raises:
            InputError: a pack has no files, or a file's name does not begin with a day.
        """
        tables = [table for pack in self._packs for table in TABLES[pack]]
        days = []
        for table in tables:
            files = log_files(self._folder, table)
            if not files:
                raise InputError(
                    f"{self._folder / table.pattern}: there is no such file. Needed for the packs "
                    f"{', '.join(self._packs)}."
                )
            days += [_day(file) for file in files]
        return _Lines(
            first_event_at=min(days),
            last_event_at=min(max(days) + timedelta(days=1), now),
            shift=self._shift,
            folder=self._folder,
            tables=tables,
            now=now,
        )


def packs_in(folder: Path) -> list[str]:
    """The packs that have files in a folder."""
    return [
        pack for pack, tables in TABLES.items() if any(log_files(folder, table) for table in tables)
    ]


@dataclass(frozen=True)
class _Lines(RawTables):
    folder: Path
    tables: Sequence[LogTable]
    now: datetime

    def write(self, draft: Path, former: Path) -> Mapping[str, int]:
        return land(self.folder, self.tables, former, draft, self.now)


def _day(file: Path) -> datetime:
    found = _DAY.match(file.name)
    try:
        return datetime.fromisoformat(found[0]).replace(tzinfo=UTC) if found else _no_day(file)
    except ValueError:
        return _no_day(file)


def _no_day(file: Path) -> datetime:
    raise InputError(
        f"{file}: the name of a log file begins with the day on which its rows arrived, such as "
        f"2025-12-01-000{file.suffix}."
    )
