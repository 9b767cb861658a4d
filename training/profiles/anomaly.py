"""How odd a person is: the error of their reconstruction, and its place in the training window.

A representation that has learned which values go together gives back a row that has them, and not
one that has others. That the error means something is checked by planting rows whose every value is
somebody's, but not one person's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from training.profiles.standard import Table

# Of the training window's errors that are kept: their quantiles at each thousandth.
_QUANTILES = 1001


class Representation(Protocol):
    """A person's columns to a vector, and back."""

    name: str

    def vectors(self, table: Table) -> npt.NDArray[np.float32]:
        """float32 [rows, dimension]."""

    def reconstruction(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 [rows, columns], standardised."""


def errors(representation: Representation, table: Table) -> npt.NDArray[np.float64]:
    """float64 [rows], mean squared error over what is known of each row; 0 if nothing is.

    1 is what a reconstruction by the mean of each column would have, over the training window.
    """
    wrong = table.values - representation.reconstruction(representation.vectors(table))
    square = np.where(table.known, wrong.astype(np.float64) ** 2, 0.0).sum(axis=1)
    return square / np.maximum(table.known.sum(axis=1), 1)


@dataclass(frozen=True)
class Oddness:
    """The distribution of errors over the training window.

    Attributes:
        quantiles: float64 [quantiles], ascending, evenly spaced from the least to the largest.
    """

    quantiles: npt.NDArray[np.float64]

    @classmethod
    def of(cls, of_training: npt.NDArray[np.float64]) -> Oddness:
        return cls(np.quantile(of_training, np.linspace(0.0, 1.0, _QUANTILES)))

    def percentile(self, of_rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """float64 [rows], per cent of the training window's rows that are less odd: at 99, a row is
        as odd as the top 1 %."""
        shares = np.linspace(0.0, 100.0, len(self.quantiles))
        # Where quantiles are equal, the middle of them: half of such rows are less odd.
        low = np.searchsorted(self.quantiles, of_rows, side="left")
        high = np.searchsorted(self.quantiles, of_rows, side="right")
        tied = high > low + 1
        middle = shares[np.minimum((low + high - 1) // 2, len(shares) - 1)]
        return np.where(tied, middle, np.interp(of_rows, self.quantiles, shares))


def planted(table: Table, seed: int) -> Table:
    """The same rows, half of the columns of each taken from another row: what no single value shows
    to be wrong."""
    random = np.random.default_rng(seed)
    rows, columns = table.values.shape
    other = (np.arange(rows) + random.integers(1, max(rows, 2), rows)) % rows
    order = random.random((rows, columns)).argsort(axis=1)
    taken = order < columns // 2
    return Table(
        np.where(taken, table.values[other], table.values),
        np.where(taken, table.known[other], table.known),
    )


def auc(odd: npt.NDArray[np.float64], usual: npt.NDArray[np.float64]) -> float:
    """Probability that a score of `odd` is above one of `usual`, ties half: the area under the ROC
    curve (Mann and Whitney 1947)."""
    ranks = rankdata(np.concatenate([odd, usual]))
    above = ranks[: len(odd)].sum() - len(odd) * (len(odd) + 1) / 2
    return float(above / (len(odd) * len(usual)))
