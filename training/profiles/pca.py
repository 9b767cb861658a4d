"""Principal components: the plain representation that the autoencoder has to beat.

What is unknown is taken for the column's mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.profiles.standard import Table


@dataclass(frozen=True)
class PrincipalComponents:
    """Directions of most variance (Pearson 1901), by singular value decomposition.

    Attributes:
        mean: float64 [columns], of the table's values; that of what is known is 0 already.
        axes: float64 [columns, dimension], orthonormal; as many as there are columns at most.
    """

    mean: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]
    name: str = "PCA"

    @classmethod
    def of(cls, table: Table, dimension: int) -> PrincipalComponents:
        mean = table.values.mean(axis=0, dtype=np.float64)
        # Of the columns' covariance, not of the rows: there are many rows and few columns.
        centred = table.values - mean
        _, _, axes = np.linalg.svd(centred.T @ centred)
        return cls(mean, axes[:dimension].T)

    def vectors(self, table: Table) -> npt.NDArray[np.float32]:
        return ((table.values - self.mean) @ self.axes).astype(np.float32)

    def reconstruction(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return (vectors @ self.axes.T + self.mean).astype(np.float32)
