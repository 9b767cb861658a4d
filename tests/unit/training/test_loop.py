"""Stopping and going on: a resumed run is the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from profilestore.errors import InputError, ProfilestoreError
from training.batches import Source
from training.config import TrainConfig
from training.devices import training_scope
from training.loop import Checkpoints, made, train
from training.runtime import tf
from training.tracking import Tracker
from training.two_tower import TwoTower

CONFIG = TrainConfig(
    encoder="gru",
    dimension=8,
    pretrain=False,
    negatives="sampled",
    draws=4,
    positions=40,
    dropout=0.3,
    id_dropout=0.2,
    epochs=3,
    patience=9,
    learning_rate=0.01,
)


ModelOf = Callable[[TrainConfig], TwoTower]


class Stopped(Exception):
    """As if the machine had been switched off."""


@pytest.mark.parametrize("stop_after", [3, 6, 8])
def test_a_resumed_run_ends_with_the_same_weights(
    model: ModelOf, source: Source, tmp_path: Path, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model(CONFIG)
    curve = train(whole, CONFIG, source, lambda: 0.5)
    checkpoints = Checkpoints(tmp_path, 1, CONFIG.to_json())
    saved = []
    save = Checkpoints.save

    def save_until(self, *arguments) -> None:
        save(self, *arguments)
        saved.append(arguments)
        if len(saved) == stop_after:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", save_until)
        with pytest.raises(Stopped):
            train(model(CONFIG), CONFIG, source, lambda: 0.5, checkpoints=checkpoints)
    resumed = model(CONFIG)
    found = train(resumed, CONFIG, source, lambda: 0.5, checkpoints=checkpoints, resume=True)
    losses = [[point["loss"] for point in one[1:]] for one in (found, curve)]
    assert losses[0] == pytest.approx(losses[1])
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_a_checkpoint_of_another_config_is_refused(
    model: ModelOf, source: Source, tmp_path: Path
) -> None:
    short = replace(CONFIG, epochs=1)
    checkpoints = Checkpoints(tmp_path, 2, short.to_json())
    train(model(CONFIG), short, source, lambda: 0.5, checkpoints=checkpoints)
    other = replace(short, draws=5)
    with pytest.raises(InputError, match="draws is 4 there and 5 here"):
        train(
            model(CONFIG),
            other,
            source,
            lambda: 0.5,
            checkpoints=Checkpoints(tmp_path, 2, other.to_json()),
            resume=True,
        )


def test_nothing_to_resume_is_said(model: ModelOf, source: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        train(
            model(CONFIG),
            CONFIG,
            source,
            lambda: 0.5,
            checkpoints=Checkpoints(tmp_path / "none", 2, {}),
            resume=True,
        )


def test_the_best_weights_are_kept_and_patience_ends(model: ModelOf, source: Source) -> None:
    curve, trained, seen = trained_as_said(model, source, [0.05, 0.1, 0.3, 0.2, 0.25, 0.9])
    assert [point["epoch"] for point in curve] == [0, 1, 2, 3, 4]
    assert same(trained, seen[2])


def test_a_start_that_no_epoch_betters_is_kept(
    model: ModelOf, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though the epochs get better one after the other: they are given their time."""
    curve, trained, seen = trained_as_said(model, source, [0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert [point["epoch"] for point in curve] == [*range(7)]
    assert same(trained, seen[0])
    assert "the model stays as it began" in capsys.readouterr().out


def test_a_loss_that_is_no_number_ends_the_training(
    model: ModelOf, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging = model(CONFIG)
    monkeypatch.setattr(diverging, "train_step", lambda _: {"loss": tf.constant(np.nan)})
    with pytest.raises(ProfilestoreError, match=r"nan in step 1 of epoch 1.*Lower learning_rate"):
        train(diverging, CONFIG, source, lambda: 0.5)


Weights = list[np.ndarray]


def trained_as_said(
    model: ModelOf, source: Source, validation: list[float]
) -> tuple[list[dict[str, float]], TwoTower, list[Weights]]:
    """The curve and end of a training whose validation says these numbers, and its weights at each
    of them."""
    said, seen = iter(validation), []
    config = replace(CONFIG, epochs=6, patience=2)
    trained = model(config)

    def validate() -> float:
        seen.append([weight.copy() for weight in trained.get_weights()])
        return next(said)

    return train(trained, config, source, validate), trained, seen


def same(trained: TwoTower, weights: Weights) -> bool:
    return all(
        (ours == theirs).all() for ours, theirs in zip(trained.get_weights(), weights, strict=True)
    )


def test_half_the_precision_learns_as_the_whole_does(
    model: ModelOf, source: Source, tmp_path: Path
) -> None:
    whole = train(model(CONFIG), CONFIG, source, lambda: 0.5)
    config = replace(CONFIG, precision="bfloat16")
    checkpoints = Checkpoints(tmp_path, 50, config.to_json())
    exported = model(config)
    made(exported, config, source)
    with training_scope(config):
        half = model(config)
        curve = train(half, config, source, lambda: 0.5, checkpoints=checkpoints)
    losses = [[point["loss"] for point in one[1:]] for one in (curve, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    assert losses[0] != losses[1]
    # Its weights are whole, and a checkpoint of it can be measured and exported.
    checkpoints.load(exported)
    exported.set_weights(half.get_weights())
    assert exported.candidate_tower(source.candidate).dtype == tf.float32


def test_logs_hear_of_steps_and_epochs(model: ModelOf, source: Source) -> None:
    heard: list[tuple[str, int, dict[str, float]]] = []

    class Heard(Tracker):
        def step(self, step, figures) -> None:
            heard.append(("step", step, dict(figures())))

        def figures(self, step, figures) -> None:
            heard.append(("epoch", step, dict(figures)))

    said = iter([0.1, 0.2, 0.3])
    config = replace(CONFIG, epochs=2)
    curve = train(model(config), config, source, lambda: next(said), tracker=Heard([]))
    steps = [figures for kind, _, figures in heard if kind == "step"]
    an_epoch = len(steps) // 2
    assert [step for kind, step, _ in heard if kind == "step"] == [*range(1, 2 * an_epoch + 1)]
    epochs = [(step, figures) for kind, step, figures in heard if kind == "epoch"]
    assert [step for step, _ in epochs] == [0, an_epoch, 2 * an_epoch]
    assert [figures["validation_ndcg@10"] for _, figures in epochs] == [0.1, 0.2, 0.3]
    assert epochs[1][1]["mean_loss"] == curve[1]["loss"]
    assert curve[1]["loss"] == pytest.approx(np.mean([one["loss"] for one in steps[:an_epoch]]))
    rates = [one["learning_rate"] for one in steps]
    # Up over the first epoch to the peak, then down.
    assert np.argmax(rates) == an_epoch - 1
    assert max(rates) == pytest.approx(config.learning_rate)
    assert rates[0] == pytest.approx(config.learning_rate / an_epoch)
