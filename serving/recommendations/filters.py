"""Filter: what is not recommended however well it suits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from serving.items import Item
from serving.recommendations.candidates import Candidate
from serving.recommendations.policy import Filter


def allowed(
    candidates: Sequence[Candidate],
    items: Mapping[str, Item],
    *,
    has: Collection[str],
    policy: Filter,
    now: datetime,
) -> list[Candidate]:
    """The candidates that the person has not turned to already, that can be had now, and that
    policy lets through.

    Args:
        has: items that are not to come again.
    """
    return [
        one
        for one in candidates
        if one.item_id not in has
        and is_available(items[one.item_id], now)
        and one.item_id not in policy.items
        and policy.categories.isdisjoint(items[one.item_id].categories)
    ]


def is_available(item: Item, now: datetime) -> bool:
    """Whether an item can be had, as far as a catalogue says: from then, until before then."""
    return (item.available_from is None or item.available_from <= now) and (
        item.available_until is None or now < item.available_until
    )
