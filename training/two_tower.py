"""The two towers as a TensorFlow Recommenders model."""

from __future__ import annotations

from collections.abc import Mapping

from training.batches import Batch
from training.config import TrainConfig
from training.heads import WeightedSum, mean_where_known
from training.losses import GBCE, Softmax
from training.runtime import tf, tfrs
from training.towers import QueryTower


class TwoTower(tfrs.Model):
    """Scores are dot products of query and candidate vectors, divided by the temperature.

    Args:
        query_tower, candidate_tower: see `training.towers`.
        items: number of items in the catalogue.
    """

    def __init__(
        self,
        config: TrainConfig,
        query_tower: QueryTower,
        candidate_tower: tf.keras.Model,
        items: int,
    ) -> None:
        super().__init__()
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.parts = config.parts
        self.temperature = config.temperature
        self.drawn_again = config.negatives == "batch"
        self.head_loss = WeightedSum(
            {head.name: head.weight for head in config.heads if head.name in query_tower.heads},
            config.head_weights == "learned",
            dtype=tf.float32,
        )
        self.position_loss = (
            GBCE(items, config.calibration, dtype=tf.float32)
            if config.loss == "gbce"
            else Softmax(config.label_smoothing, dtype=tf.float32)
        )

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """A step of a device; its loss is the device's share of the mean over all devices.

        Gradients of devices are added, so each takes its share of the loss.
        """
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            loss = self.compute_loss(batch, training=True) / devices
        gradients = tape.gradient(loss, self.trainable_variables)
        if devices > 1:
            # Rows of an embedding, of which each device has another number, cannot be added up.
            gradients = [tf.convert_to_tensor(one) for one in gradients]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}

    def compute_loss(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Mean loss of the batch's positions, and that of the heads."""
        target = batch["target"]
        states = self.query_tower.states(batch["history"], training=training)
        state = tf.gather(tf.reshape(states, (-1, states.shape[-1])), target["state"])
        query, raw = self.query_tower.answers(state, batch["person"], training=training)
        candidate = self.candidate_tower(
            {name: batch["candidate"][name] for name in self.candidate_tower.input},
            training=training,
        )
        # Scores and losses are of float32, whatever the arithmetic before them.
        candidate = tf.cast(candidate, tf.float32)
        retrieval = (
            tf.add_n(
                [
                    tf.reduce_mean(self._loss(*part, target))
                    for part in zip(
                        tf.split(query, self.parts, axis=1),
                        tf.split(candidate, self.parts, axis=1),
                        strict=True,
                    )
                ]
            )
            / self.parts
        )
        if not raw:
            return retrieval
        heads = self.query_tower.heads
        return retrieval + self.head_loss(
            {name: mean_where_known(heads[name], raw[name], batch["labels"][name]) for name in raw}
        )

    def _loss(
        self, query: tf.Tensor, candidate: tf.Tensor, target: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """float32 [positions], of one part of the vectors."""
        scores = tf.matmul(query / self.temperature, candidate, transpose_b=True)
        if self.drawn_again:
            # A candidate that is the position's own item, drawn again, is no negative.
            own = tf.gather(target["item"], target["label"])[:, None] == target["item"]
            again = own & (tf.range(tf.shape(scores)[1]) != target["label"][:, None])
            scores = tf.where(again, -1e9, scores)
        return self.position_loss(
            scores,
            target["label"],
            log_share=target["log_share"],
            drawn=target["drawn"],
        )
