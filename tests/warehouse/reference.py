"""What each mart says at an instant, by looking at every event: slow and obvious.

A mart is asked as of an instant: its latest row at or before it. Times are microseconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from warehouse_logs import DAY, HOUR, SECOND, Event, left_at, rounded_up

Row = dict[str, Any]
HISTORY, INTERESTS = 50, 10
HALF_LIFE_DAYS = 90


def plain(table: pa.Table) -> list[Row]:
    """The rows of an Arrow table, timestamps as microseconds since 1970."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            micros = table[field.name].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
            table = table.set_column(position, field.name, micros)
    rows: list[Row] = table.to_pylist()
    return rows


class AsOf:
    """The rows of a mart, by entity and time."""

    def __init__(self, rows: Iterable[Row], key: str) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["event_timestamp"]):
            self._rows[row[key]].append(row)
        self._times = {
            entity: [row["event_timestamp"] for row in found]
            for entity, found in self._rows.items()
        }
        for entity, times in self._times.items():
            assert len(set(times)) == len(times), f"{entity}: two rows of one instant"

    def __call__(self, entity: str, at: int) -> Row | None:
        place = bisect_right(self._times.get(entity, []), at)
        return self._rows[entity][place - 1] if place else None


def by(key: Callable[[Event], Any], events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for one in events:
        found[key(one)].append(one)
    return dict(found)


# What a mart counts over, in microseconds.
USER_WINDOWS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}
ITEM_WINDOWS = {"1h": HOUR, **USER_WINDOWS, "365d": 365 * DAY}


def window(events: Sequence[Event], at: int, span: int | None, enters_at: int = 1) -> list[Event]:
    """Events that were learned by `at`, and have not left the window.

    Args:
        enters_at: full hours, say, at which events enter, and leave at the earliest.
    """
    return [
        one
        for one in events
        if rounded_up(one.entered_at, enters_at) <= at
        and (span is None or at < rounded_up(left_at(one.at, span), enters_at))
    ]


def counts(events: Sequence[Event], at: int, windows: Mapping[str, int], enters_at: int = 1) -> Row:
    return {
        **{
            f"events_{name}": len(window(events, at, span, enters_at))
            for name, span in windows.items()
        },
        "events_lifetime": len(window(events, at, None, enters_at)),
    }


def ends(events: Sequence[Event], at: int, enters_at: int = 1) -> Row:
    times = [one.at for one in window(events, at, None, enters_at)]
    return {
        "first_event_at": min(times) // SECOND * SECOND,
        "last_event_at": max(times) // SECOND * SECOND,
    }


def mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def values(events: Iterable[Event]) -> list[float]:
    return [float(one.value) for one in events if one.value is not None]


def visits(events: Iterable[Event]) -> int:
    """Events before which nothing was known to have happened for half an hour."""
    known = sorted(events, key=lambda one: (one.entered_at, one.at, one.event_id))
    seconds = [one.at // SECOND for one in known]
    return sum(n == 0 or at - max(seconds[:n]) > 30 * 60 for n, at in enumerate(seconds))


def user_activity(events: Sequence[Event], at: int) -> Row:
    recent = values(window(events, at, 90 * DAY))
    return {
        **counts(events, at, USER_WINDOWS),
        "visits_lifetime": visits(window(events, at, None)),
        "value_mean_90d": mean(recent),
        "value_stddev_90d": float(np.std(recent, ddof=1)) if len(recent) > 1 else None,
        "value_mean_lifetime": mean(values(window(events, at, None))),
        **ends(events, at),
    }


def item_popularity(events: Sequence[Event], at: int) -> Row:
    return {
        **counts(events, at, ITEM_WINDOWS, HOUR),
        "value_mean_lifetime": mean(values(window(events, at, None, HOUR))),
        **ends(events, at, HOUR),
    }


def user_history(events: Sequence[Event], at: int) -> Row:
    so_far = sorted(window(events, at, None), key=lambda one: (one.at, one.event_id))
    last = so_far[::-1][:HISTORY]
    return {
        "item_ids": [one.item for one in last],
        "event_types": [one.event_type for one in last],
        "event_at_us": [one.at for one in last],
    }


def wilson(share: float, n: float) -> float:
    """The smallest p for which a share this large is no more than 1.96 deviations off."""
    low, high = 0.0, share
    for _ in range(100):
        middle = (low + high) / 2
        if share - middle > 1.959964 * math.sqrt(middle * (1 - middle) / n):
            low = middle
        else:
            high = middle
    return low


def check_interests(
    found: Row,
    events: Sequence[Event],
    at: int,
    tags_of: Mapping[str, Sequence[str]],
    everybody: Sequence[Event],
    tags: str = "categories",
) -> None:
    """Tags of items by Σ 2^(−age / half-life), heaviest first, ten at most."""
    evidence: dict[str, list[int]] = defaultdict(list)
    for one in window(events, at, None):
        for tag in set(tags_of.get(one.item, [])):
            evidence[tag].append(one.at)
    weights = {
        tag: math.fsum(2 ** ((then - at) / (HALF_LIFE_DAYS * DAY)) for then in times)
        for tag, times in evidence.items()
    }
    total = math.fsum(weights.values())
    shares = {tag: weight / total for tag, weight in weights.items()}
    listed = found[tags]
    assert len(listed) == len(set(listed)) == min(len(shares), INTERESTS)
    np.testing.assert_allclose(found["shares"], [shares[one] for one in listed], rtol=1e-9)
    assert found["event_counts"] == [len(evidence[one]) for one in listed]
    assert found["first_event_at_us"] == [min(evidence[one]) for one in listed]
    assert found["last_event_at_us"] == [max(evidence[one]) for one in listed]
    # Against what was known of everybody when the row's day began.
    midnight = found["event_timestamp"] // DAY * DAY
    usual: dict[str, int] = defaultdict(int)
    for one in everybody:
        if one.entered_at <= midnight:
            for tag in set(tags_of.get(one.item, [])):
                usual[tag] += 1
    whole = sum(usual.values()) + 1
    np.testing.assert_allclose(
        found["lifts"], [shares[one] * whole / (usual[one] + 1) for one in listed], rtol=1e-9
    )
    ages = [then - at for times in evidence.values() for then in times]
    squares = math.fsum(4 ** (age / (HALF_LIFE_DAYS * DAY)) for age in ages)
    np.testing.assert_allclose(
        found["confidences"],
        [wilson(shares[one], total**2 / squares) for one in listed],
        atol=1e-6,
    )
    # Those left out weigh no more than the last one listed.
    for other in shares.keys() - set(listed):
        assert shares[other] <= shares[listed[-1]] * (1 + 1e-9)
    # Heaviest first, and by name where the evidence is the same.
    for one, following in pairwise(listed):
        assert shares[one] >= shares[following] * (1 - 1e-9)
        if sorted(evidence[one]) == sorted(evidence[following]):
            assert one < following


def probes(events: Sequence[Event], spans: Collection[int]) -> list[int]:
    """Instants at which a value may change, and a microsecond before and after each."""
    edges = {one.at + span for one in events for span in (0, *spans)}
    left = {left_at(one.at, span) for one in events for span in spans}
    edges |= left | {rounded_up(at, HOUR) for at in left}
    edges |= {edge for one in events for edge in (one.entered_at, rounded_up(one.entered_at, HOUR))}
    return sorted({edge + off for edge in edges for off in (-1, 0, 1)})


def assert_same(found: Row | None, wanted: Row, where: object) -> None:
    """Integers, texts and nulls exactly; floats to nine digits."""
    assert found is not None, where
    for name, value in wanted.items():
        if isinstance(value, float):
            assert found[name] is not None, (where, name)
            scale = max(1.0, abs(value))
            assert math.isclose(found[name], value, rel_tol=1e-9, abs_tol=1e-9 * scale), (
                *(where, name, found[name], value),
            )
        else:
            assert found[name] == value, (where, name, found[name], value)


def check_mart(
    rows: Iterable[Row],
    key: str,
    events: Mapping[str, Sequence[Event]],
    at_an_instant: Callable[[Sequence[Event], int], Row],
    instants: Callable[[Sequence[Event]], Iterable[int]],
    enters_at: int = 1,
) -> int:
    """Every entity at every instant asked for; how many there were."""
    as_of = AsOf(rows, key)
    asked = 0
    for entity, own in events.items():
        first = min(rounded_up(one.entered_at, enters_at) for one in own)
        for at in instants(own):
            asked += 1
            if at < first:
                assert as_of(entity, at) is None, (entity, at)
            else:
                assert_same(as_of(entity, at), at_an_instant(own, at), (entity, at))
    return asked
