"""Which block each feature view fills.

A view's tag `block` says it. A column has a place of its own where the block has a shape, as
interests and history have, and is a field of the block everywhere else, so that a column or a view
which dbt adds is served with no edit here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profilestore.encoding import Feature
from profilestore.errors import InputError
from serving.documents import ON_REQUEST, ProfileDocument

PREFERENCES, SEGMENTS = "preferences", "segments"
IDENTITY, SCORES, RECOMMENDATIONS = "identity", "scores", "recommendations"
OF_MODEL = frozenset({SCORES, RECOMMENDATIONS})
ATTRIBUTES, ACTIVITY, INTERESTS, HISTORY = "attributes", "activity", "interests", "history"
# Blocks that a view fills; the document has a place for them even where no view does.
OF_VIEWS = (ATTRIBUTES, ACTIVITY, INTERESTS, HISTORY)
_RESERVED = set(ProfileDocument.model_fields) - set(OF_VIEWS)
# What a view must have to fill a block that has a shape of its own, and what that shape may hold.
SHAPES = {
    INTERESTS: (
        "categories",
        {
            *("categories", "shares", "lifts", "confidences"),
            *("event_counts", "first_event_at_us", "last_event_at_us"),
        },
    ),
    HISTORY: ("item_ids", {"item_ids", "event_types", "event_at_us"}),
}


@dataclass(frozen=True)
class Layout:
    """The blocks of a feature service.

    Attributes:
        columns: of each view about people.
        views: block -> the view that fills it; each block has one source and one age.
        tagged: tag `block` -> the first view that has it.
    """

    columns: Mapping[str, Sequence[Feature]]
    views: Mapping[str, str]
    tagged: Mapping[str, str]

    @classmethod
    def of(cls, features: Sequence[Feature], view_tags: Mapping[str, Mapping[str, str]]) -> Layout:
        """The layout of what a feature service declares."""
        columns: dict[str, list[Feature]] = {}
        for feature in features:
            if feature.entity == "user":
                columns.setdefault(feature.view, []).append(feature)
        views: dict[str, str] = {}
        tagged: dict[str, str] = {}
        for view, declared in columns.items():
            tag = view_tags.get(view, {}).get("block", view)
            tagged.setdefault(tag, view)
            views[_name(tag, view, {column.name for column in declared}, set(views))] = view
        return cls(columns, views, tagged)

    @property
    def names(self) -> list[str]:
        """Every block that can be asked for, those of the document's own shape first."""
        own = [
            name
            for name in ProfileDocument.model_fields
            if name in ProfileDocument.blocks() or name in OF_VIEWS
        ]
        return [*own, *(name for name in self.views if name not in own)]

    def chosen(self, fields: str | None) -> set[str]:
        """The blocks of a list of names with commas between; without one, all but those that are
        made on request only. Who it is about is always said.

        Raises:
            InputError: there is no block of a name.
        """
        if fields is None:
            return set(self.names) - ON_REQUEST
        asked = {name.strip() for name in fields.split(",")} - {""}
        unknown = sorted(asked - set(self.names))
        if unknown or not asked:
            found = ", ".join(repr(name[:64]) for name in unknown) or "no name"
            raise InputError(
                f"fields: found {found}, needed names of blocks with commas between, of: "
                f"{', '.join(self.names)}."
            )
        return asked | {IDENTITY}


def _name(tag: str, view: str, columns: set[str], taken: set[str]) -> str:
    """The block that a view fills: the one it is tagged with, unless that has another shape or is
    filled; then one of its own."""
    needed = SHAPES.get(tag, ("", set()))[0]
    if tag not in taken | _RESERVED and (not needed or needed in columns):
        return tag
    name = view
    while name in taken | _RESERVED | set(OF_VIEWS):
        name += "_view"
    return name
