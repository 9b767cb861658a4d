"""Heads: their losses beside plain formulas, and labels that are not known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import lognorm

from training.config import HeadConfig, TrainConfig
from training.heads import Amount, WeightedSum, head_of, mean_where_known
from training.runtime import tf

CONFIG = TrainConfig(hidden=4, dropout=0.0)
RANDOM = np.random.default_rng(1)


def head(kind: str, classes: int = 0):
    return head_of(CONFIG, HeadConfig("some", kind, "event_type"), classes)


def test_binary_is_cross_entropy() -> None:
    raw, values = RANDOM.standard_normal((5, 1)).astype("f"), np.array([0, 1, 1, 0, 1], "f")
    chance = 1 / (1 + np.exp(-raw[:, 0].astype(float)))
    wanted = -np.log(np.where(values > 0, chance, 1 - chance))
    assert head("binary").loss(raw, values).numpy() == pytest.approx(wanted, abs=1e-6)


def test_category_is_cross_entropy() -> None:
    raw, values = RANDOM.standard_normal((4, 3)).astype("f"), np.array([2, 0, 1, 1], "f")
    chance = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    wanted = -np.log(chance[np.arange(4), values.astype(int)])
    assert head("category", 3).loss(raw, values).numpy() == pytest.approx(wanted, abs=1e-5)


def test_amount_is_the_density_of_a_zero_inflated_lognormal() -> None:
    raw = RANDOM.standard_normal((6, 3)).astype("f")
    values = np.array([0, 3.5, 0, 120.0, 0.02, 1.0], "f")
    there = 1 / (1 + np.exp(-raw[:, 0].astype(float)))
    deviation = np.log1p(np.exp(raw[:, 2].astype(float)))
    density = lognorm.pdf(np.maximum(values, 1e-9), deviation, scale=np.exp(raw[:, 1]))
    wanted = -np.log(np.where(values > 0, there * density, 1 - there))
    assert head("amount").loss(raw, values).numpy() == pytest.approx(wanted, abs=1e-3)


def test_the_amount_told_is_the_mean_of_the_distribution() -> None:
    raw = np.array([[0.3, 1.2, -0.5]], "f")
    deviation = np.log1p(np.exp(-0.5))
    wanted = 1 / (1 + np.exp(-0.3)) * lognorm.mean(deviation, scale=np.exp(1.2))
    assert float(Amount(4, 0.0, 3).scores(raw)[0, 0]) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", ["binary", "category", "amount"])
def test_rows_without_a_label_neither_count_nor_pull(kind: str) -> None:
    made = head(kind, 3)
    sources = tf.constant(RANDOM.standard_normal((6, 5)).astype("f"))
    made(sources)
    for weight in made.trainable_variables:
        weight.assign(tf.random.stateless_normal(weight.shape, (1, 2)))
    values = np.array([1, np.nan, 0, np.nan, 1, np.nan], "f")
    known = ~np.isnan(values)

    def loss_and_pull(rows: tf.Tensor, of_rows: np.ndarray) -> tuple[float, list]:
        with tf.GradientTape() as tape:
            loss = mean_where_known(made, made(rows), tf.constant(of_rows))
        return float(loss), tape.gradient(loss, made.trainable_variables)

    whole, pulls = loss_and_pull(sources, values)
    only, wanted = loss_and_pull(tf.boolean_mask(sources, known), values[known])
    assert whole == pytest.approx(only, rel=1e-5)
    for pull, one in zip(pulls, wanted, strict=True):
        assert pull.numpy() == pytest.approx(one.numpy(), abs=1e-5)


def test_no_label_at_all_is_no_loss() -> None:
    made = head("binary")
    assert float(mean_where_known(made, np.ones((2, 1), "f"), np.full(2, np.nan, "f"))) == 0.0


def test_set_weights_are_those_of_the_heads() -> None:
    summed = WeightedSum({"a": 0.5, "b": 2.0}, learned=False)
    assert float(summed({"a": tf.constant(3.0), "b": tf.constant(0.25)})) == pytest.approx(2.0)


def test_learned_weights_end_at_one_over_the_loss() -> None:
    # exp(-s) L + s is least at s = log L.
    summed = WeightedSum({"a": 1.0, "b": 1.0}, learned=True)
    losses = {"a": tf.constant(4.0), "b": tf.constant(0.5)}
    optimizer = tf.keras.optimizers.SGD(0.1)
    for _ in range(300):
        with tf.GradientTape() as tape:
            loss = summed(losses)
        weights = summed.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    found = {name: float(tf.exp(-weight)) for name, weight in summed.uncertainty.items()}
    assert found == pytest.approx({"a": 0.25, "b": 2.0}, rel=1e-2)
