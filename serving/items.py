"""Items: titles, categories, when they can be had, as the feature service `items_v1` has them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from profilestore.feature_store import ViewRecord
from serving.deployment import Store
from serving.documents import ItemDocument
from serving.reads import Reads

SERVICE = "items_v1"
_TITLE, _CATEGORIES, _FROM, _UNTIL = "title", "categories", "available_from", "available_until"
_NAMES = (_TITLE, _CATEGORIES, _FROM, _UNTIL)
READS = Reads(SERVICE, lambda f: f.entity == "item" and f.name in (_TITLE, _CATEGORIES))
# Of an item that may be recommended.
AVAILABILITY = Reads(SERVICE, lambda f: f.entity == "item" and f.name in (_FROM, _UNTIL))


@dataclass(frozen=True)
class Item:
    """An item for people to read; one that no catalogue knows has neither title nor category.

    Attributes:
        available_from, available_until: None where no catalogue says.
        values: by column, `<view>__<feature>`; those that were read and are known.
    """

    item_id: str
    title: str | None = None
    categories: tuple[str, ...] = ()
    available_from: datetime | None = None
    available_until: datetime | None = None
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def document(self) -> ItemDocument:
        """As it is served."""
        return ItemDocument(
            item_id=self.item_id, title=self.title, categories=list(self.categories)
        )


def read_items(
    store: Store, item_ids: Iterable[str], *, now: datetime, columns: Collection[str] = ()
) -> dict[str, Item]:
    """Item of each id, in one read of the online store.

    Args:
        columns: which of them are wanted in `values`, as `<view>__<feature>`.
    """
    ids = list(dict.fromkeys(item_ids))
    views = {
        feature.view
        for feature in store.features(SERVICE)
        if feature.entity == "item" and (feature.name in _NAMES or feature.column in columns)
    }
    rows = store.online(SERVICE, "item", ids, now=now, views=views)
    return {item_id: _item(item_id, row) for item_id, row in zip(ids, rows, strict=True)}


def _item(item_id: str, views: Mapping[str, ViewRecord]) -> Item:
    # By name of the column, not of the view: a catalogue may be split over several marts.
    values: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    for record in views.values():
        known = {name: value for name, value in record.values.items() if value is not None}
        values.update(known)
        columns.update({f"{record.view}__{name}": value for name, value in known.items()})
    return Item(
        item_id,
        values.get(_TITLE),
        tuple(values.get(_CATEGORIES) or ()),
        values.get(_FROM),
        values.get(_UNTIL),
        columns,
    )
