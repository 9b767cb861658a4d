"""item_neighbours says what counting pairs in every session says."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from typing import Any

import pytest
from warehouse_given import Given, random_log
from warehouse_logs import DAY

DAYS, MOST, LEAST, KEPT = 90, 50, 2, 20


def hinted(seed: int, most: int = 60, names: int = 12) -> list[Given]:
    """A log whose sessions are all told."""
    return [
        replace(
            one, session_hint=f"s{number % names}", event_type="click", item_id=f"i{number % 7}"
        )
        for number, one in enumerate(random_log(seed, most))
    ]


def neighbours(events: Sequence[Given]) -> dict[str, dict[str, tuple[int, float]]]:
    end = max(one.entered_at for one in events)
    baskets = defaultdict(set)
    for one in events:
        if one.at > end - DAYS * DAY and not one.is_retold:
            baskets[one.user_id, one.source, one.session_hint].add(one.item_id)
    small = [basket for basket in baskets.values() if len(basket) <= MOST]
    single = Counter(item for basket in small for item in basket)
    together = Counter(pair for basket in small for pair in permutations(basket, 2))
    found: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
    for (one, other), count in together.items():
        if count >= LEAST:
            found[str(one)][str(other)] = (count, count / math.sqrt(single[one] * single[other]))
    return dict(found)


@pytest.mark.parametrize("seed", range(30))
def test_against_counting_pairs(lake_of_events: Any, seed: int) -> None:
    log = hinted(seed)
    log += [replace(one, user_id="u9", is_retold=True) for one in log[:5]]
    wanted = neighbours(log)
    rows = lake_of_events.rows("item_neighbours", log)
    assert {row["item_id"] for row in rows} == set(wanted)
    for row in rows:
        near = wanted[row["item_id"]]
        assert set(row["neighbour_ids"]) == set(near)
        assert row["session_counts"] == [near[one][0] for one in row["neighbour_ids"]]
        assert row["cosines"] == [round(near[one][1], 9) for one in row["neighbour_ids"]]
        ranks = [(-near[one][1], one) for one in row["neighbour_ids"]]
        assert all(one[0] <= other[0] + 1e-9 for one, other in pairwise(ranks))
        own = [one for one in log if not one.is_retold]
        assert row["event_timestamp"] == max(one.entered_at for one in own)
        assert row["loaded_at"] <= row["event_timestamp"]


def test_twenty_at_most_the_nearest_and_no_giant_sessions(lake_of_events: Any) -> None:
    at = 20_000 * DAY

    def visit(session: str, items: Sequence[int]) -> list[Given]:
        return [
            Given(f"{session}-{n}", "u", f"i{n}", "click", at, at, session_hint=session)
            for n in items
        ]

    # i0 is with i1 to i30 twice; i31 is with i0 in each of two smaller sessions, and nowhere else.
    log = visit("a", range(31)) + visit("b", range(31))
    log += visit("c", [0, 31]) + visit("d", [0, 31])
    log += visit("giant 1", range(100, 151)) + visit("giant 2", range(100, 151))
    rows = {row["item_id"]: row for row in lake_of_events.rows("item_neighbours", log)}
    assert len(rows["i0"]["neighbour_ids"]) == KEPT
    assert rows["i31"]["neighbour_ids"] == ["i0"]
    assert not any(int(item[1:]) >= 100 for item in rows)
