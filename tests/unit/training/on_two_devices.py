"""Run by test_devices.py, in a process that sees two devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from profilestore.errors import InputError
from training.batches import Source, batches_of_epoch, steps_of_epoch
from training.config import TrainConfig
from training.devices import batches_of, step_of, steps_an_epoch
from training.evaluate import predict
from training.loop import Checkpoints, made, train
from training.runtime import tf
from training.two_tower import TwoTower

CONFIG = TrainConfig(
    encoder="gru",
    dimension=8,
    pretrain=False,
    negatives="sampled",
    draws=4,
    positions=40,
    dropout=0.0,
    id_dropout=0.0,
    epochs=3,
    patience=9,
    learning_rate=0.01,
)
ModelOf = Callable[[TrainConfig], TwoTower]


class Stopped(Exception):
    """As if the machine had been switched off."""


@pytest.fixture
def both() -> tf.distribute.Strategy:
    cpus = tf.config.list_logical_devices("CPU")
    assert len(cpus) == 2
    return tf.distribute.MirroredStrategy([cpu.name for cpu in cpus])


def test_a_step_is_one_with_the_mean_gradient_of_a_batch_each(
    both: tf.distribute.Strategy, source: Source, model: ModelOf
) -> None:
    with both.scope():
        mirrored = model(CONFIG)
        rate = made(mirrored, CONFIG, source)
        before = mirrored.get_weights()
        step = step_of(mirrored, source, CONFIG)
        said = [float(step(batch)) for batch in batches_of(source, CONFIG, 0)]
        assert len(said) == steps_an_epoch(source, CONFIG) == steps_of_epoch(source, CONFIG) // 2

    # The same by hand, on one device.
    alone = model(CONFIG)
    made(alone, CONFIG, source)
    alone.set_weights(before)
    optimizer = tf.keras.optimizers.Adam(rate)
    drawn = [*batches_of_epoch(source, CONFIG, 0)]
    wanted = []
    for first in range(0, len(drawn) - 1, 2):
        with tf.GradientTape() as tape:
            one, other = (alone.compute_loss(drawn[first + n], training=True) for n in (0, 1))
            loss = (one + other) / 2.0
        gradients = tape.gradient(loss, alone.trainable_variables)
        optimizer.apply_gradients(zip(gradients, alone.trainable_variables, strict=True))
        wanted.append(float(loss))
    assert said == pytest.approx(wanted, rel=1e-4)
    moved = _distance(before, alone.get_weights())
    # Adam makes steps of the same length of the smallest gradients, rounded otherwise.
    assert _distance(mirrored.get_weights(), alone.get_weights()) < 0.01 * moved


def _distance(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    return sum(float(np.abs(one - other).sum()) for one, other in zip(ours, theirs, strict=True))


def test_devices_drop_other_units(both: tf.distribute.Strategy) -> None:
    from training.dropout import Dropout

    with both.scope():
        layer = Dropout(0.5)
        layer(tf.ones((2, 2)))
        seen = [
            both.experimental_local_results(both.run(layer, args=(tf.ones((4, 50)), True)))
            for _ in range(2)
        ]
    masks = [one.numpy() for call in seen for one in call]
    assert len({mask.tobytes() for mask in masks}) == 4
    assert int(layer.calls.numpy()) == 2


def test_a_training_on_two_devices_can_be_resumed_and_taken_to_one(
    both: tf.distribute.Strategy,
    source: Source,
    model: ModelOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(CONFIG, dropout=0.3, id_dropout=0.2, epochs=2)
    checkpoints = Checkpoints(tmp_path, 2, config.to_json())
    with both.scope():
        whole = model(config)
        curve = train(whole, config, source, lambda: 0.5)
        save, saved = Checkpoints.save, []

        def save_until(self, *arguments) -> None:
            save(self, *arguments)
            saved.append(arguments)
            if len(saved) == 1:
                raise Stopped

        with monkeypatch.context() as patched:
            patched.setattr(Checkpoints, "save", save_until)
            with pytest.raises(Stopped):
                train(model(config), config, source, lambda: 0.5, checkpoints=checkpoints)
        resumed = model(config)
        found = train(resumed, config, source, lambda: 0.5, checkpoints=checkpoints, resume=True)
    losses = [[point["loss"] for point in one[1:]] for one in (found, curve)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    alone = model(config)
    made(alone, config, source)
    checkpoints.load(alone)
    for ours, theirs in zip(alone.get_weights(), resumed.get_weights(), strict=True):
        assert ours.shape == theirs.shape
        assert np.isfinite(ours).all()


def test_towers_on_two_devices_answer_between_steps(
    both: tf.distribute.Strategy, source: Source, model: ModelOf
) -> None:
    """What a look at the validation window asks."""
    rows = np.arange(7)
    items, histories = source.candidate, {"h": source.windows.history["h"]}
    with both.scope():
        mirrored = model(CONFIG)
        made(mirrored, CONFIG, source)
        said = [
            predict(mirrored.candidate_tower, items, rows),
            predict(mirrored.query_tower, histories, rows),
        ]
    alone = model(CONFIG)
    made(alone, CONFIG, source)
    alone.set_weights(mirrored.get_weights())
    wanted = [
        predict(alone.candidate_tower, items, rows),
        predict(alone.query_tower, histories, rows),
    ]
    for ours, theirs in zip(said, wanted, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
        assert np.abs(theirs).max() > 0.01


def test_fewer_batches_than_devices_are_refused(
    both: tf.distribute.Strategy, source: Source
) -> None:
    config = replace(CONFIG, positions=10_000)
    with both.scope(), pytest.raises(InputError, match="1 batches, fewer than the 2 devices"):
        steps_an_epoch(source, config)
