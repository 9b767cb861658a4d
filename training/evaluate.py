"""The model as a scorer: query vectors at each row's instant, item vectors as they were then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from profilestore.encoding import Arrays
from profilestore.feature_store import FeatureStore
from training.config import TrainConfig
from training.dataset import ITEM_VOCABULARY, Dataset, epoch_us, gather, index_in
from training.runtime import tf

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 8192


class ItemTimeline:
    """Every item's candidate inputs at the start of a span, and again whenever they change in it.

    Attributes:
        at_us: int64 [changes], ascending.
        item: int64 [changes], index in the catalogue.
        inputs: candidate inputs of each change.
    """

    def __init__(
        self, store: FeatureStore, config: TrainConfig, dataset: Dataset, start_us: int, end_us: int
    ) -> None:
        encoding = dataset.candidate_encoding
        frame = store.changes(
            config.feature_service,
            "item",
            from_epoch_us(start_us),
            from_epoch_us(end_us),
            columns=encoding.columns,
        ).read_all()
        columns = {name: frame[name].combine_chunks() for name in frame.column_names}
        self.at_us = epoch_us(frame["event_timestamp"])
        self.item = index_in(columns["item_id"], dataset.item_ids)
        self.inputs = encoding.encode(columns, self.at_us, dataset.vocabularies)
        self.inputs["item_id"] = dataset.vocabularies[ITEM_VOCABULARY].ids(columns["item_id"])


class TwoTowerScorer:
    """Dot products of a row's query vector with the item vectors of that instant, exact.

    All vectors are computed at once; `scores` then walks through the changes.
    """

    name = "two-tower"

    def __init__(
        self,
        query_tower: tf.keras.Model,
        candidate_tower: tf.keras.Model,
        dataset: Dataset,
        rows: npt.NDArray[np.int64],
        timeline: ItemTimeline,
    ) -> None:
        self._asked_at_us = dataset.asked_at_us
        self._timeline = timeline
        self._query = dict(
            zip(rows.tolist(), predict(query_tower, gather(dataset.query, rows)), strict=True)
        )
        self._changed = predict(candidate_tower, timeline.inputs)
        self._vectors = np.zeros((len(dataset.item_ids), self._changed.shape[1]), np.float32)
        self._applied = 0

    def scores(self, row: int) -> npt.NDArray[np.float32]:
        until = int(np.searchsorted(self._timeline.at_us, self._asked_at_us[row], side="right"))
        if until > self._applied:
            # With several changes of one item, numpy keeps the last: the latest.
            changes = slice(self._applied, until)
            self._vectors[self._timeline.item[changes]] = self._changed[changes]
            self._applied = until
        return self._vectors @ self._query[row]


def predict(tower: tf.keras.Model, inputs: Arrays) -> npt.NDArray[np.float32]:
    """Vectors float32 [rows, dimension] of a tower, in batches."""
    vectors: npt.NDArray[np.float32] = tower.predict(inputs, batch_size=_BATCH, verbose=0)
    return vectors


def from_epoch_us(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(at_us))
