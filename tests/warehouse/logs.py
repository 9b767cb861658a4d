"""Random logs with the cases that windows, lists and quarantines stumble over.

Times are integers, microseconds since 1970 UTC: sums and differences are exact.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import yaml

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
# The variable window_grains: up to which time an event leaves a window.
GRAINS = {HOUR: 1, DAY: HOUR, 7 * DAY: HOUR, 30 * DAY: DAY, 90 * DAY: DAY, 365 * DAY: DAY}
START = 1_420_070_400 * SECOND  # 2015-01-01
END = START + 700 * DAY
WINDOW_DAYS = (1, 7, 30, 90, 365)

RAW_PREFIX = "RawId7f3a9c"  # stands nowhere else


@dataclass(frozen=True)
class Event:
    """One row of the owner's file.

    Attributes:
        at, known_at: microseconds since 1970; `known_at` None is "as it happened".
        fault: the reason for which it belongs in the quarantine; None for a sound one.
    """

    event_id: str | None
    user: str | None
    item: str | None
    event_type: str | None
    at: int | None
    value: Decimal | None = None
    known_at: int | None = None
    fault: str | None = None

    @property
    def loaded_at(self) -> int:
        """When it was learned, not before it happened. Only of an event that has a time."""
        assert self.at is not None
        return self.at if self.known_at is None else max(self.at, self.known_at)

    @property
    def entered_at(self) -> int:
        """From when on it has happened and is known."""
        return self.loaded_at


def rounded_up(at: int, grain: int) -> int:
    return -(-at // grain) * grain


def left_at(at: int, span: int) -> int:
    """When what happened then leaves a window of this length."""
    return rounded_up(at + span, GRAINS[span])


def iso(micros: int | None) -> str:
    if micros is None:
        return ""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()


def catalogue(rng: random.Random) -> dict[str, list[str]]:
    """Item -> categories: none, several, more than an interest keeps, and one named twice."""
    genres = [f"genre {letter}" for letter in "abcdefghijklmnopq"]
    items = {f"i{n}": rng.sample(genres, rng.choice([0, 1, 1, 2, 3])) for n in range(30)}
    items["i-many"] = genres[:14]
    items["i-twice"] = ["genre a", "genre a", "genre b"]
    return items


def sound_log(rng: random.Random, items: Sequence[str]) -> list[Event]:
    """Several people, each a case of its own."""
    people: dict[str, Iterator[tuple[int, str]]] = {
        # Events exactly a window apart, so that one leaves at the instant another comes.
        "edges": ((START + 100 * DAY + days * DAY, "i1") for days in (0, 1, 7, 8, 30, 90, 91, 365)),
        "nearly": (
            (START + 50 * DAY + days * DAY + off, "i2")
            for days in WINDOW_DAYS
            for off in (-1, 0, 1)
        ),
        "ties": ((START + day * DAY, f"i{n}") for day in (3, 4, 10) for n in range(4)),
        "once": iter([(START + 5 * DAY, "i3")]),
        "many": ((START + n * 7 * HOUR, rng.choice(items)) for n in range(130)),
        # More at one instant than a history keeps.
        "crowded": ((START + 200 * DAY + (n > 60) * DAY, rng.choice(items)) for n in range(70)),
        "genres": ((START + n * 31 * DAY, "i-many" if n % 2 else "i-twice") for n in range(8)),
        "elsewhere": ((START + n * DAY, "i-not-in-the-catalogue") for n in range(3)),
    }
    for n in range(16):
        people[f"random {n}"] = iter(random_times(rng, items))
    people["hours"] = (
        (START + 300 * DAY + off, "i1")
        for off in (0, HOUR - 1, HOUR, HOUR + 1, 2 * HOUR, 2 * HOUR + SECOND)
    )
    events = []
    for person, happened in people.items():
        for at, item in happened:
            # Some say that they were learned before, as a mere date does.
            late = rng.choice([None, None, None, -3 * HOUR, rng.randrange(60 * DAY)])
            value = rng.choice([None, Decimal(rng.randrange(-50, 5000)) / 10, Decimal("3.5")])
            events.append(
                Event(
                    event_id=f"e{len(events)}",
                    user=f"{RAW_PREFIX} {person}",
                    item=item,
                    event_type=rng.choice(["view", "purchase"]),
                    at=at,
                    value=value,
                    known_at=None if late is None else at + late,
                )
            )
    return events


def random_times(rng: random.Random, items: Sequence[str]) -> list[tuple[int, str]]:
    """Up to 30 events; some follow another one by exactly a window, or by a microsecond."""
    happened: list[tuple[int, str]] = []
    for _ in range(rng.randrange(1, 30)):
        at = rng.randrange(START, END)
        if happened and rng.random() < 0.5:
            days = rng.choice([0, *WINDOW_DAYS])
            at = happened[-1][0] + days * DAY + rng.choice([-1, 0, 0, 1, SECOND])
        happened.append((min(at, END), rng.choice(items)))
    return happened


def faulty_rows() -> list[Event]:
    """Every reason to reject a row, and rows with several, of which the first is named."""
    who, what, kind, at = f"{RAW_PREFIX} faulty", "i1", "view", START + 20 * DAY
    return [
        Event("m0", None, what, kind, at, fault="missing_user"),
        Event("m1", who, None, kind, at, fault="missing_item"),
        Event("m2", who, what, None, at, fault="missing_event_type"),
        Event("m3", who, what, kind, None, fault="missing_time"),
        Event("m4", None, None, None, None, fault="missing_user"),
        Event("m5", who, None, kind, 0, fault="missing_item"),
        Event("t0", who, what, kind, 0, fault="time_too_early"),
        Event("t1", who, what, kind, 4_102_444_800 * SECOND, fault="time_in_future"),  # 2100
        # The copy that was learned first stays, neither the first nor the last in the files.
        Event("d0", who, what, kind, at, known_at=at + 9 * DAY, fault="duplicate_event_id"),
        Event("d0", who, "i2", kind, at + HOUR, known_at=at + 2 * DAY),
        Event("d0", who, what, kind, at, known_at=at + 5 * DAY, fault="duplicate_event_id"),
        # A faulty copy does not take the place of a sound one.
        Event("d1", None, what, kind, at, fault="missing_user"),
        Event("d1", who, "i3", kind, at + 2 * HOUR, known_at=at + 30 * DAY),
        Event("d1", who, "i3", kind, 5, fault="time_too_early"),
    ]


def write_source(
    folder: Path, events: Sequence[Event], items: Mapping[str, Sequence[str]], shift: str = "none"
) -> Path:
    """The owner's folder: two files of events, a catalogue, and the mapping."""
    folder.mkdir()
    half = len(events) // 2
    for name, part in {"a.jsonl": events[:half], "b.jsonl": events[half:]}.items():
        rows = (
            {
                "id": one.event_id,
                "who": one.user,
                "what": one.item,
                "kind": one.event_type,
                "at": iso(one.at),
                "known": iso(one.known_at),
                "worth": None if one.value is None else str(one.value),
            }
            for one in part
        )
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "catalogue.jsonl").write_text(
        "".join(
            json.dumps({"item": item, "title": f"Title of {item}", "genres": list(genres)}) + "\n"
            for item, genres in items.items()
        )
    )
    columns = {
        **{"user": "who", "item": "what", "event_type": "kind", "time": "at"},
        **{"value": "worth", "event_id": "id", "loaded_at": "known"},
    }
    mapping = {
        "events": {"files": "[ab].jsonl", "columns": columns},
        "items": {
            "files": "catalogue.jsonl",
            "columns": {"item": "item", "title": "title", "categories": "genres"},
        },
        "shift": shift,
    }
    (folder / "profilestore.yaml").write_text(yaml.safe_dump(mapping))
    return folder


def rows_of_files(events: Sequence[Event]) -> list[tuple[str, int]]:
    """File and row number, from 1, of each event as `write_source` writes them."""
    half = len(events) // 2
    return [
        ("a.jsonl", n + 1) if n < half else ("b.jsonl", n - half + 1) for n in range(len(events))
    ]
