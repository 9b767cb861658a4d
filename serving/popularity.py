"""The items that most people turn to: the answer for a person nobody knows."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from serving.deployment import Deployment
from serving.items import SERVICE
from serving.reads import Reads

VIEW = "item_popularity"
_RECENT, _EVER = "events_90d", "events_lifetime"
READS = Reads(SERVICE, lambda f: f.view == VIEW and f.name in (_RECENT, _EVER))


@dataclass(frozen=True)
class Ranking:
    """Items by their events of the last 90 days, most first; equals by all events, then by id.

    Attributes:
        items: (item, events of the last 90 days).
        as_of: when the latest of these counts became true; None without any.
    """

    items: list[tuple[str, int]]
    as_of: datetime | None


class Popularity:
    """The ranking of all items that the bundle knows, read from the online store.

    It is read once for each bundle and materialisation: counts change online at no other time.
    That takes seconds for ten thousand items, so `warm` does it ahead of the first who asks.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._lock = threading.Lock()
        self._made_from: object = None
        self._ranking = Ranking([], None)

    def warm(self) -> None:
        """Read the ranking on a thread of its own; what fails is said to the first who asks."""

        def read() -> None:
            # Whatever is missing now is reported by /readyz, and raised where it is asked for.
            try:
                self.ranking()
            except Exception:
                return

        threading.Thread(target=read, name="popularity", daemon=True).start()

    def ranking(self) -> Ranking:
        """The ranking, waiting for it if it is being read.

        Raises:
            ProfilestoreError: no online store or no bundle.
        """
        bundle, people = self._deployment.bundle(), self._deployment.people()
        made_from = (bundle.version, people.at)
        with self._lock:
            if made_from != self._made_from:
                self._ranking = self._read(bundle.item_ids)
                self._made_from = made_from
            return self._ranking

    def _read(self, item_ids: list[str]) -> Ranking:
        rows = self._deployment.store().online(SERVICE, "item", item_ids, now=datetime.now(UTC))
        counted = []
        for item_id, views in zip(item_ids, rows, strict=True):
            record = views.get(VIEW)
            if record is not None and record.state == "fresh":
                recent, ever = (record.values.get(name) or 0 for name in (_RECENT, _EVER))
                counted.append((-recent, -ever, item_id, record.as_of))
        counted.sort(key=lambda row: row[:3])
        return Ranking(
            items=[(item_id, -recent) for recent, _, item_id, _ in counted],
            as_of=max((as_of for *_, as_of in counted if as_of is not None), default=None),
        )
