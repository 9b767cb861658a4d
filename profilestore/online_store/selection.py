"""Some features of a view, with what a read needs to know of its declaration, found out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from feast.feature_view import FeatureView

from profilestore.instants import MICROSECOND
from profilestore.online_store.database import Snapshot
from profilestore.online_store.layout import read_layout
from profilestore.online_store.reading import Views
from profilestore.online_store.record import FIXED, kind_of


@dataclass(frozen=True)
class Selection:
    """What is read of a view.

    Attributes:
        features: the name of each and of its Feast type; of one that the view lacks an empty one.
        lifetime: the view's ttl in microseconds; None is for ever.
    """

    view: FeatureView
    features: tuple[tuple[str, str], ...]
    lifetime: int | None

    @classmethod
    def of(cls, view: FeatureView, wanted: Sequence[str]) -> Selection:
        """The features of these names."""
        kinds = kinds_of(view)
        features = tuple((name, kinds.get(name, "")) for name in wanted)
        return cls(view, features, lifetime_of(view))

    @cached_property
    def is_numeric(self) -> bool:
        """Whether every value is a number or a truth."""
        return all(kind in FIXED for _, kind in self.features)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.features]


class Selections:
    """What is read of several views of one entity, again and again.

    How their records lie is looked up once a commit. For threads.
    """

    def __init__(self, each: Sequence[Selection]) -> None:
        self.each = each
        self.lifetimes = [one.lifetime for one in each]
        self._known: tuple[object, Views] | None = None

    def as_of(self, snapshot: Snapshot, project: str) -> Views:
        """The views as a snapshot has them."""
        moment = (snapshot.moment, project)
        known = self._known
        if known is None or known[0] != moment:
            layouts = [read_layout(snapshot, project, one.view.name) for one in self.each]
            known = self._known = moment, Views(layouts, [one.features for one in self.each])
        return known[1]


def kinds_of(view: FeatureView) -> dict[str, str]:
    """The name of each feature's Feast type."""
    return {field.name: kind_of(field.dtype) for field in view.features}


def lifetime_of(view: FeatureView) -> int | None:
    """The view's ttl in microseconds; None is for ever."""
    ttl = getattr(view, "ttl", None)
    return ttl // MICROSECOND if ttl else None
