"""Columns of one scale: standardised by the training window, missing values marked.

Counts and sums have long tails: one person has a thousand times the events of another. The encoding
has taken the symmetric logarithm of each number, `sign(x) log(1 + |x|)`, which makes a ratio a
difference and leaves 0 where it is. What is still further out than `BOUND` standard deviations is
brought there, so that no single value outweighs all others of its row together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilestore.encoding import Encoding
from profilestore.errors import InputError

BOUND = 6.0
# Below this a column of the training window is one value, but for rounding.
_LEAST_SCALE = 1e-4


@dataclass(frozen=True)
class Table:
    """Rows of standardised columns.

    Attributes:
        values: float32 [rows, columns], 0 where unknown, which is the training window's mean.
        known: bool [rows, columns].
    """

    values: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rows: npt.NDArray) -> Table:
        return Table(self.values[rows], self.known[rows])


@dataclass(frozen=True)
class Standard:
    """How the numbers of an encoding become a table.

    Attributes:
        columns: of the table, in order.
        place: int64 [columns], of each among the encoding's numbers and ages.
        always: bool [columns], whether a declared default stands for a missing value, so that it
            is known all the same.
        mean, scale: float64 [columns], of what the training window knows.
        left_out: column -> why it says nothing.
    """

    columns: list[str]
    place: npt.NDArray[np.int64]
    always: npt.NDArray[np.bool_]
    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    left_out: dict[str, str]

    @classmethod
    def of(
        cls,
        encoding: Encoding,
        numbers: npt.NDArray[np.float32],
        rows: npt.NDArray[np.int64],
    ) -> Standard:
        """That of some rows of `numbers`, float32 [all, encoding.floats].

        Raises:
            InputError: no rows, a number that is none, or no column that varies.
        """
        if not len(rows):
            raise InputError("there are no rows to standardise by: the training window is empty.")
        names = [*encoding.numbers, *encoding.ages]
        always = np.array([name in encoding.defaults for name in names], bool)
        values, known = values_and_known(numbers[rows], names, np.arange(len(names)), always)
        held = known.sum(axis=0)
        mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(held, 1)
        square = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
        scale = np.sqrt(square / np.maximum(held, 1))
        kept = np.flatnonzero(scale > _LEAST_SCALE)
        if not len(kept):
            raise InputError(
                f"none of {', '.join(names)} varies in the training window, so there is nothing "
                "to learn from. Take a feature service that has more."
            )
        return cls(
            columns=[names[place] for place in kept],
            place=kept,
            always=always[kept],
            mean=mean[kept],
            scale=scale[kept],
            left_out={
                names[place]: "one value in the training window" if held[place] else "never known"
                for place in np.flatnonzero(scale <= _LEAST_SCALE)
            },
        )

    def table(self, numbers: npt.NDArray[np.float32]) -> Table:
        """The table of rows of `numbers`, float32 [rows, floats].

        Raises:
            InputError: a number that is none.
        """
        values, known = values_and_known(numbers, self.columns, self.place, self.always)
        scaled = np.clip((values - self.mean) / self.scale, -BOUND, BOUND)
        return Table(np.where(known, scaled, 0.0).astype(np.float32), known)


def values_and_known(
    numbers: npt.NDArray[np.float32],
    columns: list[str],
    place: npt.NDArray[np.int64],
    always: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Values float64 [rows, columns], and whether each is known.

    Raises:
        InputError: a number that is none.
    """
    values = numbers[:, 2 * place].astype(np.float64)
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"feature {columns[column]}: {values[row, column]} in row {row} of {len(values)}; "
            f"{int(wrong[:, column].sum())} rows of it are no number. Correct the mart: what is "
            "not known is null."
        )
    return values, (numbers[:, 2 * place + 1] > 0) | always
