"""History encoders: what a person had turned to, in order, to what they may turn to next.

An encoder is a Keras layer over a sequence that begins with a token for "nothing yet":

    embedded float32 [batch, steps, width], oldest first -> states float32 [batch, steps, width]

State k knows the first k items and no later one, so every position of a sequence is trained on in
one pass. Sequences are padded at the end: no state ahead of the padding can see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from training.config import TrainConfig
from training.encoders.attention import SelfAttention
from training.encoders.convolution import Convolutions
from training.encoders.mean import WeightedMean
from training.encoders.recurrent import Recurrent
from training.runtime import tf

_ENCODERS: Mapping[str, Callable[[TrainConfig, int, str], tf.keras.layers.Layer]] = {
    "mean": lambda config, steps, name: WeightedMean(steps, name=name),
    "cnn": lambda config, steps, name: Convolutions(
        config.layers, dropout=config.dropout, name=name
    ),
    "gru": lambda config, steps, name: Recurrent(
        "gru", config.layers, dropout=config.dropout, name=name
    ),
    "lstm": lambda config, steps, name: Recurrent(
        "lstm", config.layers, dropout=config.dropout, name=name
    ),
    "attention": lambda config, steps, name: SelfAttention(
        config.layers, heads=config.attention_heads, steps=steps, dropout=config.dropout, name=name
    ),
}
NAMES = tuple(_ENCODERS)


class Parts(tf.keras.layers.Layer):
    """Encoders side by side, each over its own part of the width.

    Call: float32 [batch, steps, width] -> float32 [batch, steps, width].
    """

    def __init__(self, encoders: list[tf.keras.layers.Layer], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.encoders = encoders

    def call(self, embedded: tf.Tensor, training: bool = False) -> tf.Tensor:
        parts = tf.split(embedded, len(self.encoders), axis=2)
        pairs = zip(self.encoders, parts, strict=True)
        return tf.concat([encoder(part, training=training) for encoder, part in pairs], axis=2)


def history_encoder(config: TrainConfig, steps: int) -> tf.keras.layers.Layer:
    """The encoder that a config names, or those.

    Args:
        steps: of the longest sequence, its first token included.
    """
    names = config.encoder.split("+")
    if len(names) == 1:
        return _ENCODERS[names[0]](config, steps, "encoder")
    parts = [_ENCODERS[name](config, steps, f"{name}_{n}") for n, name in enumerate(names)]
    return Parts(parts, name="encoder")
