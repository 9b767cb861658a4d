"""Stretches of histories, each of which trains every position that it shows as it was.

A row of the dataset knows its person's history as it was known at its instant. The history of a
person's last row holds those of earlier rows, as long as nothing was learned late; so that one
sequence, encoded once, serves them all. A row whose own history is otherwise gets a sequence of its
own: no position is trained on what was not known then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilestore.encoding import PAD, Arrays

# How many more events a history may have than the row after it, to be looked for in it.
_TRIES = 16


@dataclass(frozen=True)
class Windows:
    """Sequences, and the positions in them that are trained on.

    Attributes:
        history: name -> int32 [windows, steps], what happened, oldest first, padded at the end.
        length: int32 [windows], without the padding.
        window: int64 [positions], ascending, which window.
        place: int32 [positions], how many events of the window come before the position.
        row: int64 [positions], row of the dataset whose item is to be found.
    """

    history: Arrays
    length: npt.NDArray[np.int32]
    window: npt.NDArray[np.int64]
    place: npt.NDArray[np.int32]
    row: npt.NDArray[np.int64]


def windows_of_rows(
    histories: Mapping[str, npt.NDArray[np.int32]],
    items: str,
    user: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    context: int,
) -> Windows:
    """Windows that hold each of `rows` as a position once.

    Args:
        histories: lists that run in parallel, int32 [all rows, steps] each, newest first, padded at
            the end.
        items: the one of them that has the items.
        user: int64 [all rows].
        rows: int64, ascending in time.
        context: a position that has so many events before it in a window does with them, though it
            knew of more.
    """
    anchors: list[int] = []
    found: list[tuple[int, int, int]] = []
    ordered = rows[np.argsort(user[rows], kind="stable")]
    ends = np.flatnonzero(np.diff(user[ordered], append=-1))
    begin = 0
    for end in ends + 1:
        own = ordered[begin:end]
        begin = end
        # One copy of a person's rows: reading a file row by row costs more.
        known = {name: histories[name][own] for name in histories}
        lengths = np.count_nonzero(known[items] != PAD, axis=1).tolist()
        texts = [[array[n].tobytes() for array in known.values()] for n in range(len(own))]
        last = len(own) - 1
        while last >= 0:
            length, text, left = lengths[last], texts[last], 0
            window = len(anchors)
            anchors.append(int(own[last]))
            found.append((window, length, int(own[last])))
            last -= 1
            while last >= 0:
                enough = min(lengths[last], context)
                for left_out in range(left, min(left + _TRIES, length - enough) + 1):
                    shown = 4 * (length - left_out)
                    if all(
                        one[4 * left_out : 4 * length] == other[:shown]
                        for one, other in zip(text, texts[last], strict=True)
                    ) and (left_out or lengths[last] == length):
                        break
                else:
                    break
                left = left_out
                found.append((window, length - left, int(own[last])))
                last -= 1
    window, place, row = (np.array(column) for column in zip(*found, strict=True))
    order = np.lexsort((place, window))
    length = np.count_nonzero(histories[items][anchors] != PAD, axis=1)
    return Windows(
        {name: oldest_first(array[anchors], length) for name, array in histories.items()},
        length.astype(np.int32),
        window[order].astype(np.int64),
        place[order].astype(np.int32),
        row[order].astype(np.int64),
    )


def oldest_first(
    newest_first: npt.NDArray[np.int32], length: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """The first `length` values of each row the other way round; the padding stays at the end."""
    steps = np.arange(newest_first.shape[1])
    place = np.where(steps < length[:, None], length[:, None] - 1 - steps, steps)
    return np.take_along_axis(newest_first, place, axis=1)
