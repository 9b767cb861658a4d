"""Order: a list that is good as a whole. Diversity, freshness, caps, a place for content.

Items are chosen one after the other: the one that is worth most less how like it is to the nearest
that was chosen before (maximal marginal relevance: Carbonell and Goldstein 1998).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from serving.recommendations.policy import Order

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
# What caps are told for.
_LIST = 10


@dataclass(frozen=True)
class Listed:
    """What of the candidates a list is ordered by.

    Attributes:
        worth: float64 [candidates].
        vectors: float32 [candidates, dimension]; all zeros is like nothing.
        categories: of each.
        since: when each came; None where nobody knows.
        by_content: bool [candidates], whether content found it.
    """

    worth: Numbers
    vectors: npt.NDArray[np.float32]
    categories: Sequence[Sequence[str]]
    since: Sequence[datetime | None]
    by_content: Mask


def order(listed: Listed, policy: Order, k: int, now: datetime) -> list[int]:
    """Rows of at most k candidates, first to last.

    Where a cap leaves nothing, it is lifted for that place: a list is rather full than pure.
    """
    worth = listed.worth + policy.freshness * freshness(
        listed.since, policy.freshness_half_life_days, now
    )
    directions = _of_length_one(listed.vectors)
    # How like each is to the nearest chosen one.
    nearest = np.zeros(len(worth))
    free = np.ones(len(worth), bool)
    counts: Counter[str] = Counter()
    chosen: list[int] = []
    content = 0
    while len(chosen) < k and free.any():
        pool = free
        if policy.most_of_a_category is not None:
            most = policy.most_of_a_category * (1 + len(chosen) // _LIST)
            pool = _or_all(pool & _within(listed.categories, counts, most), pool)
        if content < int((len(chosen) + 1) * policy.content_share):
            pool = _or_all(pool & listed.by_content, pool)
        value = (1 - policy.diversity) * worth - policy.diversity * nearest
        row = int(np.argmax(np.where(pool, value, -np.inf)))
        chosen.append(row)
        free[row] = False
        counts.update(set(listed.categories[row]))
        content += bool(listed.by_content[row])
        like = directions @ directions[row]
        nearest = like if len(chosen) == 1 else np.maximum(nearest, like)
    return chosen


def freshness(since: Sequence[datetime | None], half_life_days: float, now: datetime) -> Numbers:
    """1 for an item of now, half after each half-life, 0 where nobody knows; float64 [items]."""
    ages = np.array(
        [np.inf if at is None else max((now - at) / timedelta(days=1), 0.0) for at in since]
    )
    return np.asarray(np.exp2(-ages / half_life_days))


def _of_length_one(vectors: npt.NDArray[np.float32]) -> Numbers:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)


def _or_all(some: Mask, every: Mask) -> Mask:
    return some if some.any() else every


def _within(categories: Sequence[Sequence[str]], counts: Counter[str], most: int) -> Mask:
    full = {category for category, count in counts.items() if count >= most}
    return np.array([full.isdisjoint(own) for own in categories], bool)
