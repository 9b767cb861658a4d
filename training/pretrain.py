"""Item embeddings to start from: the spectrum of who turned to what, in the training window.

Items that the same people turned to start close to each other. On logs of this size that is most of
what an item embedding ever learns, and gradient descent takes many epochs to find it again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import eigsh


def co_occurrence(
    user: npt.NDArray[np.int64], item: npt.NDArray[np.int64], items: int, shrink: float
) -> csr_matrix:
    """Shrunk cosine between the sets of people of two items, zero between an item and itself.

    `|people of both| / (sqrt(|people of one| |people of the other|) + shrink)`: the item-based
    similarity of Sarwar et al. (WWW 2001) with the shrinkage of Bell and Koren (ICDM 2007).

    Args:
        user, item: int64 [events].

    Returns:
        float32 [items, items], sparse and symmetric.
    """
    touched = people_and_items(user, item, items)
    common = (touched.T @ touched).tocsr()
    people = common.diagonal()
    common.setdiag(0)
    common.eliminate_zeros()
    pairs = common.tocoo()
    pairs.data /= np.sqrt(people[pairs.row] * people[pairs.col]) + shrink
    return pairs.tocsr()


def people_and_items(
    user: npt.NDArray[np.int64], item: npt.NDArray[np.int64], items: int
) -> csr_matrix:
    """float32 [people, items]: 1 where a person turned to an item, however often.

    Args:
        user, item: int64 [events].
    """
    touched = csr_matrix(
        (np.ones(len(item), np.float32), (user, item)), shape=(int(user.max()) + 1, items)
    )
    touched.data[:] = 1.0
    return touched


def spectral_embedding(
    similarity: csr_matrix, dimension: int, scale: float, seed: int
) -> npt.NDArray[np.float32]:
    """Vectors whose dot products are nearest to `scale * similarity` (Eckart and Young 1936).

    Returns:
        float32 [items, dimension]; where fewer items than dimensions exist, the rest is zero.
    """
    items = similarity.shape[0]
    rank = min(dimension, items - 2)
    vectors = np.zeros((items, dimension), np.float32)
    start = np.random.default_rng(seed).standard_normal(items).astype(np.float32)
    values, axes = eigsh(similarity, k=rank, which="LA", v0=start)
    vectors[:, :rank] = axes * np.sqrt(np.maximum(values, 0.0) * scale)
    return vectors
