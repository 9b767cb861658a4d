"""What the item of a position is compared with: candidates for a batch, drawn ahead of the step.

- `batch`: the items of the batch's positions, and of some other positions of its stretch of time,
  each as it was at that position;
- `sampled`: the items of the batch's positions, and some drawn evenly from all (mixed negative
  sampling, Yang et al., WWW 2020 companion), as they were at the start of the stretch;
- `all`: every item, as it was at the start of the stretch.

An item that nobody ever turned to is never drawn: it is no evidence against itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Candidates:
    """What each position of a batch is compared with.

    Attributes:
        items: int64 [candidates], indices in the catalogue, every position's among them. Of `batch`
            an item is there as often as it was drawn; else once.
        rows: int64 [candidates], at which rows of the dataset the items are as they were; None is
            the start of the span.
        label: int32 [positions], the place among the candidates of each position's own.
        log_share: float32 [candidates], the log of the chance that a draw is the item, or that the
            item is among the candidates where each is there once; 0 where it always is. What is
            drawn often is too often a negative: a softmax over a draw takes this off the scores
            (Bengio and Senecal 2008; Yi et al., RecSys 2019).
        drawn: bool [candidates], drawn evenly from all, and not only there as some position's item.
    """

    items: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64] | None
    label: npt.NDArray[np.int32]
    log_share: npt.NDArray[np.float32]
    drawn: npt.NDArray[np.bool_]


class Negatives:
    """Draws candidates.

    Args:
        kind: see above.
        draws: how many are drawn for a batch, beside the items of its positions.
        item: int64 [rows of the dataset], index in the catalogue of each row's item.
        spans: for each span of time, int64, its rows that are trained on.
    """

    def __init__(
        self,
        kind: str,
        draws: int,
        item: npt.NDArray[np.int64],
        spans: Sequence[npt.NDArray[np.int64]],
    ) -> None:
        self.kind, self._draws = kind, draws
        self._item, self._spans = item, spans
        self._known = np.unique(item[np.concatenate(spans)])

    def draw(
        self, rows: npt.NDArray[np.int64], span: int, random: np.random.Generator
    ) -> Candidates:
        """Candidates for the positions of some rows of a span, int64 [positions]."""
        if self.kind == "all":
            return self._all(rows)
        if self.kind == "sampled":
            return self._sampled(rows, span, random)
        return self._batch(rows, span, random)

    def _all(self, rows: npt.NDArray[np.int64]) -> Candidates:
        known = self._known
        return Candidates(
            known,
            None,
            np.searchsorted(known, self._item[rows]).astype(np.int32),
            np.zeros(len(known), np.float32),
            np.ones(len(known), bool),
        )

    def _sampled(
        self, rows: npt.NDArray[np.int64], span: int, random: np.random.Generator
    ) -> Candidates:
        draws = random.choice(self._known, self._draws)
        chosen, place = np.unique(np.concatenate([self._item[rows], draws]), return_inverse=True)
        drawn = np.zeros(len(chosen), bool)
        drawn[place[len(rows) :]] = True
        # The chance of being missed by every position and by every draw.
        missed = len(rows) * np.log1p(-np.minimum(self._shares(span)[chosen], 1 - 1e-9))
        missed += len(draws) * np.log1p(-1.0 / max(len(self._known), 2))
        return Candidates(
            chosen,
            None,
            place[: len(rows)].astype(np.int32),
            np.log(-np.expm1(np.minimum(missed, -1e-12))).astype(np.float32),
            drawn,
        )

    def _batch(
        self, rows: npt.NDArray[np.int64], span: int, random: np.random.Generator
    ) -> Candidates:
        chosen = np.concatenate([rows, random.choice(self._spans[span], self._draws)])
        items = self._item[chosen]
        return Candidates(
            items,
            chosen,
            np.arange(len(rows), dtype=np.int32),
            np.log(self._shares(span)[items]).astype(np.float32),
            np.zeros(len(chosen), bool),
        )

    def _shares(self, span: int) -> npt.NDArray[np.float64]:
        """float64 [items], the share of a span's positions that have each item."""
        own = self._item[self._spans[span]]
        return np.bincount(own, minlength=int(self._known[-1]) + 1) / len(own)
