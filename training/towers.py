"""The two towers: a person's features to a query vector, an item's to a candidate vector.

Both are built from an `Encoding`, so they take whatever columns the feature service declares.
The embedding of items is shared: an item in a history and the same item as a candidate are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilestore.encoding import LIST_LENGTH, PAD, UNKNOWN, Encoding, Vocabulary
from training.config import TrainConfig
from training.dataset import ITEM_VOCABULARY
from training.runtime import tf

_BATCH = 8192


class RecentItems(tf.keras.layers.Layer):
    """Weighted mean of a history's embeddings; the weights are learned.

    The weight of an item is the softmax of a learned bias for its place, which starts by favouring
    the newest, plus a bilinear attention from the newest item to it (dot-product attention, Luong
    et al. 2015), which starts at none.

    Args:
        dropout: share of the history's items hidden while training.

    Call: embedded float32 [batch, LIST_LENGTH, e] newest first, ids int32 [batch, LIST_LENGTH]
    -> float32 [batch, e]. A person without history gets a learned vector.
    """

    def __init__(self, dropout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.dropout = dropout

    def build(self, shape: tuple[int, ...]) -> None:
        width = shape[-1]
        newest_first = tf.keras.initializers.Constant(-0.3 * np.arange(LIST_LENGTH))
        self.place = self.add_weight("place", (LIST_LENGTH,), initializer=newest_first)
        self.attention = self.add_weight("attention", (width, width), initializer="zeros")
        self.turn = self.add_weight("turn", (width, width), initializer="identity")
        self.nobody = self.add_weight("nobody", (width,), initializer="zeros")
        super().build(shape)

    def call(self, embedded: tf.Tensor, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        there = tf.cast(tf.not_equal(ids, PAD), tf.float32)
        if training and self.dropout:
            kept = tf.random.uniform(tf.shape(there)) >= self.dropout
            there *= tf.cast(kept, tf.float32)
        anything = tf.reduce_max(there, axis=1, keepdims=True)
        asking = tf.matmul(embedded[:, 0, :], self.attention)
        scores = self.place + tf.einsum("be,ble->bl", asking, embedded)
        weights = tf.nn.softmax(scores + (there - 1.0) * 1e9) * anything
        pooled = tf.einsum("bl,ble->be", weights, embedded)
        return tf.matmul(pooled, self.turn) + self.nobody * (1.0 - anything)


class WeightedBag(tf.keras.layers.Layer):
    """Weighted mean of embeddings; zero when every weight is.

    Call: embedded float32 [batch, n, e], weights float32 [batch, n] -> float32 [batch, e].
    """

    def call(self, embedded: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        weighted = tf.reduce_sum(embedded * weights[:, :, None], axis=1)
        return tf.math.divide_no_nan(weighted, total)


class IdDropout(tf.keras.layers.Layer):
    """Replaces a share of ids by `UNKNOWN` while training.

    Call: ids int32 [batch] -> int32 [batch].
    """

    def __init__(self, rate: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return ids
        hidden = tf.random.uniform(tf.shape(ids)) < self.rate
        return tf.where(hidden, tf.constant(UNKNOWN, ids.dtype), ids)


def embeddings(
    config: TrainConfig,
    vocabularies: Mapping[str, Vocabulary],
    started: Mapping[str, np.ndarray],
) -> dict[str, tf.keras.layers.Embedding]:
    """One embedding a vocabulary, shared by both towers.

    Args:
        started: vocabulary -> float32 [ids, dimension] to start from; the others start at random.
    """
    layers = {}
    for name, vocabulary in vocabularies.items():
        start = (
            tf.keras.initializers.Constant(started[name])
            if name in started
            else tf.keras.initializers.RandomNormal(stddev=0.1)
        )
        layers[name] = tf.keras.layers.Embedding(
            len(vocabulary), config.dimension, start, name=f"embedding_{name}"
        )
    return layers


def inputs_of(encoding: Encoding, *, item_id: bool = False) -> dict[str, tf.keras.Input]:
    """The Keras inputs that `Encoding.encode` fills."""
    keras = tf.keras
    inputs = {"numbers": keras.Input((encoding.floats,), name="numbers")}
    for name in encoding.ids:
        inputs[name] = keras.Input((), name=name, dtype=tf.int32)
    for name in encoding.id_lists:
        inputs[name] = keras.Input((LIST_LENGTH,), name=name, dtype=tf.int32)
    for name in encoding.weights:
        weights = f"{name}__weights"
        inputs[weights] = keras.Input((LIST_LENGTH,), name=weights)
    if item_id:
        inputs["item_id"] = keras.Input((), name="item_id", dtype=tf.int32)
    return inputs


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each float of `numbers`, float64 [floats] each."""

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]

    @classmethod
    def of(cls, numbers: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> Moments:
        """Those of some rows, read a batch at a time."""
        total = np.zeros((2, numbers.shape[1]))
        for first in range(0, len(rows), _BATCH):
            some = numbers[rows[first : first + _BATCH]].astype(np.float64)
            total += some.sum(axis=0), (some**2).sum(axis=0)
        mean, square = total / max(len(rows), 1)
        return cls(mean, np.maximum(square - mean**2, 0.0))


def query_tower(
    config: TrainConfig,
    encoding: Encoding,
    embedding: Mapping[str, tf.keras.layers.Embedding],
    numbers: Moments,
) -> tf.keras.Model:
    """Inputs of `encoding` -> `vector` float32 [batch, dimension].

    The history's mean embedding, corrected by what it and all other features say together.
    """
    inputs = inputs_of(encoding)
    histories = [
        RecentItems(config.history_dropout, name=f"recent_{name}")(
            embedding[ITEM_VOCABULARY](inputs[name]), inputs[name]
        )
        for name, vocabulary in encoding.id_lists.items()
        if vocabulary == ITEM_VOCABULARY
    ]
    others = _scalars_and_bags(encoding, embedding, inputs, numbers, "query")
    correction = _correction(config, [*others, *histories], "query")
    vector = tf.keras.layers.Add(name="query_vector")([*histories, correction])
    return tf.keras.Model(inputs, vector, name="query_tower")


def candidate_tower(
    config: TrainConfig,
    encoding: Encoding,
    embedding: Mapping[str, tf.keras.layers.Embedding],
    numbers: Moments,
) -> tf.keras.Model:
    """Inputs of `encoding` and `item_id` int32 [batch] -> `vector` float32 [batch, dimension].

    The id's embedding, corrected by what the attributes say; an unknown item is placed by them.
    """
    inputs = inputs_of(encoding, item_id=True)
    own = embedding[ITEM_VOCABULARY](
        IdDropout(config.id_dropout, name="id_dropout")(inputs["item_id"])
    )
    others = _scalars_and_bags(encoding, embedding, inputs, numbers, "candidate")
    correction = _correction(config, others, "candidate")
    vector = tf.keras.layers.Add(name="candidate_vector")([own, correction])
    return tf.keras.Model(inputs, vector, name="candidate_tower")


def _scalars_and_bags(
    encoding: Encoding,
    embedding: Mapping[str, tf.keras.layers.Embedding],
    inputs: Mapping[str, tf.Tensor],
    numbers: Moments,
    tower: str,
) -> list[tf.Tensor]:
    """Everything but the lists of items: standardised numbers, single ids, weighted bags of ids."""
    normalise = tf.keras.layers.Normalization(
        mean=numbers.mean, variance=numbers.variance, name=f"{tower}_normaliser"
    )
    parts = [normalise(inputs["numbers"])]
    parts += [embedding[kind](inputs[name]) for name, kind in encoding.ids.items()]
    for name, kind in encoding.id_lists.items():
        if kind == ITEM_VOCABULARY:
            continue
        ids = inputs[name]
        weights = (
            inputs[f"{name}__weights"]
            if name in encoding.weights
            else tf.cast(tf.not_equal(ids, PAD), tf.float32)
        )
        parts.append(WeightedBag(name=f"{tower}_{name}_bag")(embedding[kind](ids), weights))
    return parts


def _correction(config: TrainConfig, parts: list[tf.Tensor], tower: str) -> tf.Tensor:
    """float32 [batch, dimension], zero before the first step: only the embeddings speak then."""
    layers = tf.keras.layers
    hidden = layers.Concatenate(name=f"{tower}_parts")(parts) if len(parts) > 1 else parts[0]
    hidden = layers.Dense(config.hidden, "gelu", name=f"{tower}_hidden")(hidden)
    hidden = layers.Dropout(config.dropout, name=f"{tower}_dropout")(hidden)
    return layers.Dense(config.dimension, kernel_initializer="zeros", name=f"{tower}_correction")(
        hidden
    )
