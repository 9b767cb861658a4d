"""Ranks of the true item among all items, at each row's own instant.

A scorer answers for rows with what was known when each was asked for. Items that the person had
already turned to by then are no candidates, for any scorer, where the protocol says so. Equal
scores are ordered at random, so that a scorer gains nothing by saying one number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.dataset import Dataset

CUT = 10
# Scores that are in memory at once: rows of a block times items.
_MOST_SCORES = 8_000_000
_MOST_ROWS = 512


class Scorer(Protocol):
    """Scores every item for a block of rows.

    `scores` is called with rows in the order of time, so a scorer may walk along.
    """

    name: str

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
        """float [rows, items], higher is better; the caller's own, to write into."""


@dataclass(frozen=True)
class Ranking:
    """What a scorer did on some rows.

    Attributes:
        ranks: int64 [rows], 0 is the top.
        recommended: share of the catalogue that stands in somebody's first ten.
    """

    ranks: npt.NDArray[np.int64]
    recommended: float

    def metrics(self) -> dict[str, float]:
        """Means over rows: Recall@10 (one true item, so the same as HitRate@10), NDCG@10, MRR; the
        standard error of NDCG@10; coverage@10."""
        hit = self.ranks < CUT
        gain = ndcg(self.ranks)
        return {
            "recall@10": float(hit.mean()),
            "ndcg@10": float(gain.mean()),
            "ndcg@10_standard_error": float(gain.std(ddof=1) / np.sqrt(len(gain))),
            "mrr": float((1.0 / (self.ranks + 1)).mean()),
            "coverage@10": self.recommended,
        }


def ndcg(ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64 [rows]: 1 / log2(rank + 2) within the first ten, else 0."""
    return np.where(ranks < CUT, 1.0 / np.log2(ranks + 2.0), 0.0)


class Seen:
    """What each row's person had turned to before the row's instant."""

    def __init__(self, dataset: Dataset) -> None:
        user, at = dataset.user, dataset.asked_at_us
        self._own = dataset.item
        # People one after the other, each in the order of time.
        order = np.argsort(user, kind="stable")
        self._item = dataset.item[order]
        places = np.arange(len(order))

        def first_of(*keys: npt.NDArray) -> npt.NDArray[np.int64]:
            """Place of the first row that has the same keys, for each place."""
            new = np.ones(len(order), bool)
            new[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
            return np.maximum.accumulate(np.where(new, places, 0))

        # Row n happened one microsecond after it was asked for: rows of one instant do not know
        # each other.
        self._start = np.empty(len(order), np.int64)
        self._end = np.empty(len(order), np.int64)
        self._start[order], self._end[order] = first_of(user), first_of(user, at)

    def pairs(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Places in `rows`, and items, int64 [pairs] each."""
        start, count = self._start[rows], self._end[rows] - self._start[rows]
        place = np.repeat(np.arange(len(rows)), count)
        step = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
        return place, self._item[start[place] + step]

    def repeated(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """bool [rows], whether the person had turned to the row's own item before."""
        found = np.zeros(len(rows), bool)
        for first in range(0, len(rows), _MOST_ROWS):
            some = rows[first : first + _MOST_ROWS]
            place, item = self.pairs(some)
            found[first + place[item == self._own[some][place]]] = True
        return found


def rank_all(
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    scorer: Scorer,
    *,
    repeats: bool = False,
    seed: int = 0,
) -> Ranking:
    """Rank the true item of each row among all items that its person has not turned to yet.

    Args:
        rows: int64 [n], ascending rows of the dataset, which is in the order of time.
        repeats: rank it among all items instead: people turn to one item again.
    """
    random = np.random.default_rng(seed)
    seen = Seen(dataset)
    items = len(dataset.item_ids)
    ranks = np.empty(len(rows), np.int64)
    recommended = np.zeros(items, bool)
    with tqdm(
        total=len(rows), desc=f"rank {scorer.name}", unit="row", leave=False, disable=None
    ) as bar:
        for block in blocks(len(rows), items):
            chosen = rows[block]
            scores = scorer.scores(chosen)
            if not repeats:
                scores[seen.pairs(chosen)] = -np.inf
            own = scores[np.arange(len(chosen)), dataset.item[chosen]][:, None]
            better = np.count_nonzero(scores > own, axis=1)
            equal = np.count_nonzero(scores == own, axis=1) - 1
            ranks[block] = better + random.integers(0, equal + 1)
            recommended[np.argpartition(-scores, CUT, axis=1)[:, :CUT]] = True
            bar.update(len(chosen))
    return Ranking(ranks, float(recommended.mean()))


def blocks(rows: int, items: int) -> Iterator[slice]:
    """Consecutive slices of `rows` rows, whose scores fit into memory."""
    step = min(_MOST_ROWS, max(1, _MOST_SCORES // items))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))
