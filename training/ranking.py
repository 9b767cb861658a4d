"""Ranks of the true item among all items, at each row's own instant.

A scorer answers for one row with what was known when the row was asked for. Items that the person
had already turned to by then are no candidates, for any scorer: in these logs nobody turns to an
item twice. Equal scores are ordered at random, so that a scorer gains nothing by saying one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.dataset import Dataset

CUT = 10


class Scorer(Protocol):
    """Scores every item for one row.

    `scores` is called with rows in the order of time, so a scorer may walk along.
    """

    name: str

    def scores(self, row: int) -> npt.NDArray[np.floating]:
        """float [items], higher is better; not changed by the caller."""


@dataclass(frozen=True)
class Ranking:
    """What a scorer did on some rows.

    Attributes:
        ranks: int64 [rows], 0 is the top.
        recommended: share of the catalogue that stands in somebody's first ten.
    """

    ranks: npt.NDArray[np.int64]
    recommended: float

    def metrics(self) -> dict[str, float]:
        """Means over rows: Recall@10 (one true item, so the same as HitRate@10), NDCG@10, MRR; the
        standard error of NDCG@10; coverage@10."""
        hit = self.ranks < CUT
        gain = ndcg(self.ranks)
        return {
            "recall@10": float(hit.mean()),
            "ndcg@10": float(gain.mean()),
            "ndcg@10_standard_error": float(gain.std(ddof=1) / np.sqrt(len(gain))),
            "mrr": float((1.0 / (self.ranks + 1)).mean()),
            "coverage@10": self.recommended,
        }


def ndcg(ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64 [rows]: 1 / log2(rank + 2) within the first ten, else 0."""
    return np.where(ranks < CUT, 1.0 / np.log2(ranks + 2.0), 0.0)


def rank_all(
    dataset: Dataset, rows: npt.NDArray[np.int64], scorer: Scorer, *, seed: int = 0
) -> Ranking:
    """Rank the true item of each row among all items that its person has not turned to yet.

    Args:
        rows: int64 [n], ascending rows of the dataset, which is in the order of time.
    """
    random = np.random.default_rng(seed)
    seen: dict[int, list[int]] = {}
    told = 0
    ranks = np.empty(len(rows), np.int64)
    recommended = np.zeros(len(dataset.item_ids), bool)
    for place, row in enumerate(
        tqdm(rows, desc=f"rank {scorer.name}", unit="row", leave=False, disable=None)
    ):
        # Row `told` happened one microsecond after it was asked for: it is known to whoever asks
        # later than it did.
        while dataset.asked_at_us[told] < dataset.asked_at_us[row]:
            seen.setdefault(int(dataset.user[told]), []).append(int(dataset.item[told]))
            told += 1
        scores = np.array(scorer.scores(int(row)), dtype=np.float64)
        scores[seen.get(int(dataset.user[row]), [])] = -np.inf
        own = scores[dataset.item[row]]
        better = int(np.count_nonzero(scores > own))
        equal = int(np.count_nonzero(scores == own)) - 1
        ranks[place] = better + random.integers(0, equal + 1)
        recommended[np.argpartition(-scores, CUT)[:CUT]] = True
    return Ranking(ranks, float(recommended.mean()))
