"""Preferences: what a person prefers of each kind, from the mart that knows, with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from serving.blocks.known import Known
from serving.blocks.view_fields import instant, parallel, plain
from serving.blocks.whole import about_whole
from serving.documents import (
    PreferencesBlock,
    PreferredHour,
    PreferredHours,
    PreferredItem,
    PreferredItems,
    PreferredName,
    PreferredNames,
    PriceBand,
)
from serving.items import Item

_HISTORY, _INTERESTS, _BRANDS, _VALUE, _RHYTHM = (
    *("history", "interests", "brands"),
    *("value", "rhythm"),
)
# Tags `block` of the views that lists are made from.
MADE_FROM = (_HISTORY, _INTERESTS, _BRANDS, _VALUE, _RHYTHM)
_MOST = 10
_HOURS = 5


def preferences_block(known: Known, items: Mapping[str, Item]) -> PreferencesBlock:
    """A list of each kind.

    Args:
        items: titles and categories of items that the history names.
    """
    parts = {
        "items": _items(known, items),
        "categories": _names(known, _INTERESTS, "categories"),
        "brands": _names(known, _BRANDS, "brands"),
        "price_band": _price_band(known),
        "hours": _hours(known),
    }
    return PreferencesBlock(**about_whole(parts.values()), **parts)


def _items(known: Known, items: Mapping[str, Item]) -> PreferredItems:
    about, values = _read(known, _HISTORY, "preferred items")
    events = list(parallel(values, "item_ids", "event_at_us"))
    counts = Counter(item_id for item_id, _ in events)
    # Newest first is the mart's order, which a stable sort keeps among equals.
    latest: dict[str, int | None] = {}
    for item_id, at in events:
        latest.setdefault(item_id, at)
    ordered = sorted(latest, key=lambda item_id: -counts[item_id])[:_MOST]
    found = [(items.get(item_id, Item(item_id)), item_id) for item_id in ordered]
    return PreferredItems(
        **about,
        values=[
            PreferredItem(
                item_id=item_id,
                title=item.title,
                categories=list(item.categories),
                event_count=counts[item_id],
                last_seen_at=instant(latest[item_id]),
            )
            for item, item_id in found
        ],
    )


def _names(known: Known, tag: str, column: str) -> PreferredNames:
    about, values = _read(known, tag, f"preferred {column}")
    rows = parallel(
        values, column, "shares", "lifts", "confidences", "event_counts", "last_event_at_us"
    )
    # What is surely preferred: a large share of little evidence comes after a sure one.
    ordered = sorted(rows, key=lambda row: -(plain(row[3]) or 0.0))[:_MOST]
    return PreferredNames(
        **about,
        values=[
            PreferredName(
                name=name,
                share=plain(share),
                lift=plain(lift),
                confidence=plain(confidence),
                event_count=count,
                last_seen_at=instant(last),
            )
            for name, share, lift, confidence, count, last in ordered
        ],
    )


def _price_band(known: Known) -> PriceBand:
    about, values = _read(known, _VALUE, "the price band")
    low, median, high = (
        plain(values.get(f"order_value_{name}")) for name in ("quartile_1", "median", "quartile_3")
    )
    if median is None:
        about = _nothing(about, "No order with a price is known.")
    view = known.layout.tagged.get(_VALUE, "")
    unit = next(
        (
            feature.tags.get("unit")
            for feature in known.layout.columns.get(view, ())
            if feature.name == "order_value_median"
        ),
        None,
    )
    orders = values.get("orders_365d")
    return PriceBand(**about, low=low, median=median, high=high, unit=unit, event_count=orders)


def _hours(known: Known) -> PreferredHours:
    about, values = _read(known, _RHYTHM, "preferred hours")
    counts = [int(count or 0) for count in values.get("hours_90d") or ()]
    total = sum(counts)
    if not total:
        about = _nothing(about, "No event in the last 90 days.")
    ordered = sorted(range(len(counts)), key=lambda hour: -counts[hour])[:_HOURS]
    return PreferredHours(
        **about,
        values=[
            PreferredHour(hour=hour, share=counts[hour] / total, event_count=counts[hour])
            for hour in ordered
            if counts[hour]
        ],
    )


def _read(known: Known, tag: str, what: str) -> tuple[dict[str, Any], Mapping[str, Any]]:
    view = known.layout.tagged.get(tag)
    return known.about(view, what), known.values(view)


def _nothing(about: dict[str, Any], reason: str) -> dict[str, Any]:
    """The same, missing for a reason of its own where the view itself is there."""
    return {**about, "state": "missing", "reason": reason} if about["state"] == "fresh" else about
