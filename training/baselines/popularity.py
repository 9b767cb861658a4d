"""What many people turned to lately."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.dataset import Dataset

_HOUR_US = 3_600_000_000
DAY = 24


class Popularity:
    """Events on each item in the last `hours` before the row, counted up to the row's own instant.

    Args:
        hours: length of the window, an hour or whole days; None counts from the beginning of the
            log.
    """

    def __init__(self, dataset: Dataset, hours: int | None) -> None:
        self.name = f"popularity, {_named(hours)}"
        self._dataset, self._hours = dataset, hours
        self._counts = np.zeros(len(dataset.item_ids), np.float32)
        self._entered = self._left = 0

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        asked_at = self._dataset.asked_at_us[rows]
        changes = np.zeros((len(rows), len(self._counts)), np.float32)
        # "Before" is by asked_at on both sides: events of one instant do not count each other.
        self._entered = self._count(changes, self._entered, asked_at, 1.0)
        if self._hours is not None:
            starts = asked_at - self._hours * _HOUR_US
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


def _named(hours: int | None) -> str:
    if hours is None:
        return "all time"
    if hours <= DAY:
        return "last day" if hours == DAY else "last hour"
    return f"last {hours // DAY} days"
