"""What the model has to beat, each a page of code: popularity and item-kNN."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from profilestore.encoding import FIRST_ID
from training.dataset import ITEM_VOCABULARY, TRAIN, Dataset
from training.pretrain import co_occurrence

_DAY_US = 86_400_000_000


class Popularity:
    """Events on each item in the last `days` before the row, counted up to the row's own instant.

    Args:
        days: length of the window; None counts from the beginning of the log.
    """

    def __init__(self, dataset: Dataset, days: int | None) -> None:
        self.name = "popularity, all time" if days is None else f"popularity, last {days} days"
        self._dataset, self._days = dataset, days
        self._counts = np.zeros(len(dataset.item_ids), np.float32)
        self._entered = self._left = 0

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        asked_at = self._dataset.asked_at_us[rows]
        changes = np.zeros((len(rows), len(self._counts)), np.float32)
        # "Before" is by asked_at on both sides: events of one instant do not count each other.
        self._entered = self._count(changes, self._entered, asked_at, 1.0)
        if self._days is not None:
            starts = asked_at - self._days * _DAY_US
            self._left = self._count(changes, self._left, starts, -1.0)
        changes[0] += self._counts
        counts = np.cumsum(changes, axis=0, out=changes)
        self._counts = counts[-1].copy()
        return counts

    def _count(
        self,
        changes: npt.NDArray[np.float32],
        first: int,
        until: npt.NDArray[np.int64],
        by: float,
    ) -> int:
        """Add `by` for each event from `first` on to the first row whose `until` is after it; the
        first event that is after all."""
        at = self._dataset.asked_at_us
        end = int(np.searchsorted(at, until[-1], side="left"))
        row = np.searchsorted(until, at[first:end], side="right")
        np.add.at(changes, (row, self._dataset.item[first:end]), np.float32(by))
        return end


class ItemKNN:
    """Item-based nearest neighbours (Sarwar et al., WWW 2001) over the training window.

    Similarity is the cosine between the sets of people of two items, its denominator raised by
    `shrink` so that few common people count for less; a person's score of an item is the sum of its
    similarities to the last `newest` items of the history at the row's own instant. Items of equal
    score, and those of a person without history, are ordered by popularity at that instant.
    """

    def __init__(self, dataset: Dataset, *, newest: int, shrink: float) -> None:
        self.name = f"item-kNN, last {newest} items, shrink {shrink:g}"
        rows = dataset.rows(TRAIN)
        self._similarity = co_occurrence(
            dataset.user[rows], dataset.item[rows], len(dataset.item_ids), shrink
        )
        self._history = dataset.query[dataset.history_column]
        self._item_of_id = item_of_id(dataset)
        self._newest = newest
        self._popularity = Popularity(dataset, None)

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        recent = self._item_of_id[self._history[rows, : self._newest]]
        place, slot = np.nonzero(recent >= 0)
        turned_to = csr_matrix(
            (np.ones(len(place), np.float32), (place, recent[place, slot])),
            shape=(len(rows), self._similarity.shape[0]),
        )
        similarity = (turned_to @ self._similarity).toarray().astype(np.float64)
        return similarity + 1e-9 * self._popularity.scores(rows)


def item_of_id(dataset: Dataset) -> npt.NDArray[np.int64]:
    """int64 [ids], the place in the catalogue of each id of a history.

    -1 for the padding, and for items that training never saw.
    """
    place = {item: index for index, item in enumerate(dataset.item_ids)}
    known = dataset.vocabularies[ITEM_VOCABULARY].values
    return np.array([-1] * FIRST_ID + [place[item] for item in known], np.int64)
