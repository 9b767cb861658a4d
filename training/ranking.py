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

from profilestore.errors import ProfilestoreError
from training.dataset import Dataset
from training.metrics import Figures, accuracy

# Length of the lists that are recommended.
CUT = 10
# Rows of the validation window that are ranked, at most.
VALIDATION_ROWS = 10_000
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
        lists: int32 [rows, CUT], the items that were ranked first, in no order; in a catalogue with
            fewer items than CUT, all of them.
        user: int64 [rows], whose each row is.
    """

    ranks: npt.NDArray[np.int64]
    lists: npt.NDArray[np.int32]
    user: npt.NDArray[np.int64]

    def metrics(self) -> Figures:
        """Accuracy, as `training.metrics.accuracy` has it."""
        return accuracy(self.ranks, self.user)


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

    def count(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64 [rows], the events that the person had before."""
        return self._end[rows] - self._start[rows]


def rank_all(
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    scorer: Scorer,
    seen: Seen | None,
    *,
    seed: int = 0,
) -> Ranking:
    """Rank the true item of each row among all items that its person has not turned to yet.

    Args:
        rows: int64 [n], ascending rows of the dataset, which is in the order of time.
        seen: what they have turned to; None ranks among all items, those included.

    Raises:
        ProfilestoreError: a score is not a number, which would compare as a good rank.
    """
    random, shuffle = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    items = len(dataset.item_ids)
    cut = min(CUT, items)
    ranks = np.empty(len(rows), np.int64)
    lists = np.empty((len(rows), cut), np.int32)
    with tqdm(
        total=len(rows), desc=f"rank {scorer.name}", unit="row", leave=False, disable=None
    ) as bar:
        for block in blocks(len(rows), items):
            chosen = rows[block]
            scores = scorer.scores(chosen)
            if np.isnan(scores).any():
                raise ProfilestoreError(
                    f"{scorer.name} scores some item of rows {chosen[0]} to {chosen[-1]} with NaN. "
                    "If it was trained just now, training has diverged: lower learning_rate."
                )
            if seen:
                scores[seen.pairs(chosen)] = -np.inf
            own = scores[np.arange(len(chosen)), dataset.item[chosen]][:, None]
            better = np.count_nonzero(scores > own, axis=1)
            equal = np.count_nonzero(scores == own, axis=1) - 1
            ranks[block] = better + random.integers(0, equal + 1)
            # In a random order of the items, which of equal ones are taken is random too.
            order = shuffle.permutation(items)
            top = np.argpartition(-scores[:, order], cut - 1, axis=1)[:, :cut]
            lists[block] = order[top]
            bar.update(len(chosen))
    return Ranking(ranks, lists, dataset.user[rows])


def blocks(rows: int, items: int) -> Iterator[slice]:
    """Consecutive slices of `rows` rows, whose scores fit into memory."""
    step = min(_MOST_ROWS, max(1, _MOST_SCORES // items))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))
