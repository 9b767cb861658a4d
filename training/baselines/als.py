"""Matrix factorisation of implicit feedback by alternating least squares, from `implicit`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from training.baselines.popularity import Popularity
from training.dataset import TRAIN, Dataset
from training.history import History
from training.pretrain import people_and_items

FACTORS = 64


def als_model(dataset: Dataset, *, confidence: float, penalty: float) -> AlternatingLeastSquares:
    """Factors of the training window: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit
    Feedback Datasets" (ICDM 2008).

    Args:
        confidence: weight of a pair of person and item with an event; one without weighs 1.
        penalty: of large factors.
    """
    rows = dataset.rows(TRAIN)
    turned_to = people_and_items(dataset.user[rows], dataset.item[rows], len(dataset.item_ids))
    # One thread, so that a seed gives the same factors each time; the library asks for BLAS on one.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=FACTORS,
            regularization=penalty,
            alpha=confidence,
            num_threads=1,
            random_state=1,
        )
        model.fit(turned_to, show_progress=False)
    return model


class ALS:
    """Each row's person is folded in anew: the factors that explain the history at its instant.

    Args:
        newest: of the history at the row's own instant, so many events count.

    Items of equal score, and those of a person without history, are ordered by popularity at that
    instant.
    """

    def __init__(self, dataset: Dataset, model: AlternatingLeastSquares, *, newest: int) -> None:
        self.name = (
            f"ALS, last {newest} items, confidence {model.alpha:g}, "
            f"penalty {model.regularization:g}"
        )
        self._model = model
        self._history, self._newest = History(dataset), newest
        self._popularity = Popularity(dataset, None)

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        turned_to: csr_matrix = self._history.newest(rows, self._newest)
        turned_to.data[:] = 1.0
        with threadpool_limits(1, "blas"):
            person = self._model.recalculate_user(np.arange(len(rows)), turned_to)
        popularity = self._popularity.scores(rows).astype(np.float64)
        return person @ self._model.item_factors.T + 1e-9 * popularity
