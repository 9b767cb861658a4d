"""Some features of a view, with what a read needs to know of its declaration, found out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from feast.feature_view import FeatureView

from profilestore.instants import MICROSECOND
from profilestore.online_store.record import kind_of


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

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.features]


def kinds_of(view: FeatureView) -> dict[str, str]:
    """The name of each feature's Feast type."""
    return {field.name: kind_of(field.dtype) for field in view.features}


def lifetime_of(view: FeatureView) -> int | None:
    """The view's ttl in microseconds; None is for ever."""
    ttl = getattr(view, "ttl", None)
    return ttl // MICROSECOND if ttl else None
