"""Which parts of what is known of a person move a number, and by how much: Shapley values.

The value of a part is how much the number rises when the part is told, averaged over the orders in
which all parts could be told (Shapley 1953); orders are drawn, each with its reverse (Castro, Gomez
and Tejada 2009; Mitchell, Cooper, Frank and Holmes 2022). Each order begins with nothing told and
ends with all, so the values add up to the whole difference however few orders are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilestore.encoding import PAD, Arrays, Encoding


@dataclass(frozen=True)
class Part:
    """Something that is known of a person.

    Attributes:
        column: `<view>__<feature>`.
        place: in that column's list, for an item of a history; None for a whole column.
    """

    column: str
    place: int | None = None


def parts_of(encoding: Encoding, row: Arrays, history: Sequence[str]) -> list[Part]:
    """What a row says: the items of its history one by one, and every other column that is there.

    Args:
        row: of `Encoding.encode`, one row.
        history: columns of the history; the first one names its items.
    """
    parts = []
    if history:
        told = int((row[history[0]][0] != PAD).sum())
        parts += [Part(history[0], place) for place in range(told)]
    numbers = row["numbers"][0]
    for place, name in enumerate((*encoding.numbers, *encoding.ages)):
        if numbers[2 * place + 1]:
            parts.append(Part(name))
    for name in (*encoding.ids, *encoding.id_lists, *encoding.vectors):
        if name not in history and np.any(row[name]):
            parts.append(Part(name))
    return parts


def telling(
    encoding: Encoding, row: Arrays, nothing: Arrays, history: Sequence[str], told: Iterable[Part]
) -> Arrays:
    """The row of somebody of whom only some parts are known.

    Args:
        nothing: the row of somebody of whom nothing is, with the defaults of missing numbers.
        told: parts of `row`.
    """
    found = {name: array.copy() for name, array in nothing.items()}
    places = []
    numbered = {name: n for n, name in enumerate((*encoding.numbers, *encoding.ages))}
    for part in told:
        if part.place is not None:
            places.append(part.place)
        elif part.column in numbered:
            at = 2 * numbered[part.column]
            found["numbers"][0, at : at + 2] = row["numbers"][0, at : at + 2]
        else:
            found[part.column] = row[part.column]
            if part.column in encoding.weights:
                name = f"{part.column}__weights"
                found[name] = row[name]
    # In the order in which they were: what lies between two events is not known, and not there.
    places.sort()
    for name in history:
        for own in (name, f"{name}__weights"):
            if own in row:
                found[own][0, : len(places)] = row[own][0, places]
    return found


def shapley_values(
    value: Callable[[frozenset[int]], float], parts: int, orders: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each part its Shapley value and the standard error of that, float64 [parts] each.

    Args:
        value: of a set of parts, by number.
        orders: in which parts are told; each is told backwards, too.
    """
    if not parts:
        return np.zeros(0), np.zeros(0)
    random = np.random.default_rng(seed)
    nothing, everything = value(frozenset()), value(frozenset(range(parts)))
    pairs = np.zeros((orders, parts))
    for pair in pairs:
        forth = random.permutation(parts)
        for order in (forth, forth[::-1]):
            before, told = nothing, frozenset[int]()
            for n, part in enumerate(order, start=1):
                told |= {int(part)}
                after = everything if n == parts else value(told)
                pair[part] += (after - before) / 2
                before = after
    error = pairs.std(axis=0, ddof=1) / orders**0.5 if orders > 1 else np.full(parts, np.nan)
    return pairs.mean(axis=0), error
