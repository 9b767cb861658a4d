"""The items with the largest inner product with a query, by an index, when all are too many to ask.

A graph of near neighbours (HNSW: Malkov and Yashunin 2018) by usearch. It is built with the inner
product itself, or each vector gets one more number that makes all of one length, and the nearest by
angle are then those of the largest inner product (Bachrach et al. 2014). Which of the two finds
more depends on the vectors, and is tried on some of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

# From so many items on, comparing all takes longer than ten milliseconds.
MOST_EXACT = 100_000
RECALL_WANTED = 0.99
# What recall is measured at.
CUT = 100
_BREADTHS = (128, 256, 512, 1024, 2048, 4096, 8192)
_CONNECTIVITY, _BREADTH_ADDED = 32, 200
# Threads that enter an almost empty graph at once do not see each other's nodes, and can leave
# some that no search reaches: the first ones are added by one thread.
_ADDED_ALONE = 1_000
_TRIED = 10_000


class ItemIndex:
    """Item vectors as a graph.

    Args:
        graph: of usearch.
        breadth: how many candidates a search keeps; more find more, and take longer.
    """

    def __init__(self, graph: Any, breadth: int) -> None:
        self._graph, self._breadth = graph, breadth
        graph.expansion_search = breadth

    @classmethod
    def of(cls, vectors: Vectors, *, by_angle: bool, breadth: int) -> ItemIndex:
        """The index of float32 [items, dimension].

        Args:
            by_angle: whether lengths are made one.
        """
        from usearch.index import Index

        kept = _of_one_length(vectors) if by_angle else vectors
        graph = Index(
            ndim=kept.shape[1],
            metric="cos" if by_angle else "ip",
            dtype="f32",
            connectivity=_CONNECTIVITY,
            expansion_add=_BREADTH_ADDED,
        )
        alone, together = np.split(np.arange(len(kept)), [_ADDED_ALONE])
        graph.add(alone, kept[alone], threads=1)
        if len(together):
            graph.add(together, kept[together])
        return cls(graph, breadth)

    @classmethod
    def load(cls, path: Path, breadth: int) -> ItemIndex:
        """From a file, which is mapped, not read."""
        from usearch.index import Index

        return cls(Index.restore(str(path), view=True), breadth)

    def save(self, path: Path) -> None:
        self._graph.save(str(path))

    def with_breadth(self, breadth: int) -> ItemIndex:
        return ItemIndex(self._graph, breadth)

    def nearest(self, query: Vectors, count: int) -> npt.NDArray[np.int64]:
        """int64 [count] or fewer: rows of the items, ascending, of about the largest products.

        Args:
            query: float32 [dimension].
        """
        # One more number, where the items have one more: it is none of the query's.
        query = np.pad(query, (0, int(self._graph.ndim) - len(query)))
        self._graph.expansion_search = max(self._breadth, count)
        return np.sort(np.asarray(self._graph.search(query, count).keys, np.int64))


@dataclass(frozen=True)
class IndexQuality:
    """How an index does beside comparing all.

    Attributes:
        items: in it.
        by_angle: how it was built.
        breadth: of a search.
        recall: share of the true 100 (or of all, if fewer) that it finds.
        exact_ms, index_ms: of one query on one thread, the median.
        queries: that it was measured with.
    """

    items: int
    by_angle: bool
    breadth: int
    recall: float
    exact_ms: float
    index_ms: float
    queries: int

    @property
    def speedup(self) -> float:
        return self.exact_ms / self.index_ms

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "speedup": self.speedup}


def best_index(vectors: Vectors, queries: Vectors, seed: int = 1) -> tuple[ItemIndex, IndexQuality]:
    """The index that finds `RECALL_WANTED` of what is true with the narrowest search, or as much as
    the widest does.

    Args:
        vectors: float32 [items, dimension].
        queries: float32 [queries, dimension], of those who will ask.
    """
    some = np.sort(
        np.random.default_rng(seed).permutation(len(vectors))[: min(_TRIED, len(vectors))]
    )
    tried = {
        by_angle: recall(
            ItemIndex.of(vectors[some], by_angle=by_angle, breadth=_BREADTHS[0]).nearest,
            vectors[some],
            queries,
        )
        for by_angle in (False, True)
    }
    by_angle = tried[True] > tried[False]
    index = ItemIndex.of(vectors, by_angle=by_angle, breadth=_BREADTHS[0])
    for breadth in _BREADTHS:
        index = index.with_breadth(breadth)
        found = recall(index.nearest, vectors, queries)
        if found >= RECALL_WANTED or breadth >= len(vectors):
            break
    return index, IndexQuality(
        items=len(vectors),
        by_angle=by_angle,
        breadth=breadth,
        recall=found,
        exact_ms=_median_ms(lambda query: exact(vectors, query, CUT), queries),
        index_ms=_median_ms(lambda query: index.nearest(query, CUT), queries),
        queries=len(queries),
    )


def exact(vectors: Vectors, query: Vectors, count: int) -> npt.NDArray[np.int64]:
    """int64 [count], rows of the largest inner products, ascending."""
    count = min(count, len(vectors))
    scores = vectors @ query
    return np.sort(np.argpartition(scores, len(scores) - count)[len(scores) - count :])


def recall(
    nearest: Callable[[Vectors, int], npt.NDArray[np.int64]], vectors: Vectors, queries: Vectors
) -> float:
    """Share of the true `CUT` that a search finds, over all queries."""
    count = min(CUT, len(vectors))
    shares = [
        len(np.intersect1d(nearest(query, count), exact(vectors, query, count))) / count
        for query in queries
    ]
    return float(np.mean(shares))


def _of_one_length(vectors: Vectors) -> Vectors:
    squares = (vectors.astype(np.float64) ** 2).sum(axis=1)
    rest = np.sqrt(np.maximum(squares.max(initial=0.0) - squares, 0.0))
    return np.hstack([vectors, rest[:, None].astype(np.float32)])


def _median_ms(search: Callable[[Vectors], object], queries: Vectors) -> float:
    seconds = []
    for query in queries:
        started = time.perf_counter()
        search(query)
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds))
