"""How what a history says and what the other features say become one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from training.config import TrainConfig
from training.dropout import Dropout
from training.runtime import tf, tfrs


class MeanFusion(tf.keras.layers.Layer):
    """The mean of all sources, each brought to the width of the vector by a matrix.

    Call: state float32 [batch, width], person float32 [batch, n] -> float32 [batch, width].
    """

    def build(self, shape: tuple[int, ...]) -> None:
        self.bring = tf.keras.layers.Dense(shape[-1])
        super().build(shape)

    def call(self, state: tf.Tensor, person: tf.Tensor, training: bool = False) -> tf.Tensor:
        return 0.5 * (state + self.bring(person))


class WeightedFusion(tf.keras.layers.Layer):
    """As `MeanFusion`, with a learned weight for each source; they sum to one.

    Call: state float32 [batch, width], person float32 [batch, n] -> float32 [batch, width].
    """

    def build(self, shape: tuple[int, ...]) -> None:
        self.bring = tf.keras.layers.Dense(shape[-1])
        self.weights_of = self.add_weight("weights_of", (2,), initializer="zeros")
        super().build(shape)

    def call(self, state: tf.Tensor, person: tf.Tensor, training: bool = False) -> tf.Tensor:
        weights = tf.nn.softmax(self.weights_of)
        return weights[0] * state + weights[1] * self.bring(person)


class NeuralFusion(tf.keras.layers.Layer):
    """The state, corrected by a gated layer that sees all sources (GLU, Dauphin et al. 2017).

    The correction starts at zero: at first only the history speaks.

    Args:
        hidden: width of the layer.
        dropout: share of its units dropped while training.

    Call: state float32 [batch, width], person float32 [batch, n] -> float32 [batch, width].
    """

    def __init__(self, hidden: int, dropout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.hidden = hidden
        self.dropout = Dropout(dropout)

    def build(self, shape: tuple[int, ...]) -> None:
        dense = tf.keras.layers.Dense
        self.inner = dense(self.hidden, "gelu")
        self.gate = dense(self.hidden, "sigmoid")
        self.correction = dense(shape[-1], kernel_initializer="zeros")
        super().build(shape)

    def call(self, state: tf.Tensor, person: tf.Tensor, training: bool = False) -> tf.Tensor:
        sources = tf.concat([state, person], axis=1)
        hidden = self.dropout(self.inner(sources) * self.gate(sources), training=training)
        return state + self.correction(hidden)


class CrossFusion(tf.keras.layers.Layer):
    """The state, corrected by a cross layer over all sources (DCN v2, Wang et al., WWW 2021).

    Args:
        hidden: rank of the cross layer's matrix.
        dropout: share of its outputs dropped while training.

    Call: state float32 [batch, width], person float32 [batch, n] -> float32 [batch, width].
    """

    def __init__(self, hidden: int, dropout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.cross = tfrs.layers.dcn.Cross(projection_dim=hidden)
        self.dropout = Dropout(dropout)

    def build(self, shape: tuple[int, ...]) -> None:
        self.correction = tf.keras.layers.Dense(shape[-1], kernel_initializer="zeros")
        super().build(shape)

    def call(self, state: tf.Tensor, person: tf.Tensor, training: bool = False) -> tf.Tensor:
        crossed = self.cross(tf.concat([state, person], axis=1))
        return state + self.correction(self.dropout(crossed, training=training))


_FUSIONS: Mapping[str, Callable[[TrainConfig], tf.keras.layers.Layer]] = {
    "mean": lambda config: MeanFusion(name="fusion"),
    "weighted": lambda config: WeightedFusion(name="fusion"),
    "neural": lambda config: NeuralFusion(config.hidden, config.dropout, name="fusion"),
    "cross": lambda config: CrossFusion(config.hidden, config.dropout, name="fusion"),
}
NAMES = tuple(_FUSIONS)


def fusion(config: TrainConfig) -> tf.keras.layers.Layer:
    """The fusion that a config names."""
    return _FUSIONS[config.fusion](config)
