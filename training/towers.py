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
from training.dropout import Counted, Dropout
from training.encoders import history_encoder
from training.fusion import fusion
from training.heads import Head
from training.runtime import tf

_BATCH = 8192
# Standard deviations from the mean of the training window.
BOUND = 6.0


class StartToken(tf.keras.layers.Layer):
    """Puts a learned vector ahead of a sequence: what a history says before it begins.

    Call: float32 [batch, steps, width] -> float32 [batch, steps + 1, width].
    """

    def build(self, shape: tuple[int, ...]) -> None:
        self.start = self.add_weight("start", (shape[-1],), initializer="zeros")
        super().build(shape)

    def call(self, embedded: tf.Tensor) -> tf.Tensor:
        start = tf.broadcast_to(self.start, (tf.shape(embedded)[0], 1, embedded.shape[-1]))
        return tf.concat([start, embedded], axis=1)


class WeightedBag(tf.keras.layers.Layer):
    """Weighted mean of embeddings; zero when every weight is.

    Call: embedded float32 [batch, n, e], weights float32 [batch, n] -> float32 [batch, e].
    """

    def call(self, embedded: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        weights = tf.cast(weights, embedded.dtype)
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        weighted = tf.reduce_sum(embedded * weights[:, :, None], axis=1)
        return tf.math.divide_no_nan(weighted, total)


class Bounded(tf.keras.layers.Layer):
    """What is further out than `BOUND` is put there: a number that nearly every row has, and one
    lacks, would be a thousand standard deviations off.

    Call: float32 [batch, n] -> float32 [batch, n].
    """

    def call(self, numbers: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(numbers, -BOUND, BOUND)


class IdDropout(Counted):
    """Replaces a share of ids by `UNKNOWN` while training.

    Call: ids int32 [batch] -> int32 [batch].
    """

    def __init__(self, rate: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return ids
        hidden = self.uniform(tf.shape(ids)) < self.rate
        return tf.where(hidden, tf.constant(UNKNOWN, ids.dtype), ids)


class Along(tf.keras.layers.Layer):
    """A number times a learned direction, which begins as the one in which every part of the
    vectors has length one.

    Args:
        width, parts: of the vectors.

    Call: float32 [batch, 1] -> float32 [batch, width].
    """

    def __init__(self, width: int, parts: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.width, self.parts = width, parts

    def build(self, shape: tuple[int, ...]) -> None:
        start = tf.keras.initializers.Constant((self.parts / self.width) ** 0.5)
        self.direction = self.add_weight("direction", (self.width,), initializer=start)
        super().build(shape)

    def call(self, numbers: tf.Tensor) -> tf.Tensor:
        return numbers * self.direction


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
    for name, length in encoding.vectors.items():
        inputs[name] = keras.Input((length,), name=name)
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

    def standardised(self, numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What the towers make of numbers float32 [rows, floats]."""
        scale = np.maximum(np.sqrt(self.variance), tf.keras.backend.epsilon())
        return np.clip((numbers - self.mean) / scale, -BOUND, BOUND).astype(np.float32)


class QueryTower(tf.keras.Model):
    """A person's history and features to a query vector.

    Args:
        steps: events of the longest history.
        popularity: whether the candidates have a direction of their own for it; each query then
            has its share of that direction.
        heads: what else it foretells, by name.

    Call: inputs of `Encoding.encode` -> float32 [batch, dimension].
    """

    def __init__(
        self,
        config: TrainConfig,
        encoding: Encoding,
        embedding: Mapping[str, tf.keras.layers.Embedding],
        numbers: Moments,
        *,
        steps: int = LIST_LENGTH,
        popularity: bool = False,
        heads: Mapping[str, Head] | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.encoding = encoding
        self.lists = {
            name: embedding[encoding.id_lists[name]] for name in encoding.histories(ITEM_VOCABULARY)
        }
        self.start = StartToken(name="start")
        self.cosine = config.cosine
        self.encoder = history_encoder(config, steps + 1)
        self.person = person_features(encoding, embedding, numbers)
        self.fusion = fusion(config) if self.person else None
        self.asks_popularity = (
            Along(config.dimension, config.parts, name="popularity") if popularity else None
        )
        self.heads = dict(heads or {})

    def states(self, history: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """float32 [batch, steps + 1, dimension]: state k knows the first k events.

        Args:
            history: int32 [batch, steps] each, oldest first, padded at the end.
        """
        embedded = tf.add_n([layer(history[name]) for name, layer in self.lists.items()])
        return self.encoder(self.start(embedded), training=training)

    def answers(
        self, state: tf.Tensor, person: Mapping[str, tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Of positions' states and features: vectors float32 [positions, dimension], and the raw
        outputs of each head."""
        if self.asks_popularity:
            state += self.asks_popularity(tf.ones((1, 1)))
        vector, sources = state, state
        if self.person:
            features = self.person(
                {name: person[name] for name in self.person.input}, training=training
            )
            vector = self.fusion(state, features, training=training)
            sources = tf.concat([vector, features], axis=1)
        raw = {
            name: tf.cast(head(sources, training=training), tf.float32)
            for name, head in self.heads.items()
        }
        vector = tf.cast(vector, tf.float32)
        return (tf.nn.l2_normalize(vector, axis=1) if self.cosine else vector), raw

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self._of_rows(inputs, training)[0]

    def vectors_and_scores(
        self, inputs: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """float32 [batch, dimension], and what the heads say, not calibrated (`training.heads`)."""
        vector, raw = self._of_rows(inputs, training=False)
        return vector, {name: head.scores(raw[name]) for name, head in self.heads.items()}

    def get_config(self) -> dict[str, object]:
        """Nothing: a tower is exported, not made anew from a config of Keras."""
        return {}

    def _of_rows(
        self, inputs: Mapping[str, tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        there = tf.cast(tf.not_equal(inputs[next(iter(self.lists))], PAD), tf.int32)
        length = tf.reduce_sum(there, axis=1)
        states = self.states(
            {name: tf.reverse_sequence(inputs[name], length, seq_axis=1) for name in self.lists},
            training=training,
        )
        # Picked by a product: a gather with batch dimensions is not in every exported form.
        last = tf.one_hot(length, tf.shape(states)[1], dtype=states.dtype)
        return self.answers(tf.einsum("bs,bsw->bw", last, states), inputs, training=training)


def person_features(
    encoding: Encoding, embedding: Mapping[str, tf.keras.layers.Embedding], numbers: Moments
) -> tf.keras.Model | None:
    """Inputs without histories -> float32 [batch, n]; None if there is none."""
    histories = encoding.histories(ITEM_VOCABULARY)
    inputs = {
        name: tensor
        for name, tensor in inputs_of(encoding).items()
        if name.removesuffix("__weights") not in histories
    }
    if not encoding.floats:
        del inputs["numbers"]
    if not inputs:
        return None
    parts = _scalars_and_bags(encoding, embedding, inputs, numbers, "query")
    joined = tf.keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    return tf.keras.Model(inputs, joined, name="person")


def candidate_tower(
    config: TrainConfig,
    encoding: Encoding,
    embedding: Mapping[str, tf.keras.layers.Embedding],
    numbers: Moments,
    popularity: npt.NDArray[np.float32] | None = None,
) -> tf.keras.Model:
    """Inputs of `encoding` and `item_id` int32 [batch] -> `vector` float32 [batch, dimension].

    The id's embedding, corrected by what the attributes say; an unknown item is placed by them.

    Args:
        popularity: float32 [floats], what the standardised numbers say of how often an item is
            turned to, which begins as a direction of its own (`training.prior`).
    """
    inputs = inputs_of(encoding, item_id=True)
    own = embedding[ITEM_VOCABULARY](
        IdDropout(config.id_dropout, name="id_dropout")(inputs["item_id"])
    )
    if not encoding.floats:
        del inputs["numbers"]
    others = _scalars_and_bags(encoding, embedding, inputs, numbers, "candidate")
    vector = own
    if others:
        correction = _correction(config, others, "candidate")
        vector = tf.keras.layers.Add(name="candidate_vector")([own, correction])
    if popularity is not None:
        # The first of the parts is the numbers.
        often = tf.keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer=tf.keras.initializers.Constant(popularity[:, None]),
            name="candidate_popularity",
        )(others[0])
        along = Along(config.dimension, config.parts, name="candidate_along")
        vector = tf.keras.layers.Add(name="candidate_often")([vector, along(often)])
    if config.cosine:
        vector = tf.keras.layers.UnitNormalization(name="candidate_direction")(vector)
    return tf.keras.Model(inputs, vector, name="candidate_tower")


def _scalars_and_bags(
    encoding: Encoding,
    embedding: Mapping[str, tf.keras.layers.Embedding],
    inputs: Mapping[str, tf.Tensor],
    numbers: Moments,
    tower: str,
) -> list[tf.Tensor]:
    """What the inputs hold: standardised numbers, single ids, weighted bags of ids, vectors."""
    parts = []
    if "numbers" in inputs:
        normalise = tf.keras.layers.Normalization(
            mean=numbers.mean,
            variance=numbers.variance,
            name=f"{tower}_normaliser",
            # Whatever the arithmetic after it: the mean of large numbers is taken off here.
            dtype=tf.float32,
        )
        parts.append(Bounded(name=f"{tower}_bounded")(normalise(inputs["numbers"])))
    parts += [embedding[kind](inputs[name]) for name, kind in encoding.ids.items()]
    for name, kind in encoding.id_lists.items():
        if name not in inputs:
            continue
        ids = inputs[name]
        weights = (
            inputs[f"{name}__weights"]
            if name in encoding.weights
            else tf.cast(tf.not_equal(ids, PAD), tf.float32)
        )
        parts.append(WeightedBag(name=f"{tower}_{name}_bag")(embedding[kind](ids), weights))
    # Of length one, as vectors of texts are: their numbers are made as large as standardised ones.
    parts += [
        tf.keras.layers.Rescaling(length**0.5, name=f"{tower}_{name}_rescaled")(inputs[name])
        for name, length in encoding.vectors.items()
    ]
    return parts


def _correction(config: TrainConfig, parts: list[tf.Tensor], tower: str) -> tf.Tensor:
    """float32 [batch, dimension], zero before the first step: only the embeddings speak then."""
    layers = tf.keras.layers
    hidden = layers.Concatenate(name=f"{tower}_parts")(parts) if len(parts) > 1 else parts[0]
    hidden = layers.Dense(config.hidden, "gelu", name=f"{tower}_hidden")(hidden)
    hidden = Dropout(config.dropout, name=f"{tower}_dropout")(hidden)
    return layers.Dense(config.dimension, kernel_initializer="zeros", name=f"{tower}_correction")(
        hidden
    )
