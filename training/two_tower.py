"""The two towers as a TensorFlow Recommenders model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.config import TrainConfig
from training.runtime import tf, tfrs


class TwoTower(tfrs.Model):
    """Retrieval by in-batch softmax with the correction for sampling.

    The negatives of a position are the items of the other positions of its batch, so an item is
    drawn as often as it is popular; the log of that probability is taken off its logit (Yi et al.,
    "Sampling-bias-corrected neural modeling", RecSys 2019). A batch's other positions with the same
    item are no negatives (`remove_accidental_hits`).

    Args:
        query_tower, candidate_tower: see `training.towers`.
        sampling_probability: float32 [ids of the item vocabulary], share of the training positions
            that have the item.
    """

    def __init__(
        self,
        config: TrainConfig,
        query_tower: tf.keras.Model,
        candidate_tower: tf.keras.Model,
        sampling_probability: np.ndarray,
    ) -> None:
        super().__init__()
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.probability = tf.constant(sampling_probability, tf.float32)
        self.retrieval = tfrs.tasks.Retrieval(
            temperature=config.temperature, remove_accidental_hits=True
        )

    def compute_loss(
        self, batch: tuple[Mapping[str, tf.Tensor], Mapping[str, tf.Tensor]], training: bool = False
    ) -> tf.Tensor:
        """Mean softmax cross-entropy of one batch: (query inputs, candidate inputs)."""
        query, candidate = batch
        ids = candidate["item_id"]
        loss = self.retrieval(
            self.query_tower(query, training=training),
            self.candidate_tower(candidate, training=training),
            candidate_ids=ids,
            candidate_sampling_probability=tf.gather(self.probability, ids),
            compute_metrics=False,
        )
        return loss / tf.cast(tf.shape(ids)[0], tf.float32)


def sampling_probability(item_id: np.ndarray, ids: int) -> np.ndarray:
    """float32 [ids]: how often each id of the vocabulary stands in the training positions.

    An id that never does gets the share of one position, so that its logarithm is finite.
    """
    counts = np.bincount(item_id, minlength=ids).astype(np.float64)
    return (np.maximum(counts, 1.0) / len(item_id)).astype(np.float32)
