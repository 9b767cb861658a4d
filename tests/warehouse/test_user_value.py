"""user_value and population_daily say what looking at every order of everybody says."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from warehouse_given import Given, instants, known, of, random_log
from warehouse_logs import DAY, SECOND
from warehouse_reference import AsOf, assert_same

WINDOWS = {"30d": 30, "90d": 90, "365d": 365}
KEPT = 20
# A log of many orders.
ORDERS = {"most": 120, "people": 7}
Order = tuple[int, int, float | None]
People = Mapping[str, Sequence[Given]]


def orders(events: Sequence[Given], at: int) -> list[Order]:
    """Learned, happened, value: those that are known, in the order in which they were learned."""
    lines: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for one in known(events, at):
        lines[one.entered_at, one.at].append(one.value)
    return [
        (
            learned,
            happened,
            float(sum(told)) if (told := [v for v in values if v is not None]) else None,
        )
        for (learned, happened), values in sorted(lines.items())
    ]


def within(events: Sequence[Given], at: int, days: int) -> list[Order]:
    return [one for one in orders(events, at) if one[1] > at - days * DAY]


def amounts(some: Sequence[Order]) -> list[float]:
    return [value for *_, value in some if value is not None]


def bars(events: Sequence[Given], at: int) -> dict[str, int]:
    year = within(events, at, 365)
    return {
        "recency": max(happened for _, happened, _ in orders(events, at)) // DAY,
        "frequency": len(year),
        "spend": round(50 * math.log1p(sum(amounts(year)))),
    }


def population(people: People, midnight: int) -> dict[str, list[int]]:
    """The bars of everybody who bought something in the year before."""
    found: dict[str, list[int]] = {"recency": [], "frequency": [], "spend": []}
    for own in people.values():
        if within(own, midnight, 365):
            for measure, bar in bars(own, midnight).items():
                found[measure].append(bar)
    return found


def percentiles(some: Sequence[int]) -> list[int] | None:
    ordered = sorted(some)
    return [ordered[-(-k * len(ordered) // 100) - 1] for k in range(1, 100)] if some else None


def value(people: People, person: str, at: int, row_at: int) -> dict[str, Any]:
    own = people[person]
    year = amounts(within(own, at, 365))
    latest = amounts(orders(own, at)[-KEPT:])
    quartiles = [float(np.quantile(latest, q)) if latest else None for q in (0.25, 0.5, 0.75)]
    found: dict[str, Any] = {
        "last_purchase_at": max(one[1] for one in orders(own, at)) // SECOND * SECOND,
        **{f"orders_{name}": len(within(own, at, days)) for name, days in WINDOWS.items()},
        "order_value_sum_90d": float(sum(amounts(within(own, at, 90)))),
        "order_value_sum_365d": float(sum(year)),
        "order_value_mean_365d": float(np.mean(year)) if year else None,
        "order_value_stddev_365d": float(np.std(year, ddof=1)) if len(year) > 1 else None,
        "order_value_quartile_1": quartiles[0],
        "order_value_median": quartiles[1],
        "order_value_quartile_3": quartiles[2],
    }
    everybody = population(people, row_at // DAY * DAY)
    for measure, bar in bars(own, row_at).items():
        ranks = percentiles(everybody[measure])
        found[f"{measure}_score"] = ranks and 1 + sum(ranks[k - 1] < bar for k in (20, 40, 60, 80))
        found[f"{measure}_percentile"] = ranks and sum(rank < bar for rank in ranks)
    return found


def of_buyers(seed: int) -> dict[str, list[Given]]:
    log = random_log(seed, **ORDERS)
    return of([one for one in log if one.event_type == "purchase"], "user_id")


@pytest.mark.parametrize("seed", range(20))
def test_any_instant_of_a_random_log(lake_of_events: Any, seed: int) -> None:
    log = random_log(seed, **ORDERS)
    people = of_buyers(seed)
    rows = lake_of_events.rows("user_value", log, "int_orders_windowed", "population_daily")
    as_of = AsOf(rows, "user_id")
    for person, own in people.items():
        first = min(one.entered_at for one in own)
        moments = instants(own, [days * DAY for days in WINDOWS.values()], seed=seed)
        for at in moments[:: max(1, len(moments) // 60)]:
            found = as_of(person, at)
            if at < first:
                assert found is None
                continue
            assert found is not None
            wanted = value(people, person, at, found["event_timestamp"])
            assert_same(found, wanted, (seed, person, at))
            assert found["loaded_at"] <= found["event_timestamp"]


@pytest.mark.parametrize("seed", range(20))
def test_a_days_population_is_that_of_its_midnight(lake_of_events: Any, seed: int) -> None:
    people = of_buyers(seed)
    log = random_log(seed, **ORDERS)
    rows = lake_of_events.rows("population_daily", log, "int_orders_windowed")
    rows.sort(key=lambda row: row["day_at"])
    if not people:
        assert rows == []
        return
    days = [row["day_at"] for row in rows]
    last = max(one.entered_at for own in people.values() for one in own) + 400 * DAY
    for midnight in range(days[0], last, 3 * DAY):
        row = rows[bisect_right(days, midnight) - 1]
        everybody = population(people, midnight)
        assert row["buyers_n"] == len(everybody["frequency"])
        assert row["last_purchase_day_percentiles"] == percentiles(everybody["recency"])
        assert row["orders_365d_percentiles"] == percentiles(everybody["frequency"])
        assert row["spend_365d_percentiles"] == percentiles(everybody["spend"])


def test_a_population_does_not_change_when_more_is_learned(lake_of_events: Any) -> None:
    log = random_log(3, **ORDERS)
    middle = sorted(one.entered_at for one in log)[len(log) // 2]
    early, whole = (
        lake_of_events.rows("population_daily", events, "int_orders_windowed")
        for events in (known(log, middle), log)
    )
    past = [
        sorted((row for row in rows if row["day_at"] <= middle), key=lambda row: row["day_at"])
        for rows in (early, whole)
    ]
    assert past[0]
    assert past[0] == past[1]
