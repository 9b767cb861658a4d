"""The model as a scorer: query vectors at each row's instant, item vectors as they were then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from profilestore.encoding import Arrays
from profilestore.feature_store import FeatureStore
from training.config import TrainConfig
from training.dataset import (
    Dataset,
    candidate_inputs,
    columns_of,
    epoch_us,
    gather,
    index_in,
)
from training.on_disk import GrowingArrays
from training.runtime import tf
from training.towers import QueryTower

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 4096
# Changes of items between the rows of a block, that are scored at once.
_MOST_CHANGES = 20_000


class ItemTimeline:
    """Every item's candidate inputs at the start of a span, and again whenever they change in it.

    Attributes:
        at_us: int64 [changes], ascending.
        item: int64 [changes], index in the catalogue.
        inputs: candidate inputs of each change.
    """

    def __init__(
        self,
        store: FeatureStore,
        config: TrainConfig,
        dataset: Dataset,
        start_us: int,
        end_us: int,
        scratch: Path,
    ) -> None:
        encoding = dataset.candidate_encoding
        inputs, changes = GrowingArrays(scratch), GrowingArrays(scratch)
        for batch in store.changes(
            config.feature_service,
            "item",
            from_epoch_us(start_us),
            from_epoch_us(end_us),
            columns=encoding.columns,
        ):
            columns = columns_of(batch)
            at_us = epoch_us(columns["event_timestamp"])
            inputs.append(candidate_inputs(encoding, columns, at_us, dataset.vocabularies))
            changes.append({"at": at_us, "item": index_in(columns["item_id"], dataset.item_ids)})
        self.inputs = inputs.finish()
        self.at_us, self.item = changes.finish().values()


class ItemWalk:
    """Scores of query vectors with the item vectors of each query's own instant, going forward.

    Args:
        at_us: int64 [changes], ascending: when an item's vector changed.
        item: int64 [changes], which item's.
        vectors_of: changes int64 [n] -> float32 [n, dimension], the vectors they brought.
        items: number of items; one without a change has the zero vector.
    """

    def __init__(
        self,
        at_us: npt.NDArray[np.int64],
        item: npt.NDArray[np.int64],
        vectors_of: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]],
        items: int,
        dimension: int,
    ) -> None:
        self._at_us, self._item, self._vectors_of = at_us, item, vectors_of
        self._vectors = np.zeros((items, dimension), np.float32)
        self._applied = 0

    def scores(
        self, queries: npt.NDArray[np.float32], asked_at_us: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """float32 [rows, items].

        Args:
            queries: float32 [rows, dimension].
            asked_at_us: int64 [rows], ascending, none before an earlier call's.
        """
        until = np.searchsorted(self._at_us, asked_at_us, side="right")
        if until[-1] - until[0] > _MOST_CHANGES and len(until) > 1:
            half = len(until) // 2
            return np.concatenate(
                [
                    self.scores(queries[:half], asked_at_us[:half]),
                    self.scores(queries[half:], asked_at_us[half:]),
                ]
            )
        self._apply(until[0])
        scores = queries @ self._vectors.T
        changed = np.arange(until[0], until[-1])
        if len(changed):
            vectors = self._vectors_of(changed)
            self._correct(scores, queries @ vectors.T, changed, until)
            # With several changes of one item, numpy keeps the last: the latest.
            self._vectors[self._item[changed]] = vectors
            self._applied = until[-1]
        return scores

    def _apply(self, until: int) -> None:
        """Bring the vectors to where the first `until` changes leave them."""
        item = self._item[self._applied : until]
        # Only the last change of each item is left to see.
        which, from_end = np.unique(item[::-1], return_index=True)
        if len(which):
            self._vectors[which] = self._vectors_of(self._applied + len(item) - 1 - from_end)
        self._applied = until

    def _correct(
        self,
        scores: npt.NDArray[np.float32],
        with_change: npt.NDArray[np.float32],
        changed: npt.NDArray[np.int64],
        until: npt.NDArray[np.int64],
    ) -> None:
        """Put the scores of items that changed between the first row and the last to what they
        were at each row; `with_change` has float32 [rows, changes], the scores with each change."""
        which, column = np.unique(self._item[changed], return_inverse=True)
        # The latest change of each item that each row knows of: 0 is none, n is the n-th.
        latest = np.zeros((len(scores), len(which)), np.int64)
        row = np.searchsorted(until, changed, side="right")
        # With several changes of one item, numpy keeps the last: the latest.
        latest[row, column] = np.arange(1, len(changed) + 1)
        np.maximum.accumulate(latest, axis=0, out=latest)
        row, column = np.nonzero(latest)
        scores[row, which[column]] = with_change[row, latest[row, column] - 1]


class TwoTowerScorer:
    """Dot products of each row's query vector with the item vectors of that instant, exact."""

    name = "two-tower"

    def __init__(
        self,
        query_tower: tf.keras.Model,
        candidate_tower: tf.keras.Model,
        dataset: Dataset,
        timeline: ItemTimeline,
    ) -> None:
        self._query_tower = query_tower
        self._dataset = dataset
        self._walk = ItemWalk(
            timeline.at_us,
            timeline.item,
            lambda changes: predict(candidate_tower, timeline.inputs, changes),
            len(dataset.item_ids),
            candidate_tower.output_shape[-1],
        )

    def scores(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        queries = predict(self._query_tower, self._dataset.query, rows)
        return self._walk.scores(queries, self._dataset.asked_at_us[rows])


def predict(
    tower: tf.keras.Model, inputs: Arrays, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Vectors float32 [rows, dimension] of a tower at some rows of its inputs, in batches."""
    return np.concatenate(
        [
            tower(gather(inputs, rows[first : first + _BATCH]), training=False)
            for first in range(0, max(len(rows), 1), _BATCH)
        ]
    )


def predict_scores(
    tower: QueryTower, inputs: Arrays, rows: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.float32]]:
    """What each head says of some rows, float32 [rows, outputs], in batches."""
    batches = [
        tower.vectors_and_scores(gather(inputs, rows[first : first + _BATCH]))[1]
        for first in range(0, max(len(rows), 1), _BATCH)
    ]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in tower.heads}


def from_epoch_us(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(at_us))
