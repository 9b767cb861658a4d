"""What the two-tower would miss: NDCG@10 lost when a feature's values are permuted among rows
(Breiman 2001; of a model as it is: Fisher, Rudin and Dominici, JMLR 2019).

A person's features are permuted among the rows that are ranked; an item's among the items, each
taking what another was known by at that instant. A permuted feature has the values that it always
has, and none of what they said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilestore.encoding import Arrays, Encoding
from profilestore.errors import InputError
from training.dataset import Dataset, gather
from training.evaluate import ItemTimeline, ItemWalk
from training.metrics import ndcg, standard_error
from training.ranking import CUT, Seen, rank_all
from training.selection.labels import latest_change

Tower = Callable[[Arrays], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Part:
    """What is permuted together: a column, and those that mean something only beside it.

    Attributes:
        columns: whole columns of the feature service, the one that says most first.
        side: `user` or `item`.
        floats: places in `numbers`.
        arrays: names of the other arrays.
    """

    columns: tuple[str, ...]
    side: str
    floats: tuple[int, ...] = ()
    arrays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Importance:
    """NDCG@10 lost by a permutation, mean of its repeats, and the standard error over people."""

    drop: float
    standard_error: float

    @property
    def at_most(self) -> float:
        """What is lost, but for bad luck: two standard errors more than was seen."""
        return self.drop + 2 * self.standard_error


def parts_of(encoding: Encoding) -> list[Part]:
    """Everything that a tower reads, one part a column; weights go with their ids."""
    side = encoding.entity
    parts = [
        Part((name,), side, floats=(2 * place, 2 * place + 1))
        for place, name in enumerate((*encoding.numbers, *encoding.ages))
    ]
    parts += [Part((name,), side, arrays=(name,)) for name in (*encoding.ids, *encoding.vectors)]
    for name in encoding.id_lists:
        if name in encoding.weights:
            arrays = (name, f"{name}__weights")
            parts.append(Part((name, encoding.weights[name]), side, arrays=arrays))
        else:
            parts.append(Part((name,), side, arrays=(name,)))
    return parts


@dataclass(frozen=True)
class Question:
    """What is ranked, by which towers.

    Attributes:
        query_tower, candidate_tower: inputs of `Encoding.encode` -> float32 [rows, dimension].
        dimension: of the vectors.
        timeline: of the items, over the time of the rows.
        rows: int64 [rows], ascending.
        seen: what is not ranked again, if anything.
    """

    query_tower: Tower
    candidate_tower: Tower
    dimension: int
    dataset: Dataset
    timeline: ItemTimeline
    rows: npt.NDArray[np.int64]
    seen: Seen | None


class PermutedScorer:
    """Scores by the two-tower, some parts permuted; a `Scorer` of the question's rows."""

    name = "two-tower"

    def __init__(
        self, question: Question, parts: Sequence[Part], random: np.random.Generator
    ) -> None:
        self._question = question
        self._of_people = [part for part in parts if part.side == "user"]
        of_items = [part for part in parts if part.side == "item"]
        self._other = random.permutation(question.rows)
        timeline, items = question.timeline, len(question.dataset.item_ids)
        # Every change of an item brings what another item was known by just then.
        taken = random.permutation(items)[timeline.item]
        other = latest_change(timeline.item, timeline.at_us, taken, timeline.at_us)
        other = np.where(other >= 0, other, np.arange(len(other)))

        def vectors_of(changes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            inputs = swapped(timeline.inputs, changes, other[changes], of_items)
            return question.candidate_tower(inputs)

        self._walk = ItemWalk(timeline.at_us, timeline.item, vectors_of, items, question.dimension)

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        question = self._question
        other = self._other[np.searchsorted(question.rows, rows)]
        inputs = swapped(question.dataset.query, rows, other, self._of_people)
        return self._walk.scores(question.query_tower(inputs), question.dataset.asked_at_us[rows])


def gains(question: Question, parts: Sequence[Part], seed: int) -> npt.NDArray[np.float64]:
    """float64 [rows], NDCG@10 of each row with parts permuted, of a side all alike.

    Ties are broken alike whatever the seed: only the permutation makes a difference.
    """
    scorer = PermutedScorer(question, parts, np.random.default_rng(seed))
    return ndcg(rank_all(question.dataset, question.rows, scorer, question.seen).ranks, CUT)


def importance(
    question: Question,
    parts: Sequence[Part],
    whole: npt.NDArray[np.float64],
    repeats: int,
) -> Importance:
    """What is lost when parts are permuted together.

    Args:
        whole: the gains with nothing permuted.
        repeats: permutations; the error over people falls with the rows, not with these.

    Raises:
        InputError: all rows are of one person.
    """
    lost = np.mean([whole - gains(question, parts, repeat) for repeat in range(repeats)], axis=0)
    error = standard_error(lost, question.dataset.user[question.rows])
    if error is None:
        raise InputError("the rows to rank are of one person; permuting needs two at least.")
    return Importance(float(lost.mean()), error)


def swapped(
    inputs: Arrays,
    rows: npt.NDArray[np.int64],
    other: npt.NDArray[np.int64],
    parts: Sequence[Part],
) -> Arrays:
    """Inputs of rows, with some parts as they are of other rows."""
    found = gather(inputs, rows)
    for part in parts:
        if part.floats:
            floats = list(part.floats)
            found["numbers"][:, floats] = inputs["numbers"][other][:, floats]
        for name in part.arrays:
            found[name] = inputs[name][other]
    return found


def worth_keeping(
    parts: Sequence[Part],
    alone: Sequence[Importance],
    joint: Callable[[list[Part]], Importance],
    tolerance: float,
) -> list[Part]:
    """The parts without which more than `tolerance` might be lost.

    Features that say the same are not missed one at a time, for the others still say it. So those
    that are missed least are permuted together: as many of them are left out as surely lose no more
    than the tolerance. With few rows little is sure, and more is kept.

    Args:
        alone: of each part.
        joint: of several parts at once.
    """
    order = [int(place) for place in np.argsort([one.drop for one in alone], kind="stable")]
    # The longest run of the least important that can go, by bisection.
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        if joint([parts[place] for place in order[:middle]]).at_most <= tolerance:
            low = middle
        else:
            high = middle - 1
    return [part for place, part in enumerate(parts) if place not in order[:low]]
