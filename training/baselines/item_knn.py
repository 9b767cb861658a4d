"""What the same people turned to as what somebody turned to lately."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.baselines.popularity import Popularity
from training.dataset import TRAIN, Dataset
from training.history import History
from training.pretrain import co_occurrence


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
        self._history, self._newest = History(dataset), newest
        self._popularity = Popularity(dataset, None)

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        turned_to = self._history.newest(rows, self._newest)
        similarity = (turned_to @ self._similarity).toarray().astype(np.float64)
        return similarity + 1e-9 * self._popularity.scores(rows)
