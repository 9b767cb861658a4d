"""What lists of recommendations are like, whoever they are right for.

The popularity of an item is the share of the training window's people who turned to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from profilestore.encoding import PAD, Arrays, Encoding
from training.dataset import TRAIN, Dataset
from training.history import History
from training.metrics import Figures, mean
from training.ranking import Ranking

# Rows whose lists are looked at at once.
_ROWS = 50_000


class BeyondAccuracy:
    """Coverage, novelty, diversity and popularity bias of ranked rows.

    Args:
        categories: float32 [items, categories] of length one, or zero for an item without any
            (`category_vectors`); None where nothing says what an item is, and then there is no
            diversity.
    """

    def __init__(self, dataset: Dataset, categories: csr_matrix | None) -> None:
        self._history = History(dataset)
        self._categories = categories
        self._items = len(dataset.item_ids)
        rows = dataset.rows(TRAIN)
        turned_to = np.unique(np.stack([dataset.user[rows], dataset.item[rows]]), axis=1)
        self._people = len(np.unique(turned_to[0]))
        self._count = np.bincount(turned_to[1], minlength=self._items)

    def metrics(self, ranking: Ranking, rows: npt.NDArray[np.int64]) -> Figures:
        """Of the lists of `rows`, which are the ranking's own; means over rows with their errors.

        coverage@10: share of the catalogue that stands in somebody's list.
        novelty@10: self-information of the items in bits, `-log2` of their popularity (Zhou et al.,
            PNAS 2010; Vargas and Castells, RecSys 2011), one more person everywhere so that an item
            of nobody has one.
        diversity@10: distance within a list, the mean over pairs of one minus the cosine of their
            categories (Ziegler et al., WWW 2005). Items without any are unlike all others.
        popularity@10: mean popularity of what is recommended (Yin et al., PVLDB 2012).
        popularity_lift@10: by how much that is above the mean popularity of the histories it is
            recommended from, as a share of the latter (Abdollahpouri et al., RMSE at RecSys 2019);
            of rows with a history. None if no history has an item that training saw.
        """
        lists, user = ranking.lists, ranking.user
        novelty = -np.log2((self._count + 1.0) / (self._people + 1.0))
        popularity = self._count / self._people
        figures: Figures = {"coverage@10": len(np.unique(lists)) / self._items}
        figures |= mean("novelty@10", novelty[lists].mean(axis=1), user)
        if self._categories is not None and lists.shape[1] > 1:
            figures |= mean("diversity@10", self._distance_within(lists), user)
        recommended = popularity[lists].mean(axis=1)
        figures |= mean("popularity@10", recommended, user)
        length = self._history.length(rows)
        held = self._popularity_held(rows, popularity)[length > 0] / length[length > 0]
        figures["popularity_lift@10"] = (
            float(recommended[length > 0].mean() / held.mean() - 1.0) if held.any() else None
        )
        return figures

    def _distance_within(self, lists: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """float64 [rows]. With vectors of length one (or zero), the cosines of all pairs of a list
        add up to |sum of the vectors|^2 less the sum of |vector|^2: no pair is looked at."""
        length = lists.shape[1]
        own = np.asarray(self._categories.power(2).sum(axis=1)).ravel()
        found = np.empty(len(lists))
        for first in range(0, len(lists), _ROWS):
            some = lists[first : first + _ROWS]
            start = np.arange(0, some.size + 1, length)
            members = csr_matrix(
                (np.ones(some.size, np.float32), some.ravel(), start), (len(some), self._items)
            )
            total = members @ self._categories
            cosines = np.asarray(total.power(2).sum(axis=1)).ravel() - own[some].sum(axis=1)
            found[first : first + _ROWS] = 1.0 - cosines / (length * (length - 1))
        return found

    def _popularity_held(
        self, rows: npt.NDArray[np.int64], popularity: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """float64 [rows], popularity of a history's events, added up; training saw nobody turn to
        an item that it did not see."""
        return np.concatenate(
            [
                self._history.newest(rows[first : first + _ROWS]) @ popularity
                for first in range(0, len(rows), _ROWS)
            ]
        )


def category_vectors(
    encoding: Encoding, inputs: Arrays, item: npt.NDArray[np.int64], items: int
) -> csr_matrix | None:
    """float32 [items, categories]: which values each item's lists hold, as a vector of length one.

    Args:
        encoding: of candidates; each of its lists counts. None is returned if it has none.
        inputs: candidate inputs of each change of an item.
        item: int64 [changes], which item's; the first change of an item is taken.
    """
    which, change = np.unique(item, return_index=True)
    places, columns, width = [], [], 0
    for name in encoding.id_lists:
        ids = inputs[name][change]
        place, slot = np.nonzero(ids != PAD)
        value = ids[place, slot].astype(np.int64)
        places.append(which[place])
        columns.append(value + width)
        width += int(value.max(initial=0)) + 1
    if not places:
        return None
    row, column = np.unique(np.stack([np.concatenate(places), np.concatenate(columns)]), axis=1)
    length = np.sqrt(np.bincount(row, minlength=items))
    return csr_matrix(((1.0 / length[row]).astype(np.float32), (row, column)), (items, width))
