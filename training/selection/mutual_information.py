"""How much a feature says of a label, by itself: mutual information, in nats.

The feature is cut into bins of equal numbers of rows, with one more for rows where it is unknown,
so that it need not be linear, nor there. The estimate from counts is too high by about the number
of cells over twice the number of rows, which is taken off (Miller 1955).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilestore.encoding import Encoding
from profilestore.errors import InputError
from training.profiles.standard import values_and_known

_BINS = 10
_SHUFFLES = 100


@dataclass(frozen=True)
class Information:
    """What a feature says of a label.

    Attributes:
        nats: its mutual information with the label.
        chance: what that stays below 95 times in 100 when the label is shuffled.
    """

    nats: float
    chance: float


def information(
    encoding: Encoding,
    numbers: npt.NDArray[np.float32],
    label: npt.NDArray[np.bool_],
    seed: int,
) -> dict[str, Information]:
    """Of every number and age, by column.

    Args:
        numbers: float32 [rows, encoding.floats].
        label: bool [rows].

    Raises:
        InputError: no rows, a label of one class, or a number that is none.
    """
    names = [*encoding.numbers, *encoding.ages]
    always = np.array([name in encoding.defaults for name in names], bool)
    values, known = values_and_known(numbers, names, np.arange(len(names)), always)
    return {
        name: Information(
            mutual_information(values[:, place], known[:, place], label),
            chance(values[:, place], known[:, place], label, seed),
        )
        for place, name in enumerate(names)
    }


def mutual_information(
    values: npt.NDArray[np.float64], known: npt.NDArray[np.bool_], label: npt.NDArray[np.bool_]
) -> float:
    """Of a feature with a label of two classes, in nats; about 0 when they have nothing to do with
    each other, and below it by chance.

    Args:
        values, known, label: [rows] each, the rows independent of each other.

    Raises:
        InputError: no rows, or the label has one class.
    """
    require_two_classes(label, "the label")
    return _of_bins(_bins(values, known), label)


def chance(
    values: npt.NDArray[np.float64],
    known: npt.NDArray[np.bool_],
    label: npt.NDArray[np.bool_],
    seed: int,
) -> float:
    """What the mutual information stays below 95 times in 100 when the label is shuffled."""
    random = np.random.default_rng(seed)
    bins = _bins(values, known)
    shuffled = [_of_bins(bins, random.permutation(label)) for _ in range(_SHUFFLES)]
    return float(np.quantile(shuffled, 0.95))


def entropy(label: npt.NDArray[np.bool_]) -> float:
    """Of a label, in nats: all that there is to know of it."""
    shares = np.bincount(label, minlength=2) / len(label)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def require_two_classes(label: npt.NDArray[np.bool_], name: str) -> None:
    """Raise if there is nothing to tell apart.

    Raises:
        InputError: no rows, or one class.
    """
    if not len(label):
        raise InputError(f"{name} has no rows in the validation window. Lengthen the window.")
    if label.all() or not label.any():
        raise InputError(
            f"{name} has one class: all {len(label)} rows of the validation window are "
            f"{bool(label[0])}. Take another number of days (--return-days), or a longer window."
        )


def _bins(values: npt.NDArray[np.float64], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """int64 [rows]: 0 where unknown, else from 1 on."""
    found = np.zeros(len(values), np.int64)
    if known.any():
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _BINS + 1)[1:-1]))
        found[known] = 1 + np.searchsorted(edges, values[known], side="left")
    return found


def _of_bins(bins: npt.NDArray[np.int64], label: npt.NDArray[np.bool_]) -> float:
    rows = len(label)
    cells = np.zeros((int(bins.max()) + 1, 2))
    np.add.at(cells, (bins, label.astype(np.int64)), 1.0)
    by_chance = cells.sum(axis=1, keepdims=True) * cells.sum(axis=0) / rows
    full = cells > 0
    found = (cells[full] / rows * np.log(cells[full] / by_chance[full])).sum()
    held = [int((cells.sum(axis=axis) > 0).sum()) for axis in (0, 1)]
    too_high = (full.sum() - held[0] - held[1] + 1) / (2 * rows)
    return float(found - too_high)
