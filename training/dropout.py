"""Dropout that a resumed run repeats."""

from __future__ import annotations

import random

from training.runtime import tf


class Counted(tf.keras.layers.Layer):
    """A layer that draws at random while training, by a count of its calls that is one of its
    weights: kept with them, so that a run that is resumed draws what it would have drawn.

    Keras' own random layers draw from a state that no checkpoint has.
    """

    def build(self, shape: tuple[int, ...]) -> None:
        # Python's generator is seeded by `tf.keras.utils.set_random_seed`.
        self.salt = random.getrandbits(31)
        self.calls = self.add_weight(
            "calls",
            (),
            dtype=tf.int64,
            initializer="zeros",
            trainable=False,
            # Devices count alike.
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        super().build(shape)

    def uniform(self, shape: tf.Tensor) -> tf.Tensor:
        """float32 of a shape, in [0, 1); others at each call, and on each device."""
        self.calls.assign_add(1)
        context = tf.distribute.get_replica_context()
        draw = self.calls * context.num_replicas_in_sync
        draw += tf.cast(context.replica_id_in_sync_group, tf.int64)
        seed = tf.stack([tf.constant(self.salt, tf.int64), draw])
        return tf.random.stateless_uniform(shape, seed)


class Dropout(Counted):
    """Sets a share of its inputs to zero while training, and raises the others by as much
    (Srivastava et al. 2014).

    Call: float32, any shape -> the same shape.
    """

    def __init__(self, rate: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return inputs
        kept = self.uniform(tf.shape(inputs)) >= self.rate
        return tf.where(kept, inputs / (1.0 - self.rate), 0.0)
