"""The latest of what is known after each thing that is learned."""

from __future__ import annotations

from array import array
from bisect import insort

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def running_latest(places: Ints, kept: int, first: int = 0) -> tuple[Ints, Ints]:
    """Which are the latest that have happened, of those learned so far, after each that is learned.

    Args:
        places: [learned] of each, in the order in which they were learned, its place in the order
            in which they happened: 1 to as many as there are, each once.
        kept: how many of the latest, at most.
        first: from which one on it is asked, counted from 0.

    Returns:
        [sum of sizes] numbers of what was learned, from 0, the latest first; and the size of each
        answer.
    """
    # Of the latest first: what is learned in order goes to the front.
    held, said, sizes = array("q"), array("q"), array("q")
    for n, place in enumerate((-places).tolist()):
        insort(held, place)
        if len(held) > kept:
            held.pop()
        if n >= first:
            said.extend(held)
            sizes.append(len(held))
    learned = np.empty(len(places) + 1, np.int64)
    learned[places] = np.arange(len(places))
    return learned[-np.frombuffer(said, np.int64)], np.frombuffer(sizes, np.int64)
