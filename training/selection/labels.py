"""What the features of a person or of an item may have something to say of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.evaluate import ItemTimeline
from training.people import Events, Spine

_DAY_US = 86_400_000_000


def returns(
    events: Events, spine: Spine, days: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each row's person turns to something within so many days after it.

    Returns:
        bool [rows] each: the label; and whether the log is long enough to tell.
    """
    until_us = spine.at_us + days * _DAY_US
    # Events of all people in one order: by person, then by time.
    order = np.lexsort((events.at_us, events.user))
    times = np.unique(events.at_us)

    def place(user: npt.NDArray[np.int64], at_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Among the events in that order, after all of the person's up to the instant."""
        rank = np.searchsorted(times, at_us, side="right")
        return np.searchsorted(keys, user * (len(times) + 1) + rank, side="right")

    keys = events.user[order] * (len(times) + 1) + (
        np.searchsorted(times, events.at_us[order], side="right")
    )
    label = place(spine.user, until_us) > place(spine.user, spine.at_us)
    return label, until_us <= events.at_us.max()


def chosen_and_drawn(
    timeline: ItemTimeline,
    item: npt.NDArray[np.int64],
    at_us: npt.NDArray[np.int64],
    items: int,
    seed: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each event the change that its item had last, and that of another drawn evenly.

    Args:
        item, at_us: int64 [events].
        items: of the catalogue.

    Returns:
        changes int64 [rows], of `timeline`; and bool [rows], whether it is the one turned to.
    """
    other = (item + np.random.default_rng(seed).integers(1, items, len(item))) % items
    change = np.concatenate(
        [latest_change(timeline.item, timeline.at_us, which, at_us) for which in (item, other)]
    )
    label = np.repeat([True, False], len(item))
    return change[change >= 0], label[change >= 0]


def latest_change(
    item: npt.NDArray[np.int64],
    at_us: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
    until_us: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """int64 [rows], the last change of each wanted item at or before an instant; -1 if none.

    Args:
        item, at_us: int64 [changes], the latter ascending.
        wanted, until_us: int64 [rows].
    """
    # `before` changes had happened; items and such counts in one key, as neither is large.
    before = np.searchsorted(at_us, until_us, side="right")
    every = len(item) + 1
    order = np.argsort(item, kind="stable")
    keys = item[order] * every + order
    place = np.searchsorted(keys, wanted * every + before, side="left") - 1
    found = order[np.maximum(place, 0)] if len(order) else np.zeros(len(wanted), np.int64)
    there = (place >= 0) & (len(order) > 0)
    if len(order):
        there &= item[found] == wanted
    return np.where(there, found, -1)
