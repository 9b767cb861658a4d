"""Causal convolutions that reach twice as far back with each layer."""

from __future__ import annotations

from training.dropout import Dropout
from training.runtime import tf

_KERNEL = 3


class Convolutions(tf.keras.layers.Layer):
    """Residual blocks of two dilated causal convolutions (NextItNet, Yuan et al., WSDM 2019).

    The first of a block's convolutions of width 3 skips 2^n steps in block n, the second twice as
    many, so that block n adds 6 * 2^(2n) steps to what a state sees.

    Args:
        layers: number of blocks.
        dropout: share of units dropped while training.

    Call: float32 [batch, steps, width] -> float32 [batch, steps, width].
    """

    def __init__(self, layers: int, *, dropout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.layers = layers
        self.dropout = Dropout(dropout)

    def build(self, shape: tuple[int, ...]) -> None:
        layers = tf.keras.layers
        self.blocks = [
            [
                (
                    layers.Conv1D(
                        shape[-1], _KERNEL, padding="causal", dilation_rate=2 ** (2 * n + half)
                    ),
                    layers.LayerNormalization(epsilon=1e-6),
                )
                for half in range(2)
            ]
            for n in range(self.layers)
        ]
        super().build(shape)

    def call(self, embedded: tf.Tensor, training: bool = False) -> tf.Tensor:
        states = embedded
        for block in self.blocks:
            inner = states
            for convolution, normalise in block:
                inner = tf.nn.relu(normalise(convolution(inner)))
            states += self.dropout(inner, training=training)
        return states
