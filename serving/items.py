"""Items: titles, categories, when they can be had, as the feature service `items_v1` has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from profilestore.feature_store import ViewRecord
from serving.documents import ItemDocument
from serving.reads import Reads

if TYPE_CHECKING:
    from serving.deployment import Store

SERVICE = "items_v1"
_TITLE, _CATEGORIES, _FROM, _UNTIL = "title", "categories", "available_from", "available_until"
_SECONDS, _MOST_KEPT = 60.0, 100_000
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


class Items:
    """The items of one materialisation, each kept for a minute: what is pushed of one shows then.

    Recommendations look at a hundred items to show ten, and people at the same ones again and
    again.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        # By the columns that were asked for beside the names.
        self._kept: dict[frozenset[str], dict[str, tuple[float, Item]]] = {}

    def read(
        self, item_ids: Iterable[str], *, now: datetime, columns: Collection[str] = ()
    ) -> dict[str, Item]:
        """Item of each id; those that are not kept in one read of the online store.

        Args:
            columns: which of them are wanted in `values`, as `<view>__<feature>`.
        """
        ids = list(dict.fromkeys(item_ids))
        wanted = frozenset(columns)
        # What another thread puts there meanwhile is as good.
        kept = self._kept.setdefault(wanted, {})
        at = self._clock()
        found = {
            item_id: known[1]
            for item_id in ids
            if (known := kept.get(item_id)) is not None and at < known[0]
        }
        unknown = [item_id for item_id in ids if item_id not in found]
        if unknown:
            read = self._read(unknown, now, wanted)
            if len(kept) + len(read) > _MOST_KEPT:
                kept.clear()
            kept.update({item_id: (at + _SECONDS, item) for item_id, item in read.items()})
            found |= read
        return {item_id: found[item_id] for item_id in ids}

    def _read(self, ids: list[str], now: datetime, columns: frozenset[str]) -> dict[str, Item]:
        views = {
            feature.view
            for feature in self._store.features(SERVICE)
            if feature.entity == "item" and (feature.name in _NAMES or feature.column in columns)
        }
        rows = self._store.online(SERVICE, "item", ids, now=now, views=views)
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
