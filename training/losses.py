"""Losses over the scores of each position's own item and of the candidates it is compared with.

Each is a Keras layer:

    scores float32 [positions, candidates], label int32 [positions], log_share float32 [candidates],
    drawn bool [candidates] -> float32 [positions]

with the candidates as `training.negatives` draws them.
"""

from __future__ import annotations

from training.runtime import tf


class Softmax(tf.keras.layers.Layer):
    """Cross-entropy of the softmax over the candidates, corrected for how they were drawn.

    With the whole catalogue as candidates this is the full softmax, and nothing is corrected.

    Args:
        smoothing: share of the probability that is spread evenly over all candidates (Szegedy et
            al., CVPR 2016).
    """

    def __init__(self, smoothing: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.smoothing = smoothing

    def call(
        self, scores: tf.Tensor, label: tf.Tensor, log_share: tf.Tensor, drawn: tf.Tensor
    ) -> tf.Tensor:
        scores -= log_share
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(label, scores)
        if self.smoothing:
            even = tf.reduce_logsumexp(scores, axis=1) - tf.reduce_mean(scores, axis=1)
            loss = (1.0 - self.smoothing) * loss + self.smoothing * even
        return loss


class GBCE(tf.keras.layers.Layer):
    """Generalised binary cross-entropy (gSASRec, Petrov and Macdonald, RecSys 2023).

    Binary cross-entropy over sampled negatives makes a model too sure of itself; a power on the
    positive's probability takes that back: beta = a (t (1 - 1/a) + 1/a), where a is the share of
    the catalogue that is drawn.

    Args:
        items: number of items in the catalogue.
        calibration: t; 0 is plain binary cross-entropy, 1 makes the scores probabilities.
    """

    def __init__(self, items: int, calibration: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.items, self.calibration = items, calibration

    def call(
        self, scores: tf.Tensor, label: tf.Tensor, log_share: tf.Tensor, drawn: tf.Tensor
    ) -> tf.Tensor:
        own = tf.one_hot(label, tf.shape(scores)[1])
        positive = tf.gather(scores, label, batch_dims=1)
        against = tf.cast(drawn, tf.float32) * (1.0 - own)
        share = tf.reduce_sum(tf.cast(drawn, tf.float32)) / self.items
        power = share * (self.calibration * (1.0 - 1.0 / share) + 1.0 / share)
        negatives = tf.reduce_sum(tf.nn.softplus(scores) * against, axis=1)
        return power * tf.nn.softplus(-positive) + negatives
