"""The items that people had turned to, as each row knew them: what the towers are given too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from profilestore.encoding import FIRST_ID, PAD
from training.dataset import ITEM_VOCABULARY, Dataset


class History:
    """Each row's history, its items by their places in the catalogue."""

    def __init__(self, dataset: Dataset) -> None:
        self._ids = dataset.query[dataset.history_column]
        place = {item: index for index, item in enumerate(dataset.item_ids)}
        known = dataset.vocabularies[ITEM_VOCABULARY].values
        # Neither the padding nor an item that training never saw has a place.
        self._item_of_id = np.array([-1] * FIRST_ID + [place[item] for item in known], np.int64)
        self._items = len(dataset.item_ids)

    def newest(self, rows: npt.NDArray[np.int64], events: int | None = None) -> csr_matrix:
        """float32 [rows, items], how often each item is among the last `events`; None is all.

        Items that training never saw are left out.
        """
        recent = self._item_of_id[self._ids[rows, :events]]
        place, slot = np.nonzero(recent >= 0)
        return csr_matrix(
            (np.ones(len(place), np.float32), (place, recent[place, slot])),
            shape=(len(rows), self._items),
        )

    def length(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64 [rows], events, those with items that training never saw among them."""
        return np.count_nonzero(self._ids[rows] != PAD, axis=1)
