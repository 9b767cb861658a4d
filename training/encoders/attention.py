"""Causal self-attention."""

from __future__ import annotations

from training.dropout import Dropout
from training.encoders.mean import steps_back
from training.runtime import tf


class SelfAttention(tf.keras.layers.Layer):
    """Transformer blocks over a history (SASRec, Kang and McAuley, ICDM 2018), normalised ahead of
    each part (Xiong et al., ICML 2020), with gated feed-forward parts (Shazeer 2020) and a learned
    bias of each head for how far back an item is (Shaw et al., NAACL 2018; Raffel et al. 2020).

    Args:
        layers: number of blocks.
        heads: of each block; the width is a multiple of it.
        steps: of the longest sequence.
        dropout: share of units dropped while training.

    Call: float32 [batch, steps, width] -> float32 [batch, steps, width].
    """

    def __init__(
        self, layers: int, *, heads: int, steps: int, dropout: float, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.blocks = [_Block(heads, steps, dropout) for _ in range(layers)]
        self.dropout = Dropout(dropout)
        self.normalise = tf.keras.layers.LayerNormalization(epsilon=1e-6)

    def call(self, embedded: tf.Tensor, training: bool = False) -> tf.Tensor:
        states = self.dropout(embedded, training=training)
        for block in self.blocks:
            states = block(states, training=training)
        return self.normalise(states)


class _Block(tf.keras.layers.Layer):
    def __init__(self, heads: int, steps: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.steps = heads, steps
        self.dropout = Dropout(dropout)

    def build(self, shape: tuple[int, ...]) -> None:
        layers, width = tf.keras.layers, shape[-1]
        self.before_attention = layers.LayerNormalization(epsilon=1e-6)
        self.before_feed = layers.LayerNormalization(epsilon=1e-6)
        self.project = layers.Dense(3 * width, use_bias=False)
        self.join = layers.Dense(width)
        self.gate = layers.Dense(2 * width, "swish", use_bias=False)
        self.feed = layers.Dense(2 * width, use_bias=False)
        self.narrow = layers.Dense(width)
        self.back = self.add_weight("back", (self.heads, self.steps), initializer="zeros")
        super().build(shape)

    def call(self, states: tf.Tensor, training: bool = False) -> tf.Tensor:
        states += self.dropout(
            self.join(self._attend(self.before_attention(states), training)), training=training
        )
        inner = self.before_feed(states)
        inner = self.narrow(self.gate(inner) * self.feed(inner))
        return states + self.dropout(inner, training=training)

    def _attend(self, states: tf.Tensor, training: bool) -> tf.Tensor:
        batch, length = tf.shape(states)[0], tf.shape(states)[1]
        width = states.shape[-1]
        head = width // self.heads
        parts = tf.reshape(self.project(states), (batch, length, 3, self.heads, head))
        query, key, value = tf.unstack(tf.transpose(parts, (2, 0, 3, 1, 4)), num=3)
        scores = tf.matmul(query, key, transpose_b=True) * head**-0.5
        back = steps_back(length)
        scores += tf.gather(self.back, tf.maximum(back, 0), axis=1)
        weights = tf.nn.softmax(tf.where(back >= 0, scores, -1e9))
        weights = self.dropout(weights, training=training)
        mixed = tf.transpose(tf.matmul(weights, value), (0, 2, 1, 3))
        return tf.reshape(mixed, (batch, length, width))
