"""Gated recurrent networks."""

from __future__ import annotations

from training.dropout import Dropout
from training.runtime import tf


def _lstm(width: int) -> tf.keras.layers.Layer:
    # Keras' own LSTM layer becomes one fused operation when exported, whose approximate gates are
    # up to 1e-3 off after fifty steps.
    return tf.keras.layers.RNN(tf.keras.layers.LSTMCell(width), return_sequences=True)


def _gru(width: int) -> tf.keras.layers.Layer:
    return tf.keras.layers.GRU(width, return_sequences=True)


_LAYERS = {"gru": _gru, "lstm": _lstm}


class Recurrent(tf.keras.layers.Layer):
    """GRU (Cho et al. 2014; for sessions GRU4Rec, Hidasi et al., ICLR 2016) or LSTM (Hochreiter and
    Schmidhuber 1997), one over the other.

    Args:
        kind: `gru` or `lstm`.
        layers: how many; above the first each adds to the states of the one below it.
        dropout: share of what comes in and of what goes out that is dropped while training.

    Call: float32 [batch, steps, width] -> float32 [batch, steps, width].
    """

    def __init__(self, kind: str, layers: int, *, dropout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.kind, self.layers = kind, layers
        self.dropout = Dropout(dropout)

    def build(self, shape: tuple[int, ...]) -> None:
        self.cells = [_LAYERS[self.kind](shape[-1]) for _ in range(self.layers)]
        super().build(shape)

    def call(self, embedded: tf.Tensor, training: bool = False) -> tf.Tensor:
        states = self.dropout(embedded, training=training)
        for n, cell in enumerate(self.cells):
            below = states
            states = self.dropout(cell(below), training=training)
            if n:
                states += below
        return states
