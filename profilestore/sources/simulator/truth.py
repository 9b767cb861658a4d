"""What is true of a simulation, written beside its logs so that what reads them can be scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from profilestore.sources.simulator import text
from profilestore.sources.simulator.chance import Columns, Ints
from profilestore.sources.simulator.dirt import Kind
from profilestore.sources.simulator.population import SLOTS, People
from profilestore.sources.simulator.vocabulary import BRANDS, CATEGORIES, USD

_TEXT, _INT = pa.string(), pa.int64()
SCHEMAS = {
    "dirt": {"file": _TEXT, "row": _INT, "kind": _TEXT, "event_id": _TEXT, "of_event_id": _TEXT},
    "people": {"person": _INT, "id_kind": _TEXT, "id": _TEXT},
    "interests": {"person": _INT, "category": _TEXT, "weight": pa.float64()},
    "brands": {"person": _INT, "brand": _TEXT},
    "bots": {"id_kind": _TEXT, "id": _TEXT},
    "rates": {"currency": _TEXT, "usd": pa.float64()},
    "events": {"file": _TEXT, "row": _INT, "person": _INT},
}
"""The tables: columns and their types."""
_BITS = np.array([int(one) for one in Kind])
_NAMES = [str(one.name).lower() for one in Kind]
ROWS_TOGETHER = 20_000
"""Rows that wait before they are written as one group."""


@dataclass
class Counts:
    """Rows by kind of file, and in each by kind of dirt; `is_new`: they have just been written."""

    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    dirt: dict[str, dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    is_new: bool = True

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Counts:
        """The counts of a simulation that was there before."""
        rows = {kind: one["rows"] for kind, one in found.items()}
        return cls(rows, {kind: one["dirt"] for kind, one in found.items()}, is_new=False)

    def as_json(self) -> dict[str, Any]:
        """`{"web/events": {"rows": 3, "dirt": {"late": 1}}, ...}`, in the order of names."""
        return {
            kind: {"rows": rows, "dirt": dict(sorted(self.dirt[kind].items()))}
            for kind, rows in sorted(self.rows.items())
        }


class Truth:
    """The tables of truth, open for writing; a context manager."""

    def __init__(self, folder: Path, *, events: bool) -> None:
        """`events`: also say of each row of each log whose it is."""
        folder.mkdir(parents=True)
        self.counts = Counts()
        names = [name for name in SCHEMAS if name != "events" or events]
        self._waiting: dict[str, list[pa.Table]] = {name: [] for name in names}
        self._writers = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", pa.schema(SCHEMAS[name].items()))
            for name in names
        }
        self._write("rates", [*USD], [*USD.values()])

    def __enter__(self) -> Truth:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for name, writer in self._writers.items():
            if error is None:
                self._flush(name)
            writer.close()

    def of_people(self, people: People) -> None:
        """Interests, favourite brands, and the ids that people have, seen or not."""
        number = people.number[:-1]
        paths = [one.path for one in CATEGORIES]
        self._write(
            "interests",
            np.repeat(number, len(paths)),
            text.choose(paths, np.tile(np.arange(len(paths)), people.count)),
            people.interest.ravel(),
        )
        brands = people.favourites
        self._write(
            "brands",
            np.repeat(number, brands.shape[1]),
            text.choose([one.name for one in BRANDS], brands.ravel()),
        )
        handles = np.flatnonzero(people.has_handle)
        accounts = np.flatnonzero(people.has_account)
        devices = np.flatnonzero(people.app)
        self._ids(number[accounts], "account", people.account_ids().take(pa.array(accounts)))
        self._ids(number[handles], "handle", people.handles().take(pa.array(handles)))
        self._ids(people.number[people.person[devices]], "device",
                  people.device_ids().take(pa.array(devices)))  # fmt: skip
        bots = people.count * SLOTS + np.arange(people.bots)
        self._write("bots", ["cookie"] * people.bots, _cookies(people.cookies(bots, bots * 0)))

    def of_cookies(self, people: People, device: Ints, cookie: np.ndarray) -> None:
        """Cookies that are seen for the first time on these devices."""
        self._ids(people.number[people.person[device]], "cookie", _cookies(cookie))

    def of_file(self, kind: str, file: str, rows: Columns, prefix: str) -> None:
        """What is wrong with the rows of a file, in their order, and whose they are.

        Args:
            rows: `kinds`, `event`, `origin` (0: not a copy), `number` (of the person, -1: a bot).
            prefix: of the ids.
        """
        self.counts.rows[kind] += len(rows["kinds"])
        odd = np.flatnonzero(rows["kinds"])
        events = text.join(prefix, text.hexadecimal(rows["event"][odd]))
        origins = text.join(prefix, text.hexadecimal(rows["origin"][odd]))
        self._notes(kind, file, odd + 1, rows["kinds"][odd], events, origins)
        if "events" in self._writers:
            person = rows["number"]
            whose = pa.array(person, mask=person < 0)
            self._write("events", [file] * len(person), np.arange(len(person)) + 1, whose)

    def of_encoding(self, kind: str, file: str, rows: Ints, ids: pa.Array) -> None:
        """Rows of a file that are written in Windows-1252; `ids` of their customers or items."""
        nothing = pa.nulls(len(rows), pa.string())
        self._notes(kind, file, rows, np.full(len(rows), int(Kind.ENCODING)), ids, nothing)

    def _notes(
        self, kind: str, file: str, row: Ints, kinds: Ints, events: pa.Array, origins: pa.Array
    ) -> None:
        at, bit = np.nonzero(kinds[:, None] & _BITS)
        for found, count in enumerate(np.bincount(bit, minlength=len(_BITS)).tolist()):
            if count:
                self.counts.dirt[kind][_NAMES[found]] += count
        is_copy = np.isin(_BITS[bit], (Kind.EXACT_DUPLICATE, Kind.NEAR_DUPLICATE))
        of = text.where(is_copy, origins.take(pa.array(at)), pa.scalar(None, pa.string()))
        names, event = text.choose(_NAMES, bit), events.take(pa.array(at))
        self._write("dirt", [file] * len(at), row[at], names, event, of)

    def _ids(self, person: Ints, kind: str, ids: pa.Array) -> None:
        self._write("people", person, [kind] * len(person), ids)

    def _write(self, name: str, *columns: Sequence[Any] | np.ndarray | pa.Array) -> None:
        schema = pa.schema(SCHEMAS[name].items())
        arrays = [pa.array(one, of.type) for one, of in zip(columns, schema, strict=True)]
        self._waiting[name].append(pa.table(arrays, schema=schema))
        if sum(map(len, self._waiting[name])) >= ROWS_TOGETHER:
            self._flush(name)

    def _flush(self, name: str) -> None:
        if self._waiting[name]:
            self._writers[name].write_table(pa.concat_tables(self._waiting[name]).combine_chunks())
            self._waiting[name] = []


def _cookies(cookies: np.ndarray) -> pa.Array:
    return text.join("c-", text.hexadecimal(cookies))
