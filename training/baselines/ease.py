"""EASE: a linear model of which items go with which, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_matrix

from profilestore.errors import ProfilestoreError
from training.baselines.popularity import Popularity
from training.dataset import TRAIN, Dataset
from training.history import History
from training.pretrain import people_and_items

# Items whose weights, and the inverse they come from, fit into memory: 0.6 GB a matrix.
MOST_ITEMS = 12_000


@dataclass(frozen=True)
class Weights:
    """What each item says for each other one.

    Attributes:
        penalty: of large weights, for whom the weights were found.
        items: int64 [trained], the places of the items that the training window saw.
        matrix: float32 [trained, trained]; the diagonal is zero.
    """

    penalty: float
    items: npt.NDArray[np.int64]
    matrix: npt.NDArray[np.float32]


def trained_items(dataset: Dataset) -> npt.NDArray[np.int64]:
    """int64 [trained], ascending: the places of the items that the training window saw."""
    return np.unique(dataset.item[dataset.rows(TRAIN)])


def ease_weights(dataset: Dataset, penalty: float) -> Weights:
    """The weights of the training window: Steck, "Embarrassingly Shallow Autoencoders for Sparse
    Data" (WWW 2019).

    With G = XᵀX + penalty I and P its inverse, the weight from item i to item j is -P_ij / P_jj.
    """
    rows, items = dataset.rows(TRAIN), trained_items(dataset)
    turned_to = people_and_items(
        dataset.user[rows], np.searchsorted(items, dataset.item[rows]), len(items)
    )
    gram = (turned_to.T @ turned_to).toarray(order="F")
    gram[np.diag_indices_from(gram)] += penalty
    matrix = _inverse(gram)
    matrix /= -np.diag(matrix).copy()
    np.fill_diagonal(matrix, 0.0)
    return Weights(penalty, items, matrix)


def _inverse(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of a symmetric positive definite matrix in Fortran's order, which is overwritten: by way of
    Cholesky, in place, where `np.linalg.inv` would hold copies of it."""
    factor, failed = spotrf(matrix, overwrite_a=True)
    if not failed:
        upper, failed = spotri(factor, overwrite_c=True)
    if failed:
        raise ProfilestoreError("EASE: XᵀX and the penalty have no inverse; raise the penalty.")
    diagonal = np.diag(upper).copy()
    upper += upper.T
    upper[np.diag_indices_from(upper)] = diagonal
    return upper.T  # the same matrix, in the order that products are quick in


class EASE:
    """The weights of the items a person turned to, added up.

    Args:
        newest: of the history at the row's own instant, so many events count.

    Items of equal score, and those of a person without history, are ordered by popularity at that
    instant.
    """

    def __init__(self, dataset: Dataset, weights: Weights, *, newest: int) -> None:
        self.name = f"EASE, last {newest} items, penalty {weights.penalty:g}"
        self._weights = weights
        self._history, self._newest = History(dataset), newest
        self._popularity = Popularity(dataset, None)

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        turned_to: csr_matrix = self._history.newest(rows, self._newest)
        turned_to.data[:] = 1.0
        scores = 1e-9 * self._popularity.scores(rows).astype(np.float64)
        scores[:, self._weights.items] += turned_to[:, self._weights.items] @ self._weights.matrix
        return scores
