"""Recent items of a person."""

from __future__ import annotations

from collections.abc import Mapping

from serving.blocks.known import Known
from serving.blocks.layout import HISTORY
from serving.blocks.view_fields import fields_of, instant, parallel
from serving.documents import HistoryBlock, HistoryItem
from serving.items import Item


def history_block(known: Known, items: Mapping[str, Item]) -> HistoryBlock:
    """Events as the mart orders them, newest first.

    Args:
        items: titles and categories of items that the history names.
    """
    events = []
    for item_id, event_type, at in parallel(
        known.values(known.layout.views.get(HISTORY)), "item_ids", "event_types", "event_at_us"
    ):
        item = items.get(item_id, Item(item_id))
        events.append(
            HistoryItem(
                item_id=item_id,
                title=item.title,
                categories=list(item.categories),
                event_type=event_type,
                at=instant(at),
            )
        )
    return HistoryBlock(**fields_of(known, HISTORY), items=events)
