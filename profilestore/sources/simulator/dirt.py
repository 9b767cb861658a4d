"""What is wrong with the logs, how often, and the making of it.

A fault (time out of range, missing field, impossible value, unreadable) and a copy exclude each
other within a row; what is only unusual (late, a skewed clock, another time format ...) does not.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from enum import IntFlag, auto
from typing import Any

import numpy as np

from profilestore.sources.simulator.chance import DAY, Columns, Ints, pick, scrambled, stack


class Kind(IntFlag):
    """Kinds of dirt: bits of the column `kinds`; in truth by their names in lower case."""

    EXACT_DUPLICATE = auto()
    NEAR_DUPLICATE = auto()
    BOT = auto()
    CLOCK_SKEW = auto()
    TIME_OUT_OF_RANGE = auto()
    TIME_FORMAT = auto()
    CURRENCY = auto()
    ENCODING = auto()
    TEXT_FORM = auto()
    LATE = auto()
    MISSING_FIELD = auto()
    IMPOSSIBLE_VALUE = auto()
    UNREADABLE = auto()


TIMES = int(Kind.CLOCK_SKEW | Kind.TIME_FORMAT | Kind.LATE)
"""Kinds that cannot be seen in a row without its times."""


@dataclass(frozen=True)
class Rates:
    """Shares, each of what its name or comment says."""

    exact_duplicate: float = 0.008  # of rows
    exact_duplicate_later_day: float = 0.3  # of exact duplicates
    near_duplicate: float = 0.006  # of rows
    bot_actors: float = 0.002  # bots for one person
    bot_events: float = 0.05  # of web events
    clock_skew: float = 0.015  # of devices
    time_out_of_range: float = 0.002  # of rows
    time_format: float = 0.08  # of devices
    currency: float = 0.02  # of visits to the shop
    encoding: float = 0.15  # of customer and catalogue files
    text_form: float = 0.04  # of texts
    late: float = 0.02  # of visits
    missing_field: float = 0.003  # of rows
    impossible_value: float = 0.002  # of rows with a price
    unreadable: float = 0.001  # of rows


RATES = Rates()

OUT_OF_RANGE = (
    *("1970-01-01T00:00:00.000Z", "1970-01-01T00:07:12.000Z"),
    *("2099-12-31T23:59:59.999Z", "2106-02-07T06:28:15.000Z"),
)
NOT_JSON = (
    "<html><head><title>502 Bad Gateway</title></head></html>",
    "WARN collector queue is full, 17 dropped",
    "{event_id: undefined, type: [object Object]}",
)


def plant(rng: np.random.Generator, rows: Columns, ids: Ints, *, seed: int, name: str) -> Columns:
    """Choose rows for faults and copies, and add the near duplicates.

    Args:
        rows: with `event` (ids), `received`, `kinds`, `cents` (below 0: no price). Those with
            `sent` come from devices: only devices send again, or have no idea of the time.
        ids: numbers for the ids of copies, at least as many as rows.
        seed, name: of the ids.

    Returns:
        the rows with `origin` (the id of what a copy is of, else 0), `fault` (a `Kind` or 0) and
        `again` (to be written twice).
    """
    count = len(rows["event"])
    shares = {
        Kind.EXACT_DUPLICATE: RATES.exact_duplicate,
        Kind.UNREADABLE: RATES.unreadable,
        Kind.MISSING_FIELD: RATES.missing_field,
        Kind.IMPOSSIBLE_VALUE: RATES.impossible_value,
    }
    if "sent" in rows:
        shares[Kind.NEAR_DUPLICATE] = RATES.near_duplicate
        shares[Kind.TIME_OUT_OF_RANGE] = RATES.time_out_of_range
    drawn = np.searchsorted(np.cumsum([*shares.values()]), rng.random(count), "right")
    chosen = np.array([*map(int, shares), 0])[drawn]
    chosen[(chosen == Kind.IMPOSSIBLE_VALUE) & (rows["cents"] < 0)] = 0

    faults = np.isin(chosen, (Kind.EXACT_DUPLICATE, Kind.NEAR_DUPLICATE), invert=True)
    rows = rows | {
        "origin": np.zeros(count, np.uint64),
        "fault": np.where(faults, chosen, 0),
        "moment": rows["happened"],
        "again": chosen == Kind.EXACT_DUPLICATE,
    }
    if "sent" in rows:  # servers do not write in the exact order of arrival
        rows["moment"] = rows["received"] + rng.integers(0, 2_000, count)
    near = np.flatnonzero(chosen == Kind.NEAR_DUPLICATE)
    if not len(near):
        return rows
    copies = pick(rows, near)
    copies["origin"] = copies["event"]
    copies["event"] = scrambled(seed, name, ids[: len(near)])
    copies["kinds"] = copies["kinds"] | int(Kind.NEAR_DUPLICATE)
    after = rng.integers(200, 1_900, len(near))
    copies["sent"] = copies["sent"] + after
    copies["received"] = copies["received"] + after
    copies["moment"] = copies["moment"] + after
    # Half are sent again as they are, half are made anew by an impatient page.
    copies["happened"] = copies["happened"] + np.where(rng.random(len(near)) < 0.5, after, 0)
    return stack((rows, copies))


def spoiled_json(
    rng: np.random.Generator, line: str, fault: int, *, kind: str, time: str, actor: str
) -> tuple[str, int]:
    """A line with a fault, and the kinds that can no longer be seen in it.

    Args:
        kind, time, actor: the names of these fields in this log.
    """
    if fault == Kind.UNREADABLE:
        if rng.random() < 0.3:
            return NOT_JSON[rng.integers(len(NOT_JSON))], ~0
        return line[: int(len(line) * rng.uniform(0.2, 0.8))], ~0
    row: dict[str, Any] = json.loads(line)
    unseen = 0
    if fault == Kind.TIME_OUT_OF_RANGE:
        row[time] = OUT_OF_RANGE[rng.integers(len(OUT_OF_RANGE))]
        row["sent_at"] = None
        unseen = TIMES
    elif fault == Kind.IMPOSSIBLE_VALUE:
        way = rng.integers(3)
        if row.get("quantity") and way == 0:
            row["quantity"] = -row["quantity"]
        else:
            row["price"] = round(row["price"] * (10_000 if way == 1 else -1), 2)
    else:
        ways = [(kind,), (time, "sent_at"), (actor, "device_id")]
        if row["item_id"] and row.get("type", "page_view") == "page_view":
            ways.append(("item_id",))
        missing = ways[rng.integers(len(ways))]
        unseen = TIMES if "sent_at" in missing else 0
        if "device_id" in missing and "user_id" in row:
            missing = (*missing, "user_id")
        form = rng.integers(3)
        for name in missing:
            row[name] = (None, "", None)[form]
            if form == 2:
                del row[name]
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")), unseen


def spoiled_order_line(rng: np.random.Generator, line: str, fault: int) -> tuple[str, int]:
    """An order line with a fault; an order has no other kind of dirt that it could hide."""
    fields = line.split(",")
    if fault == Kind.UNREADABLE:
        fields = fields[: rng.integers(2, 7)]
    elif fault == Kind.IMPOSSIBLE_VALUE:
        way = rng.integers(3)
        if way == 0:
            fields[6] = f"-{fields[6]}"
        else:
            fields[7] = f"{float(fields[7]) * (10_000 if way == 1 else -1):.2f}"
    else:
        fields[(4, 5)[rng.integers(2)]] = ""
    return ",".join(fields), 0


def other_form(text: str, *, decomposed: bool) -> str:
    """The same text in decomposed Unicode, or else with full-width letters; other bytes.

    A text without accents has only the second form.
    """
    found = unicodedata.normalize("NFD", text)
    if decomposed and found != text:
        return found
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)


def repeated(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
    """When exact duplicates arrive: days later [n] and milliseconds later in the order [n]."""
    days = np.where(
        rng.random(count) < RATES.exact_duplicate_later_day, rng.integers(1, 3, count), 0
    )
    return days, days * DAY + rng.integers(1, 3_600_000, count)
