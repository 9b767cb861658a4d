"""The dictionary of tags: every category, keyword or brand that somebody turns to, and how many do.

Counted when the online store is filled, from the same rows. A tag with few holders is kept without
their number, so that nobody can be told by being one of them.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from profilestore.encoding import Feature
from profilestore.errors import MissingStageError
from profilestore.settings import Settings

# Of fewer than so many holders the number is not told.
LEAST_HOLDERS = 5
TAGS = "tags.json"
# What a view has beside its names, if they are tags.
EVIDENCE = frozenset({"shares", "event_counts"})


@dataclass(frozen=True)
class Tag:
    """A name that people have in a column.

    Attributes:
        column: as `<view>__<feature>`.
        holders: people who have it now; None for fewer than `LEAST_HOLDERS`.
    """

    name: str
    column: str
    holders: int | None


@dataclass(frozen=True)
class Tags:
    """The tags of one materialisation, by column, those with most holders first, then by name."""

    at: datetime
    tags: Sequence[Tag]

    def write(self, settings: Settings) -> None:
        columns: dict[str, list[tuple[str, int | None]]] = {}
        for tag in self.tags:
            columns.setdefault(tag.column, []).append((tag.name, tag.holders))
        draft = settings.online / f".{TAGS}.{os.getpid()}"
        draft.write_text(json.dumps({"at": self.at.isoformat(), "columns": columns}))
        draft.replace(settings.online / TAGS)

    @classmethod
    def read(cls, settings: Settings) -> Tags:
        """What the last `materialize` counted.

        Raises:
            MissingStageError: nothing was counted yet.
        """
        try:
            noted = json.loads((settings.online / TAGS).read_text())
        except FileNotFoundError:
            raise MissingStageError(
                f"the tags are not counted in {settings.online}. Run `make materialize` first."
            ) from None
        return cls(
            at=datetime.fromisoformat(noted["at"]),
            tags=[
                Tag(name, column, holders)
                for column, counted in noted["columns"].items()
                for name, holders in counted
            ],
        )


def tag_columns(features: Sequence[Feature]) -> list[str]:
    """Columns whose values are tags of a person: lists of names in a view that has the evidence of
    each beside it."""
    views: dict[str, set[str]] = {}
    for feature in features:
        views.setdefault(feature.view, set()).add(feature.name)
    return [
        feature.column
        for feature in features
        if feature.entity == "user"
        and feature.kind == "list_of_text"
        and views[feature.view] >= EVIDENCE
    ]


def count_holders(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> list[Tag]:
    """Tags of people, one row each.

    Args:
        batches: with a list of names in each of the columns.
    """
    counts: Mapping[str, Counter[str]] = {column: Counter() for column in columns}
    for batch in batches:
        for column in columns:
            for names in batch.column(column).to_pylist():
                counts[column].update({name for name in names or () if name})
    return [
        Tag(name, column, holders if holders >= LEAST_HOLDERS else None)
        for column in columns
        # The order says no more than the number does.
        for name, holders in sorted(
            counts[column].items(),
            key=lambda one: (-one[1] if one[1] >= LEAST_HOLDERS else 0, one[0]),
        )
    ]
