"""item_statistics says at any full hour what looking at every event says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from warehouse_given import Given, hour_up, instants, of, random_log
from warehouse_logs import DAY, HOUR, left_at
from warehouse_reference import AsOf, assert_same

WINDOWS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
KINDS = {
    **{"page_view": "views", "click": "views", "add_to_cart": "carts", "purchase": "buys"},
    "like": "engagements",
}
HITS, MISSES, PER_DAY = 1, 19, 0.1


def rate(hits: int, chances: int) -> float:
    return (hits + HITS) / (max(hits, chances) + HITS + MISSES)


def price(events: Sequence[Given], at: int) -> float | None:
    """Mean of what was paid, of what is known at the last full hour."""
    paid = [
        one.value
        for one in events
        if hour_up(one.entered_at) <= at and one.event_type == "purchase" and one.value
    ]
    return float(sum(paid) / len(paid)) if paid else None


def bar(amount: float) -> int:
    return round(50 * math.log1p(amount))


def statistics(items: Mapping[str, Sequence[Given]], item: str, at: int, row_at: int) -> Any:
    found: dict[str, Any] = {}
    for suffix, days in WINDOWS.items():
        there = [
            one
            for one in items[item]
            if hour_up(one.entered_at) <= at < left_at(one.at, days * DAY)
        ]
        for kind in set(KINDS.values()):
            found[f"{kind}_{suffix}"] = sum(KINDS[one.event_type] == kind for one in there)
        if suffix != "1d":
            found[f"people_{suffix}"] = len({one.user_id for one in there})
            buying = [one for one in there if one.event_type == "purchase"]
            found[f"buyers_{suffix}"] = len({one.user_id for one in buying})
    found["cart_rate_30d"] = rate(found["carts_30d"], found["views_30d"])
    found["buy_rate_30d"] = rate(found["buys_30d"], found["views_30d"])
    found["buyer_rate_30d"] = rate(found["buyers_30d"], found["people_30d"])
    week, month = (
        sum(found[f"{kind}_{suffix}"] for kind in set(KINDS.values())) for suffix in ("7d", "30d")
    )
    found["trend_7d"] = math.log((week / 7 + PER_DAY) / (month / 30 + PER_DAY))
    own = price(items[item], row_at)
    found["price_mean_lifetime"] = own
    others = [price(events, row_at // DAY * DAY) for events in items.values()]
    known = sorted(bar(one) for one in others if one is not None)
    found["price_band"] = None
    if own is not None and known:
        limits = [known[-(-quarter * len(known) // 100) - 1] for quarter in (25, 50, 75)]
        found["price_band"] = 1 + sum(limit < bar(own) for limit in limits)
    return found


@pytest.mark.parametrize("seed", range(30))
def test_any_instant_of_a_random_log(lake_of_events: Any, seed: int) -> None:
    log = random_log(seed, most=70, people=4)
    counted = [one for one in log if one.event_type in KINDS]
    items = of(counted, "item_id")
    as_of = AsOf(lake_of_events.rows("item_statistics", log, "int_prices_daily"), "item_id")
    for item, own in items.items():
        first = min(hour_up(one.entered_at) for one in own)
        moments = instants(own, [days * DAY for days in WINDOWS.values()], seed=seed)
        for at in moments[:: max(1, len(moments) // 150)]:
            found = as_of(item, at)
            if at < first:
                assert found is None
                continue
            assert found is not None
            wanted = statistics(items, item, at, found["event_timestamp"])
            assert_same(found, wanted, (seed, item, at))
            assert found["event_timestamp"] % HOUR == 0
            assert found["loaded_at"] <= found["event_timestamp"]
