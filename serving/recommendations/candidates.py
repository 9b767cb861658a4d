"""A candidate: an item that may be recommended, and what is known of how it suits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from serving.documents import FoundBy


@dataclass(frozen=True)
class Candidate:
    """An item that may be recommended.

    Attributes:
        found_by: every way that found it.
        score: inner product of the towers' vectors, or, found as popular, its events of 90 days;
            None for an item that came after the model was trained.
    """

    item_id: str
    found_by: tuple[FoundBy, ...]
    score: float | None


def merged(found: Iterable[Candidate]) -> list[Candidate]:
    """Each item once, with every way that found it, in the order in which items were found first.

    Of several scores the first that there is counts: they are all of the one model.
    """
    by_item: dict[str, Candidate] = {}
    for one in found:
        known = by_item.get(one.item_id)
        if known is not None:
            ways = tuple(dict.fromkeys((*known.found_by, *one.found_by)))
            score = one.score if known.score is None else known.score
            one = replace(known, found_by=ways, score=score)
        by_item[one.item_id] = one
    return list(by_item.values())
