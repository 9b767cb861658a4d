"""Files of the day: each row goes into the file of the day on which it arrives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from profilestore.sources.simulator import text
from profilestore.sources.simulator.chance import DAY, Columns, Ints, pick, stack
from profilestore.sources.simulator.dirt import Kind, repeated
from profilestore.sources.simulator.truth import Truth

EPOCH = date(1970, 1, 1)
Spoil = Callable[[np.random.Generator, str, int], tuple[str, int]]
"""A line with a fault, and the kinds that can no longer be seen in it."""


class Log:
    """The files of one kind and one shard. What arrives on a later day waits here, and no more.

    Args:
        folder: of the whole simulation.
        kind: the folder of the files in it.
        name: `-000.jsonl`: what stands after the date.
        first_day: days from 1970 to the first day of the log.
        header: the first line, if there is one.
        prefix: of the ids that stand in truth.
    """

    def __init__(
        self, folder: Path, kind: str, name: str, first_day: int, days: int, truth: Truth,
        spoil: Spoil, *, header: str = "", prefix: str = "",
    ) -> None:  # fmt: skip
        self._folder, self._kind, self._name = folder, kind, name
        self._first_day, self._days = first_day, days
        self._truth, self._spoil = truth, spoil
        self._header, self._prefix = header, prefix
        self._waiting: list[tuple[Columns, pa.Array]] = []
        (folder / kind).mkdir(parents=True, exist_ok=True)

    def write(self, rng: np.random.Generator, day: int, rows: Columns, lines: pa.Array) -> None:
        """Spoil what has a fault, repeat what is to be repeated, and write the file of a day.

        Args:
            rows: from `dirt.plant`, with `number` (of the person), of this day and not before.
            lines: their lines [rows], with line feeds.
        """
        count = len(lines)
        at = np.arange(count)
        spoiled, unseen = self._spoiled(rng, rows["fault"], lines)
        at[rows["fault"] > 0] = count + np.arange(len(spoiled))
        fresh = {
            "line": at,
            "day": rows["received"] // DAY - self._first_day,
            "kinds": rows["kinds"] & ~unseen | rows["fault"],
            **{name: rows[name] for name in ("moment", "event", "origin", "number")},
        }
        copies = pick(fresh, rows["again"])
        days, later = repeated(rng, len(copies["event"]))
        copies["origin"] = copies["event"]
        copies["kinds"] = copies["kinds"] | int(Kind.EXACT_DUPLICATE)
        copies["day"], copies["moment"] = copies["day"] + days, copies["moment"] + later

        pool, parts = [lines, spoiled], [fresh, copies]
        for former, texts in self._waiting:
            parts.append(former | {"line": former["line"] + sum(map(len, pool))})
            pool.append(texts)
        self._put(day, stack(parts), pa.concat_arrays(pool))

    def _spoiled(
        self, rng: np.random.Generator, faults: Ints, lines: pa.Array
    ) -> tuple[pa.Array, Ints]:
        odd = np.flatnonzero(faults)
        unseen = np.zeros(len(faults), np.int64)
        texts = []
        for row, line in zip(odd, lines.take(pa.array(odd)).to_pylist(), strict=True):
            spoiled, unseen[row] = self._spoil(rng, line.rstrip("\n"), int(faults[row]))
            texts.append(spoiled + "\n")
        return pa.array(texts, pa.string()), unseen

    def _put(self, day: int, rows: Columns, pool: pa.Array) -> None:
        now = np.flatnonzero(rows["day"] == day)
        today = pick(rows, now[np.argsort(rows["moment"][now], kind="stable")])
        # What would arrive after the last day never does.
        rest = pick(rows, (rows["day"] > day) & (rows["day"] < self._days))
        file = f"{self._kind}/{EPOCH + timedelta(self._first_day + day)}{self._name}"
        with (self._folder / file).open("wb") as opened:
            opened.write(self._header.encode())
            opened.write(text.body(pool.take(pa.array(today["line"]))))
        self._truth.of_file(self._kind, file, today, self._prefix)
        texts = pool.take(pa.array(rest["line"]))
        self._waiting = [(rest | {"line": np.arange(len(texts))}, texts)]


class Exports:
    """Files of a kind that all shards write to, one a day, some of them in Windows-1252.

    Args:
        first_day: days from 1970 to the first day of the log.
        latin: days whose files are in Windows-1252.
    """

    def __init__(
        self, folder: Path, kind: str, header: str, first_day: int, truth: Truth, latin: set[int]
    ) -> None:
        self._folder, self._kind = folder, kind
        self._header, self._first_day = header, first_day
        self._truth, self._latin = truth, latin
        self._rows: dict[int, int] = {}
        (folder / kind).mkdir(parents=True, exist_ok=True)

    def write(self, day: int, lines: pa.Array, ids: pa.Array) -> None:
        """Add rows to the file of a day; `ids` are those that stand in truth."""
        file = f"{self._kind}/{EPOCH + timedelta(self._first_day + day)}.csv"
        before = self._rows.get(day, 0)
        self._rows[day] = before + len(lines)
        content = bytes(text.body(lines))
        if day in self._latin:
            odd = np.array([not line.isascii() for line in lines.to_pylist()], bool)
            rows = np.flatnonzero(odd)
            self._truth.of_encoding(self._kind, file, before + rows + 1, ids.take(pa.array(rows)))
            content = content.decode().encode("cp1252")
        with (self._folder / file).open("ab") as opened:
            if opened.tell() == 0:
                opened.write(self._header.encode())
            opened.write(content)
        self._truth.counts.rows[self._kind] += len(lines)
