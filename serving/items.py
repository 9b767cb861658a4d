"""Titles and categories of items, as the feature service `items_v1` has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from profilestore.feature_store import ViewRecord
from serving.deployment import Store
from serving.reads import Reads

SERVICE = "items_v1"
_TITLE, _CATEGORIES = "title", "categories"
READS = Reads(SERVICE, lambda f: f.entity == "item" and f.name in (_TITLE, _CATEGORIES))


@dataclass(frozen=True)
class Item:
    """An item for people to read; one that no catalogue knows has neither title nor category."""

    item_id: str
    title: str | None = None
    categories: tuple[str, ...] = ()


def read_items(store: Store, item_ids: Iterable[str], *, now: datetime) -> dict[str, Item]:
    """Item of each id, in one read of the online store."""
    ids = list(dict.fromkeys(item_ids))
    rows = store.online(SERVICE, "item", ids, now=now)
    return {item_id: _item(item_id, row) for item_id, row in zip(ids, rows, strict=True)}


def _item(item_id: str, views: Mapping[str, ViewRecord]) -> Item:
    # By name of the column, not of the view: a catalogue may be split over several marts.
    values: dict[str, Any] = {}
    for record in views.values():
        values.update({k: v for k, v in record.values.items() if v is not None})
    return Item(item_id, values.get(_TITLE), tuple(values.get(_CATEGORIES) or ()))
