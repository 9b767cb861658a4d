"""The denoising autoencoder: what it hides, what it learns, and beside PCA."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from profilestore.errors import InputError
from training.profiles.anomaly import auc, errors, planted
from training.profiles.autoencoder import (
    Autoencoder,
    DenoisingAutoencoder,
    Hiding,
    train_autoencoder,
)
from training.profiles.config import ProfilesConfig
from training.profiles.pca import PrincipalComponents
from training.profiles.standard import Table
from training.runtime import tf

CONFIG = ProfilesConfig(dimension=3, hidden=48, noise=0.05, learning_rate=5e-3, epochs=40)


@pytest.fixture(scope="module")
def trained(
    tables: tuple[Table, Table, Table],
) -> tuple[DenoisingAutoencoder, list[dict[str, float]]]:
    return train_autoencoder(tables[0], tables[1], CONFIG)


def test_a_share_of_what_is_known_is_hidden_and_only_while_training() -> None:
    known = tf.constant(np.random.default_rng(1).random((400, 50)) < 0.5, tf.float32)
    hiding = Hiding(0.3)
    assert (hiding(known) == known).numpy().all()
    once, again = hiding(known, training=True).numpy(), hiding(known, training=True).numpy()
    assert (once <= known.numpy()).all()
    assert once.sum() / known.numpy().sum() == pytest.approx(0.7, abs=0.02)
    assert (once != again).any()


def test_what_is_unknown_changes_nothing(
    trained: tuple[DenoisingAutoencoder, object], tables: tuple[Table, Table, Table]
) -> None:
    model, test = trained[0], tables[2]
    other = Table(np.where(test.known, test.values, 5.0).astype(np.float32), test.known)
    assert (model.vectors(test) == model.vectors(other)).all()
    assert errors(model, test) == pytest.approx(errors(model, other))
    nothing = Table(test.values, np.zeros_like(test.known))
    assert (errors(model, nothing) == 0).all()


def test_the_loss_is_the_error_of_the_score(
    trained: tuple[DenoisingAutoencoder, object], tables: tuple[Table, Table, Table]
) -> None:
    test = tables[2]
    said = trained[0].model.error(tf.constant(test.values), tf.constant(test.known, tf.float32))
    assert said.numpy() == pytest.approx(errors(trained[0], test), rel=1e-4)


def test_it_beats_principal_components_where_columns_hang_together_by_a_curve(
    trained: tuple[DenoisingAutoencoder, object], tables: tuple[Table, Table, Table]
) -> None:
    train, _, test = tables
    plain = PrincipalComponents.of(train, CONFIG.dimension)
    assert errors(trained[0], test).mean() < 0.5 * errors(plain, test).mean()
    odd = planted(test, 1)
    ours, theirs = (auc(errors(one, odd), errors(one, test)) for one in (trained[0], plain))
    assert ours > 0.9
    assert ours > theirs + 0.1


def test_the_weights_are_those_of_the_best_epoch(
    trained: tuple[DenoisingAutoencoder, list[dict[str, float]]],
    tables: tuple[Table, Table, Table],
) -> None:
    model, curve = trained
    best = min(point["validation_error"] for point in curve)
    assert errors(model, tables[1]).mean() == pytest.approx(best, rel=1e-4)
    assert best < 0.5 * curve[0]["validation_error"]


def test_it_stops_when_validation_does_not_get_better(
    tables: tuple[Table, Table, Table],
) -> None:
    noise = np.random.default_rng(1).normal(size=(64, 12)).astype(np.float32)
    validation = Table(noise, np.ones(noise.shape, bool))
    config = replace(CONFIG, epochs=30, patience=2, learning_rate=2e-2)
    train = tables[0].at(np.arange(300))
    _, curve = train_autoencoder(train, validation, config)
    reached = [point["validation_error"] for point in curve]
    assert len(curve) == int(np.argmin(reached)) + 1 + 2 < 30


def test_the_same_seed_the_same_vectors(tables: tuple[Table, Table, Table]) -> None:
    train, validation, test = tables
    short = replace(CONFIG, epochs=2)
    once, again, other = (
        train_autoencoder(train, validation, config)[0].vectors(test)
        for config in (short, short, replace(short, seed=2))
    )
    assert (once == again).all()
    assert not np.allclose(once, other)


def test_a_window_without_rows_is_said(tables: tuple[Table, Table, Table]) -> None:
    empty = tables[0].at(np.arange(0))
    with pytest.raises(InputError, match="the validation window has no rows"):
        train_autoencoder(tables[0], empty, CONFIG)


def test_vectors_do_not_depend_on_who_else_is_asked_about(
    tables: tuple[Table, Table, Table],
) -> None:
    model = DenoisingAutoencoder(Autoencoder(12, 8, 3, 0.1))
    test = tables[2]
    alone = np.concatenate([model.vectors(test.at(np.array([row]))) for row in range(5)])
    assert model.vectors(test)[:5] == pytest.approx(alone, abs=1e-6)
