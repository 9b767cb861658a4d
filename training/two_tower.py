"""The two towers as a TensorFlow Recommenders model."""

from __future__ import annotations

from collections.abc import Mapping

from training.config import TrainConfig
from training.runtime import tf, tfrs

# Query inputs, candidate inputs, and float32 [batch]: how likely a position of the batch's stretch
# has the candidate's item.
Batch = tuple[Mapping[str, tf.Tensor], Mapping[str, tf.Tensor], tf.Tensor]


class TwoTower(tfrs.Model):
    """Retrieval by in-batch softmax with the correction for sampling.

    The negatives of a position are the items of the other positions of its batch, so an item is
    drawn as often as it is popular; the log of that probability is taken off its logit (Yi et al.,
    "Sampling-bias-corrected neural modeling", RecSys 2019). A batch's other positions with the same
    item are no negatives (`remove_accidental_hits`).

    Args:
        query_tower, candidate_tower: see `training.towers`.
    """

    def __init__(
        self,
        config: TrainConfig,
        query_tower: tf.keras.Model,
        candidate_tower: tf.keras.Model,
    ) -> None:
        super().__init__()
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.retrieval = tfrs.tasks.Retrieval(
            temperature=config.temperature, remove_accidental_hits=True
        )

    def compute_loss(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Mean softmax cross-entropy of one batch."""
        query, candidate, probability = batch
        loss = self.retrieval(
            self.query_tower(query, training=training),
            self.candidate_tower(candidate, training=training),
            candidate_ids=candidate["item_id"],
            candidate_sampling_probability=probability,
            compute_metrics=False,
        )
        return loss / tf.cast(tf.shape(probability)[0], tf.float32)
