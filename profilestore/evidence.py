"""What a person's evidence adds up to after each step: running means of vectors, running tags.

Both take one person's evidence in the order in which it became known and give a state for each
step. Sums run in that order, so that the same evidence gives the same bits, whoever else is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Number = TypeVar("Number", np.float64, np.int64)

_CELLS = 2**20
"""States of tags that are held at once: steps times tags."""


def decay(happened: Ints, half_life: int) -> Doubles:
    """Weights that halve with each half-life, [evidence].

    All fade at one rate, so shares and means need not know what time it is: weights are on the
    scale of the first one that became known, where they only grow.

    Args:
        happened: [evidence] in any unit, in the order in which they became known.
        half_life: in the same unit.
    """
    return np.exp2((happened - happened[:1]) / half_life)


def running_means(vectors: Singles, which: Ints, weights: Doubles, steps: Ints) -> Singles:
    """The weighted mean of all vectors up to each step.

    Args:
        vectors: [texts, dimensions].
        which: [evidence] rows of `vectors`.
        weights: [evidence], above 0.
        steps: [evidence], rising.

    Returns:
        [distinct steps, dimensions].
    """
    starts = step_starts(steps)
    if not len(starts):
        return np.empty((0, vectors.shape[1]), np.float32)
    parts = vectors[which] * weights[:, None]
    sums = np.cumsum(np.add.reduceat(parts, starts, axis=0), axis=0)
    totals = np.cumsum(np.add.reduceat(weights, starts))
    means: Singles = (sums / totals[:, None]).astype(np.float32)
    return means


def step_starts(steps: Ints) -> Ints:
    """Where each distinct step begins."""
    if not len(steps):
        return np.empty(0, np.int64)
    starts: Ints = np.flatnonzero(np.concatenate(([True], steps[1:] != steps[:-1])))
    return starts


@dataclass(frozen=True)
class Tags:
    """Tags after steps, a row each: by step, then the heaviest first.

    Attributes:
        step: the step.
        place: 1 for the heaviest tag of the step.
        tag: the tag.
        share: of the tag in the weight of all tags.
        events: pieces of evidence on the tag.
        first, last: when the earliest and the latest of them happened.
        certainty: how many pieces of equal weight would say as much as all that there are:
            (Σw)² / Σw², "effective sample size" (Kish, Survey Sampling, 1965).
    """

    step: Ints
    place: Ints
    tag: Ints
    share: Doubles
    events: Ints
    first: Ints
    last: Ints
    certainty: Doubles


def running_tags(tags: Ints, weights: Doubles, happened: Ints, steps: Ints, kept: int) -> Tags:
    """The heaviest tags after each step.

    Args:
        tags: [evidence] numbers of tags; of tags that weigh the same the lower one comes first.
        weights: [evidence], above 0.
        happened: [evidence].
        steps: [evidence], rising.
        kept: how many tags of a step, at most.
    """
    blocks = list(_blocks(tags, weights, happened, steps, kept))
    return Tags(
        *(np.concatenate([getattr(one, field.name) for one in blocks]) for field in fields(Tags))
    )


def wilson_lower_bound(share: Doubles, n: Doubles) -> Doubles:
    """Lower end of the 95 % interval of shares seen in n pieces of evidence (Wilson, "Probable
    inference, the law of succession, and statistical inference", JASA 22, 1927)."""
    z = 1.959964
    spread = z * np.sqrt((share * (1 - share) + z * z / (4 * n)) / n)
    return np.maximum((share + z * z / (2 * n) - spread) / (1 + z * z / n), 0)


class Population:
    """How much of what people touched was on each tag, from midnight to midnight.

    Args:
        tags: [rows] names.
        since: [rows] when the row became true.
        events, kind_events: [rows] on the tag, and on all tags, up to then.
    """

    def __init__(self, tags: Sequence[str], since: Ints, events: Ints, kind_events: Ints) -> None:
        self._known, tag = np.unique(np.array(tags, dtype=object), return_inverse=True)
        order = np.lexsort((since, tag))
        self._tag, self._since, self._events = tag[order], since[order], events[order]
        self._starts = np.searchsorted(self._tag, np.arange(len(self._known) + 1))
        self._days, places = np.unique(since, return_index=True)
        self._all = kind_events[places]

    def shares(self, tags: Sequence[str], tag: Ints, at: Ints) -> Doubles:
        """The share that each had at the latest row up to an instant, with one event more: a tag
        that nobody had before has one too.

        Args:
            tags: names.
            tag: [asked] places in `tags`.
            at: [asked] instants.
        """
        events = np.zeros(len(tag), np.int64)
        by_tag = np.argsort(tag, kind="stable")
        ends = np.searchsorted(tag[by_tag], np.arange(len(tags) + 1))
        known = {name: place for place, name in enumerate(self._known)}
        for number, name in enumerate(tags):
            rows, place = by_tag[ends[number] : ends[number + 1]], known.get(name)
            if place is None or not len(rows):
                continue
            own = slice(self._starts[place], self._starts[place + 1])
            so_far = np.concatenate(([0], self._events[own]))
            events[rows] = so_far[np.searchsorted(self._since[own], at[rows], "right")]
        whole = np.concatenate(([0], self._all))[np.searchsorted(self._days, at, "right")]
        shares: Doubles = (events + 1) / (whole + 1)
        return shares


def _blocks(tags: Ints, weights: Doubles, happened: Ints, steps: Ints, kept: int) -> Iterator[Tags]:
    """As `running_tags`, so many steps at a time that memory stays small."""
    names, tag = np.unique(tags, return_inverse=True)
    count = len(names)
    starts = np.append(step_starts(steps), len(steps))
    weight, events = np.zeros(count), np.zeros(count, np.int64)
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, np.iinfo(np.int64).min)
    total, squares = 0.0, 0.0
    height = max(1, _CELLS // max(count, 1))
    yield _none()
    for low in range(0, len(starts) - 1, height):
        high = min(low + height, len(starts) - 1)
        rows = slice(starts[low], starts[high])
        inside = np.searchsorted(starts[low : high + 1], np.arange(len(steps))[rows], "right") - 1
        at = (inside, tag[rows])
        shape = (high - low, count)
        weight_now = _running(weight, shape, at, weights[rows])
        events_now = _running(events, shape, at, np.ones(len(inside), np.int64))
        first_now, last_now = np.tile(first, (shape[0], 1)), np.tile(last, (shape[0], 1))
        np.minimum.at(first_now, at, happened[rows])
        np.maximum.at(last_now, at, happened[rows])
        first_now = np.minimum.accumulate(first_now, axis=0)
        last_now = np.maximum.accumulate(last_now, axis=0)
        begins = starts[low:high] - starts[low]
        totals = _summed(total, np.add.reduceat(weights[rows], begins))
        square = _summed(squares, np.add.reduceat(weights[rows] ** 2, begins))
        # Equal evidence may add up to another last digit, in another order of learning.
        with np.errstate(divide="ignore"):
            order = np.argsort(-np.round(np.log2(weight_now), 9), axis=1, kind="stable")
        order = order[:, :kept]
        step, place = np.nonzero(np.take_along_axis(events_now, order, axis=1))
        chosen = order[step, place]
        yield Tags(
            steps[starts[low:high]][step],
            place + 1,
            names[chosen],
            weight_now[step, chosen] / totals[step],
            events_now[step, chosen],
            first_now[step, chosen],
            last_now[step, chosen],
            (totals**2 / square)[step],
        )
        weight, events, first, last = weight_now[-1], events_now[-1], first_now[-1], last_now[-1]
        total, squares = totals[-1], square[-1]


def _running(
    so_far: NDArray[Number], shape: tuple[int, int], at: tuple[Ints, Ints], amounts: NDArray[Number]
) -> NDArray[Number]:
    """[steps, tags]: what `so_far` [tags] comes to when `amounts` are added `at` their places."""
    cells = np.zeros(shape, amounts.dtype)
    np.add.at(cells, at, amounts)
    cells[0] += so_far
    return np.cumsum(cells, axis=0)


def _summed(so_far: float, amounts: Doubles) -> Doubles:
    # As in one go: how steps fall into blocks must not show in the last digit.
    return np.cumsum(np.concatenate(([so_far], amounts)))[1:]


def _none() -> Tags:
    nothing, no_number = np.empty(0, np.int64), np.empty(0)
    return Tags(nothing, nothing, nothing, no_number, nothing, nothing, nothing, no_number)
