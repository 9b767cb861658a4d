"""What many people turned to lately."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.dataset import Dataset

_DAY_US = 86_400_000_000


class Popularity:
    """Events on each item in the last `days` before the row, counted up to the row's own instant.

    Args:
        days: length of the window; None counts from the beginning of the log.
    """

    def __init__(self, dataset: Dataset, days: int | None) -> None:
        last = "last day" if days == 1 else f"last {days} days"
        self.name = f"popularity, {'all time' if days is None else last}"
        self._dataset, self._days = dataset, days
        self._counts = np.zeros(len(dataset.item_ids), np.float32)
        self._entered = self._left = 0

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        asked_at = self._dataset.asked_at_us[rows]
        changes = np.zeros((len(rows), len(self._counts)), np.float32)
        # "Before" is by asked_at on both sides: events of one instant do not count each other.
        self._entered = self._count(changes, self._entered, asked_at, 1.0)
        if self._days is not None:
            starts = asked_at - self._days * _DAY_US
            self._left = self._count(changes, self._left, starts, -1.0)
        changes[0] += self._counts
        counts = np.cumsum(changes, axis=0, out=changes)
        self._counts = counts[-1].copy()
        return counts

    def _count(
        self,
        changes: npt.NDArray[np.float32],
        first: int,
        until: npt.NDArray[np.int64],
        by: float,
    ) -> int:
        """Add `by` for each event from `first` on to the first row whose `until` is after it; the
        first event that is after all."""
        at = self._dataset.asked_at_us
        end = int(np.searchsorted(at, until[-1], side="left"))
        row = np.searchsorted(until, at[first:end], side="right")
        np.add.at(changes, (row, self._dataset.item[first:end]), np.float32(by))
        return end
