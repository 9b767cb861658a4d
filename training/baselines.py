"""What the model has to beat, each a page of code: popularity and item-kNN."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
        self._counts = np.zeros(len(dataset.item_ids))
        self._entered = self._left = 0

    def scores(self, row: int) -> npt.NDArray[np.float64]:
        dataset, asked_at = self._dataset, self._dataset.asked_at_us[row]
        while dataset.asked_at_us[self._entered] < asked_at:
            self._counts[dataset.item[self._entered]] += 1
            self._entered += 1
        if self._days is not None:
            start = asked_at - self._days * _DAY_US
            while dataset.asked_at_us[self._left] < start:
                self._counts[dataset.item[self._left]] -= 1
                self._left += 1
        return self._counts


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
        self._history = history_items(dataset)
        self._newest = newest
        self._popularity = Popularity(dataset, None)

    def scores(self, row: int) -> npt.NDArray[np.float64]:
        recent = self._history[row, : self._newest]
        recent = recent[recent >= 0]
        similarity = np.asarray(self._similarity[recent].sum(axis=0)).ravel()
        return similarity + 1e-9 * self._popularity.scores(row)


def history_items(dataset: Dataset) -> npt.NDArray[np.int64]:
    """int64 [rows, 50], newest first: index in the catalogue of each item of a row's history.

    -1 pads, and stands for items that training never saw.
    """
    place = {item: index for index, item in enumerate(dataset.item_ids)}
    of_id = np.full(len(dataset.vocabularies[ITEM_VOCABULARY]), -1, np.int64)
    for id_, item in enumerate(dataset.vocabularies[ITEM_VOCABULARY].values, start=2):
        of_id[id_] = place[item]
    return of_id[dataset.query[dataset.history_column]]
