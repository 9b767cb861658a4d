"""What a person's evidence adds up to after each step: running means of vectors, running tags.

Both take one person's evidence in the order in which it became known and give a state for each
step. Sums run in that order, so that the same evidence gives the same bits, whoever else is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

EVER = int(np.iinfo(np.int64).min)
"""Before all steps."""

_CELLS = 2**20
"""States of tags that are held at once: rows times tags."""


def decay(happened: Ints, half_life: int) -> Doubles:
    """Weights that halve with each half-life, [evidence].

    All fade at one rate, so shares and means need not know what time it is: weights are on the
    scale of the first one that became known, where they only grow.

    Args:
        happened: [evidence] in any unit, in the order in which they became known.
        half_life: in the same unit.
    """
    return np.exp2((happened - happened[:1]) / half_life)


def running_means(
    vectors: Singles, which: Ints, weights: Doubles, steps: Ints, since: int = EVER
) -> Singles:
    """The weighted mean of all vectors up to each step.

    Args:
        vectors: [texts, dimensions].
        which: [evidence] rows of `vectors`.
        weights: [evidence], above 0.
        steps: [evidence], rising.
        since: from which step on means are wanted.

    Returns:
        [distinct steps from `since` on, dimensions].
    """
    starts = np.append(0, step_ends(steps)[:-1] + 1)
    if not len(steps):
        return np.empty((0, vectors.shape[1]), np.float32)
    # From the first step on, wherever means begin to be wanted: the last digit is the same.
    parts = vectors[which] * weights[:, None]
    sums = np.cumsum(np.add.reduceat(parts, starts, axis=0), axis=0)
    totals = np.cumsum(np.add.reduceat(weights, starts))
    wanted = steps[starts] >= since
    means: Singles = (sums[wanted] / totals[wanted, None]).astype(np.float32)
    return means


def step_ends(steps: Ints) -> Ints:
    """The place of the last piece of each distinct step."""
    ends: Ints = np.flatnonzero(np.append(steps[1:] != steps[:-1], len(steps) > 0))
    return ends


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


def running_tags(
    tags: Ints, weights: Doubles, happened: Ints, steps: Ints, kept: int, since: int = EVER
) -> Tags:
    """The heaviest tags after each step.

    Args:
        tags: [evidence] numbers of tags; of tags that weigh the same the lower one comes first.
        weights: [evidence], above 0.
        happened: [evidence].
        steps: [evidence], rising.
        kept: how many tags of a step, at most.
        since: from which step on tags are wanted.
    """
    blocks = list(_blocks(tags, weights, happened, steps, kept, since))
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


def _blocks(
    tags: Ints, weights: Doubles, happened: Ints, steps: Ints, kept: int, since: int
) -> Iterator[Tags]:
    """As `running_tags`, so many rows at a time that memory stays small."""
    yield _none()
    names, tag = np.unique(tags, return_inverse=True)
    row = _rows(tag, steps)
    order = np.argsort(row, kind="stable")
    tag, happened, steps, row = (one[order] for one in (tag, happened, steps, row))
    weights = weights[order]
    sums = _Sums.of_nothing(len(names))
    early = int(np.searchsorted(steps, since))
    sums.add(tag[:early], weights[:early], happened[:early])
    totals, squares = np.cumsum(weights), np.cumsum(weights**2)
    ends = np.append(step_ends(row), -1)
    first_row = row[early] if early < len(row) else len(ends) - 1
    height = max(1, _CELLS // max(len(names), 1))
    for low in range(first_row, len(ends) - 1, height):
        high = min(low + height, len(ends) - 1)
        pieces = slice(ends[low - 1] + 1, ends[high - 1] + 1)
        running = sums.after_each(
            high - low, row[pieces] - low, tag[pieces], weights[pieces], happened[pieces]
        )
        # A step's last row is whole.
        whole = np.flatnonzero(np.isin(ends[low:high], step_ends(steps)))
        end = ends[low:high][whole]
        weight, events = running.weight[whole], running.events[whole]
        # Equal evidence may add up to another last digit, in another order of learning.
        with np.errstate(divide="ignore"):
            heaviest = np.argsort(-np.round(np.log2(weight), 9), axis=1, kind="stable")[:, :kept]
        step, place = np.nonzero(np.take_along_axis(events, heaviest, axis=1))
        chosen = heaviest[step, place]
        yield Tags(
            steps[end][step],
            place + 1,
            names[chosen],
            weight[step, chosen] / totals[end][step],
            events[step, chosen],
            running.first[whole][step, chosen],
            running.last[whole][step, chosen],
            (totals[end] ** 2 / squares[end])[step],
        )
        sums = running.last_row()


def _rows(tag: Ints, steps: Ints) -> Ints:
    """[evidence] rows such that no tag comes twice in one, and no row has two steps: what is summed
    row by row is then summed piece by piece."""
    by_tag = np.lexsort((tag, steps))
    again = (np.diff(tag[by_tag], prepend=-1) == 0) & (np.diff(steps[by_tag], prepend=0) == 0)
    place = np.arange(len(tag))
    times = np.empty(len(tag), np.int64)
    times[by_tag] = place - np.maximum.accumulate(np.where(again, 0, place))
    by_time = np.lexsort((times, steps))
    new = np.diff(times[by_time], prepend=-1) != 0
    new |= np.diff(steps[by_time], prepend=EVER) != 0
    rows = np.empty(len(tag), np.int64)
    rows[by_time] = np.cumsum(new) - 1
    return rows


@dataclass
class _Sums:
    """What the evidence on each tag comes to: [tags], or [rows, tags] after each of several."""

    weight: Doubles
    events: Ints
    first: Ints
    last: Ints

    @classmethod
    def of_nothing(cls, *shape: int) -> _Sums:
        bounds = np.iinfo(np.int64)
        return cls(
            np.zeros(shape),
            np.zeros(shape, np.int64),
            np.full(shape, bounds.max),
            np.full(shape, bounds.min),
        )

    def add(self, at: Ints | tuple[Ints, Ints], weights: Doubles, happened: Ints) -> None:
        np.add.at(self.weight, at, weights)
        np.add.at(self.events, at, 1)
        np.minimum.at(self.first, at, happened)
        np.maximum.at(self.last, at, happened)

    def after_each(
        self, rows: int, row: Ints, tag: Ints, weights: Doubles, happened: Ints
    ) -> _Sums:
        """[rows, tags]: when pieces are added to these [tags] row by row."""
        after = self.of_nothing(rows + 1, len(self.weight))
        after.weight[0], after.events[0] = self.weight, self.events
        after.first[0], after.last[0] = self.first, self.last
        after.add((row + 1, tag), weights, happened)
        return _Sums(
            np.cumsum(after.weight, axis=0)[1:],
            np.cumsum(after.events, axis=0)[1:],
            np.minimum.accumulate(after.first, axis=0)[1:],
            np.maximum.accumulate(after.last, axis=0)[1:],
        )

    def last_row(self) -> _Sums:
        return _Sums(self.weight[-1], self.events[-1], self.first[-1], self.last[-1])


def _none() -> Tags:
    nothing, no_number = np.empty(0, np.int64), np.empty(0)
    return Tags(nothing, nothing, nothing, no_number, nothing, nothing, nothing, no_number)
