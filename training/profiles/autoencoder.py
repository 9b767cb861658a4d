"""A denoising autoencoder over a person's columns (Vincent et al., ICML 2008).

It is given a row of which some values are hidden, and has to give back the whole row. A value that
is hidden while training and one that is missing in truth are the same to it: 0, with a mask beside
it that says so. So it learns to fill in what it is not told from what it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from profilestore.errors import InputError
from training.dropout import Counted
from training.profiles.config import ProfilesConfig
from training.profiles.standard import Table
from training.runtime import tf

_BATCH = 8192


class Hiding(Counted):
    """Hides a share of what is known, while training.

    Call: mask float32 [batch, columns], 1 where known -> the same shape.
    """

    def __init__(self, share: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.share = share

    def call(self, known: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.share:
            return known
        return tf.where(self.uniform(tf.shape(known)) >= self.share, known, 0.0)


class Autoencoder(tf.keras.Model):
    """Values and mask to a vector, and a vector to values, each by one hidden layer.

    Args:
        columns: of the table.
        hidden: width of the hidden layers.
        dimension: of the vector.
        noise: share of what is known that is hidden while training.

    Call: values, known, both float32 [batch, columns] -> reconstruction float32 [batch, columns].
    """

    def __init__(self, columns: int, hidden: int, dimension: int, noise: float) -> None:
        super().__init__()
        dense = tf.keras.layers.Dense
        self.hiding = Hiding(noise)
        self.encoder = tf.keras.Sequential([dense(hidden, "gelu"), dense(dimension)], "encoder")
        self.decoder = tf.keras.Sequential([dense(hidden, "gelu"), dense(columns)], "decoder")
        self.encoder.build((None, 2 * columns))
        self.decoder.build((None, dimension))

    def vectors(self, values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        """float32 [batch, dimension]."""
        return self.encoder(tf.concat([values * known, known], axis=1))

    def call(self, values: tf.Tensor, known: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.decoder(self.vectors(values, self.hiding(known, training=training)))

    def error(self, values: tf.Tensor, known: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float32 [batch], mean squared error over what is known of each row; 0 if nothing is."""
        wrong = (self(values, known, training=training) - values) * known
        held = tf.maximum(tf.reduce_sum(known, axis=1), 1.0)
        return tf.reduce_sum(wrong**2, axis=1) / held


class DenoisingAutoencoder:
    """A trained autoencoder, as a `Representation`."""

    name = "autoencoder"

    def __init__(self, model: Autoencoder) -> None:
        self.model = model

    def vectors(self, table: Table) -> npt.NDArray[np.float32]:
        return _in_batches(lambda rows: self.model.vectors(*_tensors(table.at(rows))), len(table))

    def reconstruction(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return _in_batches(lambda rows: self.model.decoder(vectors[rows]), len(vectors))


def train_autoencoder(
    train: Table, validation: Table, config: ProfilesConfig
) -> tuple[DenoisingAutoencoder, list[dict[str, float]]]:
    """Train until the validation error has not fallen for a while; the weights of the best epoch.

    The same tables and config, the same weights.

    Returns:
        The model; and for each epoch the mean training error with values hidden, and the mean
        validation error with none.

    Raises:
        InputError: one of the windows has no rows.
    """
    for name, table in (("training", train), ("validation", validation)):
        if not len(table):
            raise InputError(f"the {name} window has no rows to train an autoencoder with.")
    tf.keras.utils.set_random_seed(config.seed)
    model = Autoencoder(train.values.shape[1], config.hidden, config.dimension, config.noise)
    optimizer = tf.keras.optimizers.Adam(config.learning_rate)
    random = np.random.default_rng(config.seed)

    @tf.function(reduce_retracing=True)
    def step(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.error(values, known, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    curve: list[dict[str, float]] = []
    best, best_epoch, weights = np.inf, 0, model.get_weights()
    for epoch in range(1, config.epochs + 1):
        order = random.permutation(len(train))
        losses = [
            float(step(*_tensors(train.at(order[first : first + config.batch]))))
            for first in range(0, len(order), config.batch)
        ]
        reached = float(
            _in_batches(
                lambda rows: model.error(*_tensors(validation.at(rows))), len(validation)
            ).mean()
        )
        curve.append(
            {"epoch": epoch, "training_error": np.mean(losses).item(), "validation_error": reached}
        )
        if reached < best:
            best, best_epoch, weights = reached, epoch, model.get_weights()
        elif epoch - best_epoch >= config.patience:
            break
    model.set_weights(weights)
    return DenoisingAutoencoder(model), curve


def _tensors(table: Table) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.constant(table.values), tf.constant(table.known, tf.float32)


def _in_batches(
    call: Callable[[npt.NDArray[np.int64]], tf.Tensor], rows: int
) -> npt.NDArray[np.float32]:
    """What `call` says of some rows, of `rows` rows, one batch after the other."""
    parts = np.array_split(np.arange(rows), max(1, -(-rows // _BATCH)))
    return np.concatenate([np.asarray(call(part)) for part in parts])
