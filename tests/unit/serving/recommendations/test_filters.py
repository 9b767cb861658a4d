"""What is not recommended however well it suits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from serving.items import Item
from serving.recommendations.candidates import Candidate
from serving.recommendations.filters import allowed, is_available
from serving.recommendations.policy import Filter

ITEMS = {
    "a": Item("a", categories=("Drama",)),
    "b": Item("b", categories=("Drama", "War")),
    "c": Item("c"),
}
CANDIDATES = [Candidate(item_id, ("collaborative",), 1.0) for item_id in "cab"]


@pytest.mark.parametrize(
    ("has", "policy", "left"),
    [
        ((), {}, "cab"),
        ({"a"}, {}, "cb"),
        ((), {"items": {"c", "x"}}, "ab"),
        ((), {"categories": {"War"}}, "ca"),
        ({"c"}, {"items": {"a"}, "categories": {"War"}}, ""),
    ],
)
def test_each_reason_takes_its_own(has, policy, left, now) -> None:
    found = allowed(CANDIDATES, ITEMS, has=has, policy=Filter(**policy), now=now)
    assert [one.item_id for one in found] == list(left)


MICROSECOND = timedelta(microseconds=1)
NEVER = None


@pytest.mark.parametrize(
    ("since", "until", "available"),
    [
        (NEVER, NEVER, True),
        (timedelta(0), NEVER, True),
        (MICROSECOND, NEVER, False),
        (NEVER, timedelta(0), False),
        (NEVER, MICROSECOND, True),
        (-timedelta(days=9), -timedelta(days=2), False),
    ],
)
def test_an_item_can_be_had_from_then_until_before_then(since, until, available, now) -> None:
    item = Item(
        "a",
        available_from=None if since is None else now + since,
        available_until=None if until is None else now + until,
    )
    assert is_available(item, now) is available
    found = allowed(CANDIDATES[1:2], {"a": item}, has=(), policy=Filter(), now=now)
    assert bool(found) is available
