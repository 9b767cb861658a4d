"""user_behaviour says at any instant what looking at every event says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from warehouse_given import CATEGORIES, Given, instants, known, of, random_log
from warehouse_logs import DAY, HOUR, left_at
from warehouse_reference import AsOf, assert_same

WINDOWS = {"1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}
KINDS = {
    **{"page_view": "views", "click": "views", "search": "searches", "add_to_cart": "carts"},
    **{"purchase": "buys", "like": "engagements"},
}
HITS, MISSES, PER_DAY = 1, 19, 0.1


def rate(hits: int, chances: int) -> float:
    return (hits + HITS) / (max(hits, chances) + HITS + MISSES)


def behaviour(events: Sequence[Given], at: int) -> dict[str, Any]:
    """By looking at every event."""
    found: dict[str, Any] = {}
    clicks, all_kinds = {}, {}
    for suffix, span in WINDOWS.items():
        there = [one for one in known(events, at) if left_at(one.at, span) > at]
        for kind in set(KINDS.values()):
            found[f"{kind}_{suffix}"] = sum(KINDS[one.event_type] == kind for one in there)
        all_kinds[suffix] = len(there)
        clicks[suffix] = sum(one.event_type == "click" for one in there)
        if suffix != "1h":
            paid = [one.value or 0 for one in there if one.event_type == "purchase"]
            found[f"spend_{suffix}"] = float(sum(paid))
        if suffix in ("7d", "30d", "90d"):
            items = {one.item_id for one in there} - {None}
            found[f"items_{suffix}"] = len(items)
            found[f"categories_{suffix}"] = len({c for i in items for c in CATEGORIES[i]})
    for suffix in ("30d", "90d"):
        views = found[f"views_{suffix}"]
        found[f"click_rate_{suffix}"] = rate(clicks[suffix], views - clicks[suffix])
        found[f"cart_rate_{suffix}"] = rate(found[f"carts_{suffix}"], views)
        found[f"buy_rate_{suffix}"] = rate(found[f"buys_{suffix}"], views)
    found["trend_7d"] = math.log(
        (all_kinds["7d"] / 7 + PER_DAY) / (all_kinds["30d"] / 30 + PER_DAY)
    )
    return found


@pytest.mark.parametrize("seed", range(40))
def test_any_instant_of_a_random_log(lake_of_events: Any, seed: int) -> None:
    log = random_log(seed)
    as_of = AsOf(lake_of_events.rows("user_behaviour", log), "user_id")
    counted = [one for one in log if one.event_type in KINDS]
    for person, own in of(counted, "user_id").items():
        first = min(one.entered_at for one in own)
        for at in instants(own, WINDOWS.values(), seed=seed):
            found = as_of(person, at)
            if at < first:
                assert found is None
                continue
            assert_same(found, behaviour(own, at), (seed, person, at))
            assert found is not None
            learned = max(one.loaded_at for one in known(own, at))
            assert found["loaded_at"] == learned <= found["event_timestamp"]


def test_who_did_nothing_of_any_kind_has_no_row(lake_of_events: Any) -> None:
    log = [Given("e", "u", None, "login", DAY * 20_000, DAY * 20_000)]
    assert lake_of_events.rows("user_behaviour", log) == []


def test_a_row_is_a_change(lake_of_events: Any) -> None:
    """None is there for nothing: each stands where an event enters or leaves."""
    log = random_log(1234, most=200)
    rows = lake_of_events.rows("user_behaviour", log)
    wanted = set()
    for one in (one for one in log if one.event_type in KINDS):
        left = {left_at(one.at, span) for span in WINDOWS.values()}
        changes = {one.entered_at, *(at for at in left if at > one.entered_at)}
        wanted |= {(one.user_id, at) for at in changes}
    assert sorted((row["user_id"], row["event_timestamp"]) for row in rows) == sorted(wanted)
