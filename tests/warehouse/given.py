"""Random events given to a mart's compiled SQL, and the mart asked as of an instant.

Times are integers, microseconds since 1970 UTC.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from warehouse_logs import DAY, HOUR, SECOND, START
from warehouse_reference import plain

CATEGORIES = {"i1": ["a"], "i2": ["a", "b"], "i3": ["b", "c", "b"], "i4": [], "i5": ["d", "e"]}
TYPES = (
    *("page_view", "page_view", "click", "search", "add_to_cart", "purchase", "purchase"),
    *("like", "login"),
)
# Steps between events that meet at the edges of windows, days and sessions.
STEPS = (
    *(0, 1, SECOND, 7 * SECOND, 10 * 60 * SECOND, 30 * 60 * SECOND, 31 * 60 * SECOND),
    *(HOUR, HOUR - 1, 5 * HOUR),
    *(n * DAY for n in (1, 1, 2, 6, 7, 23, 30, 60, 90, 275)),
)
LATE = (0, 0, 0, 0, SECOND, 20 * 60 * SECOND, HOUR, 2 * DAY, 40 * DAY)


@dataclass(frozen=True)
class Given:
    """An event as int_user_events has it."""

    event_id: str
    user_id: str
    item_id: str | None
    event_type: str
    at: int
    loaded_at: int
    value: Decimal | None = None
    session_hint: str | None = None
    device_class: str | None = None
    client_id: str | None = None
    source: str = "web"
    is_retold: bool = False

    @property
    def entered_at(self) -> int:
        """From when on it has happened and is known."""
        return max(self.at, self.loaded_at)


_ITEMS = pa.schema({"item_id": pa.string(), "categories": pa.list_(pa.string())})
_INSTANT = pa.timestamp("us", tz="UTC")
_EVENTS = {
    **dict.fromkeys(["event_id", "user_id", "item_id", "event_type"], pa.string()),
    "at": _INSTANT,
    "loaded_at": _INSTANT,
    "value": pa.decimal128(18, 4),
    **dict.fromkeys(["session_hint", "device_class", "client_id", "source"], pa.string()),
    "is_retold": pa.bool_(),
}


def random_log(seed: int, most: int = 40, people: int = 3) -> list[Given]:
    """Up to `most` events in no order; ids fall as times rise: an order by id would show."""
    rng, of_devices = random.Random(seed), random.Random(-1 - seed)
    at, log = START + rng.randrange(DAY), []
    for number in range(rng.randrange(1, most)):
        at += rng.choice(STEPS)
        if rng.random() < 0.1:
            at = at // DAY * DAY + rng.choice([0, 0, DAY, 3 * HOUR])
        kind = rng.choice(TYPES)
        log.append(
            Given(
                event_id=f"e{most - number:03}",
                user_id=f"u{rng.randrange(people)}",
                item_id=None if kind in ("search", "login") else rng.choice(sorted(CATEGORIES)),
                event_type=kind,
                at=at,
                loaded_at=at + rng.choice(LATE),
                value=rng.choice([None, Decimal(rng.randrange(1, 90_000)) / 100, Decimal("0.1")])
                if kind in ("purchase", "like")
                else None,
                session_hint=rng.choice([None, "s1", "s2"]),
                device_class=of_devices.choice([None, "mobile", "mobile", "tablet", "desktop"]),
                client_id=of_devices.choice([None, "c1", "c2", "d1", "d2"]),
            )
        )
    rng.shuffle(log)
    return log


def instants(events: Iterable[Given], spans: Iterable[int] = (), *, seed: int = 0) -> list[int]:
    """Where a value may change, a microsecond before and after, and a few between and far after."""
    rng = random.Random(seed)
    edges = set()
    for one in events:
        for edge in (one.entered_at, *(one.at + span for span in spans)):
            edges |= {edge, hour_up(edge), day_up(edge), rng.randrange(edge, edge + 50 * DAY)}
    return sorted({edge + off for edge in edges for off in (-1, 0, 1)})


def hour_up(at: int) -> int:
    """The full hour at or after it."""
    return -(-at // HOUR) * HOUR


def day_up(at: int) -> int:
    """The midnight at or after it."""
    return -(-at // DAY) * DAY


def of(events: Iterable[Given], key: str) -> dict[str, list[Given]]:
    found: dict[str, list[Given]] = defaultdict(list)
    for one in events:
        if getattr(one, key) is not None:
            found[getattr(one, key)].append(one)
    return dict(found)


class Lake:
    """Marts over events that a test made up, by the SQL that dbt compiled."""

    def __init__(self, compiled: Path) -> None:
        self._compiled = compiled
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS lake")
        self.connection.execute("SET disabled_optimizers = 'top_n_window_elimination'")
        items = pa.table(
            {"item_id": list(CATEGORIES), "categories": list(CATEGORIES.values())}, _ITEMS
        )
        self.connection.register("given_items", items)
        self.connection.execute("CREATE TABLE lake.main.int_items AS FROM given_items")

    def give(self, events: Sequence[Given]) -> None:
        arrays = [
            pa.array([getattr(one, name) for one in events], kind) for name, kind in _EVENTS.items()
        ]
        names = ["event_timestamp" if name == "at" else name for name in _EVENTS]
        self.connection.register("given", pa.table(arrays, names=names))
        self.connection.execute("CREATE OR REPLACE TABLE lake.main.int_user_events AS FROM given")

    def build(self, model: str) -> list[dict[str, Any]]:
        """Its rows, which later models of the same events can read."""
        (path,) = self._compiled.glob(f"models/*/{model}.sql")
        name = f"lake.main.{model}"
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {path.read_text()}")
        return plain(self.connection.execute(f"FROM {name}").to_arrow_table())

    def rows(self, model: str, events: Sequence[Given], *before: str) -> list[dict[str, Any]]:
        """The rows of a mart over these events, after the models that it reads."""
        self.give(events)
        for one in before:
            self.build(one)
        return self.build(model)


def known(events: Iterable[Given], at: int) -> list[Given]:
    return [one for one in events if one.entered_at <= at]


def count(events: Sequence[Given], kind: str, kinds: Mapping[str, str]) -> int:
    return sum(kinds.get(one.event_type) == kind for one in events)
