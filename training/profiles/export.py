"""From a trained autoencoder to what serving can run: numbers to vector and error, in LiteRT."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.profiles.autoencoder import Autoencoder
from training.profiles.standard import BOUND, Standard
from training.runtime import tf


class Encoder(tf.Module):
    """Numbers as `Encoding.encode` makes them to a vector and its error: standardisation and masks
    as in `Standard.table`.

    Call: numbers float32 [batch, floats] -> vector float32 [batch, dimension], error float32
    [batch].
    """

    def __init__(self, standard: Standard, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.standard, self.autoencoder = standard, autoencoder

    def __call__(self, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        standard = self.standard
        there = tf.cast(tf.gather(numbers, 2 * standard.place + 1, axis=1) > 0, tf.float32)
        known = tf.maximum(there, standard.always.astype(np.float32))
        scaled = (
            tf.gather(numbers, 2 * standard.place, axis=1) - standard.mean.astype(np.float32)
        ) / standard.scale.astype(np.float32)
        values = tf.clip_by_value(scaled, -BOUND, BOUND) * known
        vector = self.autoencoder.vectors(values, known)
        return {"vector": vector, "error": self.autoencoder.error(values, known)}


def to_litert(encoder: Encoder, floats: int) -> bytes:
    """The encoder as a LiteRT model of one row."""

    @tf.function(input_signature=[tf.TensorSpec((1, floats), tf.float32, "numbers")])
    def encode(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder(numbers)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [encode.get_concrete_function()], encoder
    )
    return bytes(converter.convert())


def difference(
    exported: bytes, numbers: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]
) -> float:
    """How far the vectors of an exported encoder are from those of the trained one, at most."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    runner = Interpreter(
        model_content=exported,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    ).get_signature_runner("serving_default")
    found = np.concatenate(
        [runner(numbers=numbers[[row]])["vector"] for row in range(len(numbers))]
    )
    return float(np.abs(found - vectors).max())
