"""Accuracy of ranks where each row has one true item, and how sure it is.

With one true item, Recall@k is HitRate@k, the ideal DCG is 1, and the average precision is the
reciprocal rank: MAP@k is MRR@k, and goes by that name here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CUTS = (1, 10, 50, 100)

Figures = dict[str, float | None]


def recall(ranks: npt.NDArray[np.int64], cut: int) -> npt.NDArray[np.float64]:
    """float64 [rows]: 1 within the first `cut`, else 0."""
    return (ranks < cut).astype(np.float64)


def ndcg(ranks: npt.NDArray[np.int64], cut: int) -> npt.NDArray[np.float64]:
    """float64 [rows]: 1 / log2(rank + 2) within the first `cut`, else 0 (Järvelin and Kekäläinen,
    TOIS 2002); ranks begin at 0."""
    return np.where(ranks < cut, 1.0 / np.log2(ranks + 2.0), 0.0)


def reciprocal_rank(
    ranks: npt.NDArray[np.int64], cut: int | None = None
) -> npt.NDArray[np.float64]:
    """float64 [rows]: 1 / (rank + 1) within the first `cut`, else 0; without a cut, everywhere."""
    return np.where(True if cut is None else ranks < cut, 1.0 / (ranks + 1.0), 0.0)


def accuracy(ranks: npt.NDArray[np.int64], user: npt.NDArray[np.int64]) -> Figures:
    """Recall, NDCG and MRR at each of CUTS, MRR without a cut, and the standard error of each.

    Args:
        ranks: int64 [rows], 0 is the top.
        user: int64 [rows], whose each row is.
    """
    figures: Figures = {}
    for name, of in (("recall", recall), ("ndcg", ndcg), ("mrr", reciprocal_rank)):
        for cut in CUTS:
            figures |= mean(f"{name}@{cut}", of(ranks, cut), user)
    return figures | mean("mrr", reciprocal_rank(ranks), user)


def mean(name: str, values: npt.NDArray[np.float64], user: npt.NDArray[np.int64]) -> Figures:
    """The mean over rows under its name, and its standard error beside it."""
    return {
        name: float(values.mean()),
        f"{name}_standard_error": standard_error(values, user),
    }


def standard_error(values: npt.NDArray[np.float64], user: npt.NDArray[np.int64]) -> float | None:
    """Of the mean over rows, where people and not rows are drawn at random.

    What one person does is alike, so rows say less than as many independent ones would. The
    cluster-robust estimate (Cameron and Miller, J. Human Resources 2015), for a mean:
    `sqrt(G / (G - 1) * sum over the G people of (sum of their deviations)^2) / rows`. With one row
    a person it is the usual `std / sqrt(rows)`. None for fewer than two people.
    """
    _, person = np.unique(user, return_inverse=True)
    deviation = np.bincount(person, values - values.mean())
    people = len(deviation)
    if people < 2:
        return None
    return float(np.sqrt(people / (people - 1) * np.sum(deviation**2)) / len(values))
