"""Heads: what else than the next item the query tower foretells.

A head is a Keras layer over all that the tower knows of a person:

    sources float32 [batch, n] -> raw float32 [batch, outputs]

with its loss over raw outputs and labels, and `scores`, what is exported and then calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from training.config import HeadConfig, TrainConfig
from training.dropout import Dropout
from training.runtime import tf


class Head(tf.keras.layers.Layer):
    """A hidden layer and one of outputs.

    Args:
        hidden: units of the hidden layer.
        dropout: share of them dropped while training.
        outputs: per row.

    Call: float32 [batch, n] -> float32 [batch, outputs].
    """

    def __init__(self, hidden: int, dropout: float, outputs: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.inner = tf.keras.layers.Dense(hidden, "gelu")
        self.dropout = Dropout(dropout)
        self.outer = tf.keras.layers.Dense(outputs, kernel_initializer="zeros")

    def call(self, sources: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.outer(self.dropout(self.inner(sources), training=training))

    def loss(self, raw: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """float32 [batch], of labels float32 [batch] that are all known."""
        raise NotImplementedError

    def scores(self, raw: tf.Tensor) -> tf.Tensor:
        """What is exported, not calibrated yet."""
        return raw


class Binary(Head):
    """Will it be so? Exports the logit, float32 [batch, 1]."""

    def loss(self, raw: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return tf.nn.sigmoid_cross_entropy_with_logits(values, raw[:, 0])


class Category(Head):
    """Which of some classes? Exports the logits, float32 [batch, classes]."""

    def loss(self, raw: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(values, tf.int32), raw)


class Amount(Head):
    """How much, of an amount that is zero for many and has a long tail for the others?

    Zero-inflated lognormal (Wang, Liu and Miao 2019): the outputs are the logit of there being any,
    and the mean and, by softplus, the deviation of its logarithm. Exports the expected amount,
    float32 [batch, 1].
    """

    def loss(self, raw: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        there = tf.cast(values > 0.0, tf.float32)
        any_loss = tf.nn.sigmoid_cross_entropy_with_logits(there, raw[:, 0])
        deviation = self._deviation(raw)
        log_value = tf.math.log(tf.where(values > 0.0, values, 1.0))
        off = (log_value - raw[:, 1]) / deviation
        log_loss = 0.5 * tf.square(off) + tf.math.log(deviation) + 0.5 * math.log(2 * math.pi)
        return any_loss + there * (log_loss + log_value)

    def scores(self, raw: tf.Tensor) -> tf.Tensor:
        mean_of_log = raw[:, 1] + 0.5 * tf.square(self._deviation(raw))
        # A tail that was not seen must not become an amount that nobody ever had.
        expected = tf.exp(tf.minimum(mean_of_log, 20.0))
        return (tf.sigmoid(raw[:, 0]) * expected)[:, None]

    def _deviation(self, raw: tf.Tensor) -> tf.Tensor:
        return tf.maximum(tf.nn.softplus(raw[:, 2]), 0.05)


_HEADS: Mapping[str, Callable[..., Head]] = {
    "binary": Binary,
    "category": Category,
    "amount": Amount,
}
_OUTPUTS = {"binary": 1, "amount": 3}


def head_of(config: TrainConfig, head: HeadConfig, classes: int) -> Head:
    """The layer of a head.

    Args:
        classes: of a category.
    """
    outputs = _OUTPUTS.get(head.kind, classes)
    return _HEADS[head.kind](config.hidden, config.dropout, outputs, name=f"head_{head.name}")


class WeightedSum(tf.keras.layers.Layer):
    """The losses of heads, as one.

    Each is the mean over the rows whose label is known. `set`: times the head's weight. `learned`:
    by how uncertain each head is (Kendall, Gal and Cipolla, CVPR 2018): exp(-s) loss + s, with s
    learned, so that each head pulls by what it lessens its loss relative to what it is.

    Args:
        weights: of each head, of `set`.
        learned: whether they are learned.
    """

    def __init__(self, weights: Mapping[str, float], learned: bool, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.given, self.learned = dict(weights), learned

    def build(self, shape: object) -> None:
        if self.learned:
            self.uncertainty = {
                name: self.add_weight(f"uncertainty_{name}", (), initializer="zeros")
                for name in self.given
            }
        super().build(shape)

    def call(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [] of float32 [] each."""
        if not self.learned:
            return tf.add_n([self.given[name] * loss for name, loss in losses.items()])
        return tf.add_n(
            [
                tf.exp(-self.uncertainty[name]) * loss + self.uncertainty[name]
                for name, loss in losses.items()
            ]
        )


def mean_where_known(head: Head, raw: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """float32 [], the mean loss of the rows whose label is known; 0 if there is none.

    Args:
        values: float32 [batch], NaN where it is not known.
    """
    known = tf.logical_not(tf.math.is_nan(values))
    # Put to a number first: a gradient through what is not a number is none.
    losses = head.loss(raw, tf.where(known, values, 0.0))
    return tf.math.divide_no_nan(
        tf.reduce_sum(tf.where(known, losses, 0.0)), tf.reduce_sum(tf.cast(known, tf.float32))
    )
