"""Some features of a view, with what a read needs to know of its declaration, found out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from feast.feature_view import FeatureView

from profilestore.instants import MICROSECOND
from profilestore.online_store.record import FIXED, FIXED_LISTS, kind_of

FLOATS = frozenset({"FLOAT", "DOUBLE"})
FLOAT_LISTS = frozenset({"FLOAT_LIST", "DOUBLE_LIST"})
# Their values are JSON's as they are.
PLAIN = ({"STRING", "STRING_LIST"} | set(FIXED) | set(FIXED_LISTS)) - FLOATS - FLOAT_LISTS


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
    def is_plain(self) -> bool:
        """Whether every value is a number, a truth or a text, or a list of those but of fractions:
        what JSON has, but for fractions that are none."""
        return all(kind in PLAIN or kind in FLOATS for _, kind in self.features)

    @cached_property
    def floats(self) -> list[int]:
        """Positions of the features that are fractions."""
        return [n for n, (_, kind) in enumerate(self.features) if kind in FLOATS]

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
