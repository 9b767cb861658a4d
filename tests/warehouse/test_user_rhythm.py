"""user_rhythm says at any instant what looking at every event of whole days says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from warehouse_given import CATEGORIES, Given, day_up, instants, of, random_log
from warehouse_logs import DAY
from warehouse_reference import AsOf, assert_same


def entropy(counts: Iterable[int]) -> float | None:
    some = [n for n in counts if n]
    total = sum(some)
    return -math.fsum(n / total * math.log2(n / total) for n in some) if total else None


def moment(one: Given) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=one.at)


def rhythm(events: Sequence[Given], at: int) -> dict[str, Any]:
    midnight = at // DAY
    known = [one for one in events if one.at // DAY < midnight and one.loaded_at <= midnight * DAY]
    recent = [one for one in known if one.at // DAY >= midnight - 90]
    hours = Counter(moment(one).hour for one in recent)
    weekdays = Counter(moment(one).weekday() for one in recent)
    categories = Counter(
        category
        for one in recent
        if one.item_id is not None
        for category in set(CATEGORIES[one.item_id])
    )
    days = {one.at // DAY for one in known}
    in_time = {one.at // DAY for one in known if one.loaded_at <= day_up(one.at + 1)}
    lengths = {day: length(in_time, day) for day in in_time}
    return {
        "hours_90d": [hours[n] for n in range(24)],
        "weekdays_90d": [weekdays[n] for n in range(7)],
        "hour_entropy_90d": entropy(hours.values()),
        "category_entropy_90d": entropy(categories.values()),
        "active_days_30d": sum(day >= midnight - 30 for day in days),
        "active_days_90d": sum(day >= midnight - 90 for day in days),
        "streak_days": lengths.get(midnight - 1, 0),
        "streak_days_max_lifetime": max(lengths.values(), default=0),
    }


def length(days: set[int], last: int) -> int:
    """Days in a row up to the last one."""
    return next(n for n in range(len(days) + 1) if last - n not in days)


@pytest.mark.parametrize("seed", range(40))
def test_any_instant_of_a_random_log(lake_of_events: Any, seed: int) -> None:
    log = random_log(seed, most=60, people=2)
    as_of = AsOf(lake_of_events.rows("user_rhythm", log), "user_id")
    spans = [n * DAY for n in (1, 2, 31, 91)]
    for person, own in of(log, "user_id").items():
        first = min(day_up(max(one.at + 1, one.loaded_at)) for one in own)
        for at in instants(own, spans, seed=seed):
            found = as_of(person, at)
            if at < first:
                assert found is None
                continue
            assert_same(found, rhythm(own, at), (seed, person, at))
            assert found is not None
            assert found["loaded_at"] <= found["event_timestamp"]
            assert found["event_timestamp"] % DAY == 0


def test_the_logs_have_streaks_and_days_that_are_known_late() -> None:
    logs = [own for seed in range(40) for own in of(random_log(seed, 60, 2), "user_id").values()]
    longest = [rhythm(own, 10**17)["streak_days_max_lifetime"] for own in logs]
    assert max(longest) >= 3
    assert any(one.loaded_at - one.at > DAY for own in logs for one in own)
