"""Batches of a training run: which windows, which positions, which candidates.

The order is a function of the seed and the step alone, so that a run that was stopped goes on where
it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from profilestore.encoding import Arrays
from training.config import TrainConfig
from training.dataset import gather
from training.negatives import Negatives
from training.runtime import tf
from training.windows import Windows


@dataclass(frozen=True)
class Source:
    """All that batches are made of.

    Attributes:
        windows: the positions to train on.
        span: int [windows], the span of time of each window.
        person: query inputs of rows, without histories.
        candidate: candidate inputs of each row's item, as they were at the row.
        catalogue: for each span, the candidate inputs of every item as they were at its start;
            empty if no negative is drawn from there.
        negatives: draws candidates.
        labels: of heads, float32 [rows] each, NaN where not known.
    """

    windows: Windows
    span: npt.NDArray[np.int64]
    person: Arrays
    candidate: Arrays
    catalogue: list[Arrays]
    negatives: Negatives
    labels: Arrays = field(default_factory=dict)


Batch = dict[str, Arrays]


def batches(
    source: Source, config: TrainConfig, epoch: int, *, first: int = 0, at_once: int = 1
) -> tf.data.Dataset:
    """The batches of an epoch from the `first` on, each made while the step before it runs.

    Args:
        at_once: as many are taken by one step; a rest of fewer is left out.
    """

    def drawn() -> Iterator[Batch]:
        return batches_of_epoch(source, config, epoch, first=first, at_once=at_once)

    signature = {
        part: {
            name: tf.TensorSpec(
                (None, None) if part == "history" else (None, *array.shape[1:]), array.dtype
            )
            for name, array in arrays.items()
        }
        for part, arrays in next(batches_of_epoch(source, config, 0)).items()
    }
    return tf.data.Dataset.from_generator(drawn, output_signature=signature).prefetch(
        tf.data.AUTOTUNE
    )


def steps_of_epoch(source: Source, config: TrainConfig) -> int:
    """Batches of an epoch: the positions of each span, a batch's worth at a time."""
    held = np.bincount(source.windows.window, minlength=len(source.windows.length))
    of_span = np.bincount(source.span, weights=held)
    return min(int(np.ceil(of_span / config.positions).sum()), config.epoch_steps)


def batches_of_epoch(
    source: Source, config: TrainConfig, epoch: int, *, first: int = 0, at_once: int = 1
) -> Iterator[Batch]:
    """The batches of an epoch from the `first` on, in an order that seed and epoch say.

    Args:
        at_once: as many are taken by one step; a rest of fewer is left out.

    Yields:
        `history`: each list of the windows, int32 [windows, steps], cut to the longest there;
        `target`: `state` int32 [positions], place among the states of all windows, one more than
        steps a window; `label`, `log_share`, `drawn` as `training.negatives.Candidates`, and
        `item` int32 [candidates], their `items`;
        `person`: inputs of the positions, `labels` those of heads; `candidate`: inputs of the
        candidates.
    """
    random = np.random.default_rng((config.seed, epoch))
    planned = plan_epoch(source.windows, source.span, config.positions, random)
    taken = min(len(planned), config.epoch_steps)
    for n, (chosen, span) in enumerate(planned[: taken - taken % at_once]):
        if n >= first:
            # Each batch has its own draws, whatever was drawn before it.
            own = np.random.default_rng((config.seed, epoch, n))
            yield batch_of(source, np.sort(chosen), span, own)


def plan_epoch(
    windows: Windows,
    span: npt.NDArray[np.int64],
    positions: int,
    random: np.random.Generator,
) -> list[tuple[npt.NDArray[np.int64], int]]:
    """Windows and span of each batch: windows of like length together, drawn anew; batches in
    random order.

    Args:
        span: int [windows], the span of time of each window.
        positions: of a batch, about.
    """
    held = np.bincount(windows.window, minlength=len(windows.length))
    # Nearly sorted by length: little padding, and not the same neighbours in every epoch.
    jitter = windows.length * random.uniform(0.9, 1.1, len(span)) + random.uniform(0, 4, len(span))
    order = np.lexsort((jitter, span))
    planned = []
    for own in np.split(order, np.flatnonzero(np.diff(span[order])) + 1):
        so_far = np.cumsum(held[own])
        cuts = np.searchsorted(so_far, np.arange(positions, so_far[-1], positions))
        planned += [(part, int(span[own[0]])) for part in np.split(own, cuts) if len(part)]
    return [planned[n] for n in random.permutation(len(planned))]


def batch_of(
    source: Source, chosen: npt.NDArray[np.int64], span: int, random: np.random.Generator
) -> Batch:
    """One batch of some windows, ascending."""
    windows = source.windows
    steps = max(1, int(windows.length[chosen].max()))
    first = np.searchsorted(windows.window, chosen, side="left")
    count = np.searchsorted(windows.window, chosen, side="right") - first
    of_window = np.repeat(np.arange(len(chosen)), count)
    within = np.arange(len(of_window)) - np.repeat(np.cumsum(count) - count, count)
    position = np.repeat(first, count) + within
    row = windows.row[position]
    candidates = source.negatives.draw(row, span, random)
    return {
        "history": {name: array[chosen, :steps] for name, array in windows.history.items()},
        "target": {
            "state": (of_window * (steps + 1) + windows.place[position]).astype(np.int32),
            "label": candidates.label,
            "item": candidates.items.astype(np.int32),
            "log_share": candidates.log_share,
            "drawn": candidates.drawn,
        },
        "person": gather(source.person, row),
        "labels": gather(source.labels, row),
        "candidate": (
            gather(source.catalogue[span], candidates.items)
            if candidates.rows is None
            else gather(source.candidate, candidates.rows)
        ),
    }
