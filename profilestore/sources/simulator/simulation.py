"""Run a simulation: shard by shard and day by day, so that memory depends on neither's number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from profilestore.errors import InputError
from profilestore.sources.simulator import folder, network
from profilestore.sources.simulator.catalogue import CATALOGUE_HEADER, Catalogue
from profilestore.sources.simulator.chance import DAY, unit
from profilestore.sources.simulator.dirt import RATES
from profilestore.sources.simulator.orders import CUSTOMERS_HEADER, customer_lines
from profilestore.sources.simulator.population import People
from profilestore.sources.simulator.shard import write_shard
from profilestore.sources.simulator.shop import EVENTS_PER_VISIT
from profilestore.sources.simulator.truth import Counts, Truth
from profilestore.sources.simulator.writing import Exports

FORMAT = 1
"""Raised when the same arguments give other bytes."""
SHARD = 25_000
"""Most people in one file of events."""
EVENTS_TOGETHER = 125_000
"""Web and social events of a shard in a day, about: they are held in memory."""
WEB_SHARE = 5 / 6
"""Of web events in web and social events."""
CALLS = 1 / 400
"""Orders by telephone for each web or social event."""


@dataclass(frozen=True)
class Simulation:
    """The arguments of a simulation: they decide every byte.

    Attributes:
        users: people, without bots.
        days: length of the logs; the last day ends at `end`, 00:00 UTC.
        seed: a number from 0; another one gives other people.
        events_per_user_day: web and social events, on average over people and days.

    Raises:
        InputError: an argument is out of its range.
    """

    users: int = 2_000
    days: int = 60
    seed: int = 0
    end: date = date(2026, 1, 1)
    events_per_user_day: float = 4.0

    def __post_init__(self) -> None:
        first, last = date(2000, 1, 1), date(2090, 1, 1)
        checks = (
            ("users", 1 <= self.users <= 20_000_000, "1 to 20,000,000"),
            ("days", 1 <= self.days <= 3_650, "1 to 3,650"),
            ("seed", 0 <= self.seed < 2**63, "0 to 2^63 - 1"),
            (
                "events-per-user-day",
                0 < self.events_per_user_day <= 500,
                "more than 0 and up to 500",
            ),
        )
        for name, holds, needed in checks:
            if not holds:
                found = getattr(self, name.replace("-", "_"))
                raise InputError(f"--{name}: found {found}, needed {needed}.")
        if not (self.end <= last and self.first >= first):
            raise InputError(
                f"--end: {self.days} days up to {self.end} begin on {self.first}; needed a span "
                f"between {first} and {last}. Change --end or --days."
            )

    @property
    def first(self) -> date:
        """The first day."""
        ordinal = self.end.toordinal() - self.days
        return date.fromordinal(max(ordinal, 1))

    @property
    def start(self) -> int:
        """The first instant, in milliseconds since 1970."""
        return (self.first - date(1970, 1, 1)).days * DAY

    @property
    def shards(self) -> list[tuple[int, int]]:
        """The first person and the number of people of each shard."""
        size = max(2, min(SHARD, int(EVENTS_TOGETHER / self.events_per_user_day)))
        firsts = range(0, self.users, size)
        return [(first, min(size, self.users - first)) for first in firsts]


def simulate(
    arguments: Simulation, out: Path, *, force: bool = False, truth_events: bool = False
) -> Counts:
    """Write the logs and the truth of an invented population to the folder `out`.

    The same arguments give the same bytes. On any failure `out` stays as it was.

    Args:
        force: write over a simulation of other arguments.
        truth_events: also write whose each row is (`truth/events.parquet`).

    Raises:
        InputError: `out` holds something else, or the disk refused.
    """
    asked = asdict(arguments) | {"end": str(arguments.end), "truth_events": truth_events}
    asked["format"] = FORMAT
    out = Path(out).resolve()
    with folder.claimed(out) as draft:
        there = folder.already_there(out, asked, force=force)
        if there is not None:
            return Counts.from_json(there["counts"])
        with Truth(draft / "truth", events=truth_events) as truth:
            total = arguments.days * len(arguments.shards)
            steps = _days(arguments, draft, truth)
            for _ in tqdm(steps, total=total, desc="simulate", unit="day", disable=None):
                pass
        counts = truth.counts.as_json()
        folder.write_json(draft / "truth" / "counts.json", counts)
        folder.write_json(draft / folder.ABOUT, {"arguments": asked, "counts": counts})
        folder.publish(draft, out)
    return truth.counts


def _days(arguments: Simulation, draft: Path, truth: Truth) -> Iterator[None]:
    """Write everything; a step for each day of each shard."""
    seed, days, events = arguments.seed, arguments.days, arguments.events_per_user_day
    catalogue = Catalogue(seed, arguments.users, days)
    items, customers = (
        Exports(draft, kind, header, arguments.start // DAY, truth, _latin(seed, kind, days))
        for kind, header in (
            ("catalog/items", CATALOGUE_HEADER),
            ("orders/customers", CUSTOMERS_HEADER),
        )
    )
    for day in range(days):
        items.write(day, *catalogue.lines(day, arguments.start // DAY))
    for shard, (number, count) in enumerate(arguments.shards):
        people = People(
            *(seed, shard, number, count, arguments.start, days),
            visits=events * WEB_SHARE * (1 - RATES.bot_events) / EVENTS_PER_VISIT,
            posts=events * (1 - WEB_SHARE) / network.EVENTS_PER_VISIT,
        )
        truth.of_people(people)
        lines, ids, exported = customer_lines(people)
        for day in range(days):
            rows = pa.array(np.flatnonzero(exported == day))
            customers.write(day, lines.take(rows), ids.take(rows))
        bots = events * WEB_SHARE * RATES.bot_events * count
        for _ in write_shard(
            people, catalogue, draft, truth, bot_events=bots, calls=events * CALLS
        ):
            yield


def _latin(seed: int, kind: str, days: int) -> set[int]:
    """The days whose files of a kind are in Windows-1252."""
    return set(np.flatnonzero(unit(seed, kind, np.arange(days)) < RATES.encoding).tolist())
