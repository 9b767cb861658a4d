"""Weighted mean of what came before, its weights learned."""

from __future__ import annotations

import numpy as np

from training.runtime import tf


class WeightedMean(tf.keras.layers.Layer):
    """Each state is a weighted mean of its own item and those before it.

    The weight of an item is the softmax of a learned bias for how far back it is, which starts by
    favouring the newest, plus a bilinear attention from the newest item to it (dot-product
    attention, Luong et al. 2015), which starts at none. The mean is then turned by a matrix that
    starts as the identity.

    Args:
        steps: of the longest sequence.

    Call: float32 [batch, steps, width] -> float32 [batch, steps, width].
    """

    def __init__(self, steps: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.steps = steps

    def build(self, shape: tuple[int, ...]) -> None:
        width = shape[-1]
        newest_first = tf.keras.initializers.Constant(-0.3 * np.arange(self.steps))
        self.back = self.add_weight("back", (self.steps,), initializer=newest_first)
        self.attention = self.add_weight("attention", (width, width), initializer="zeros")
        self.turn = self.add_weight("turn", (width, width), initializer="identity")
        super().build(shape)

    def call(self, embedded: tf.Tensor, training: bool = False) -> tf.Tensor:
        length = tf.shape(embedded)[1]
        asking = tf.matmul(embedded, self.attention)
        scores = tf.matmul(asking, embedded, transpose_b=True)
        scores += tf.gather(self.back, tf.maximum(steps_back(length), 0))
        weights = tf.nn.softmax(tf.where(steps_back(length) >= 0, scores, -1e9))
        return tf.matmul(tf.matmul(weights, embedded), self.turn)


def steps_back(length: tf.Tensor) -> tf.Tensor:
    """int32 [length, length]: how many steps the column is before the row; negative after it."""
    places = tf.range(length)
    return places[:, None] - places[None, :]
