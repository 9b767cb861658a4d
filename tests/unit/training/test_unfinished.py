"""A bundle from a checkpoint: which weights, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from profilestore.errors import InputError
from profilestore.settings import Settings
from training import cli, unfinished
from training.batches import Source
from training.config import HeadConfig, TrainConfig
from training.loop import Checkpoints, train
from training.two_tower import TwoTower
from training.unfinished import copy_of, export_checkpoint

CONFIG = TrainConfig(
    encoder="gru",
    dimension=8,
    pretrain=False,
    negatives="sampled",
    draws=4,
    positions=40,
    epochs=3,
    patience=9,
    learning_rate=0.01,
    # Only to be read again: no such head is built.
    heads=(HeadConfig("returns", "binary", "user_activity__events_7d", after_days=8),),
    features=("user_activity__events_7d",),
)
DATA = {"lake_snapshot": 7, "registry_hash": "abc", "devices": 1}


class Stopped(Exception):
    """As if the machine had been switched off."""


@dataclass
class Exported:
    weights: list[np.ndarray]
    config: TrainConfig
    said: dict[str, Any]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def stopped(
    settings: Settings,
    source: Source,
    model: Callable[[TrainConfig], TwoTower],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int, list[float]], list[list[np.ndarray]]]:
    """Stops a training at a save, its validation saying these numbers; the weights at each save."""

    def run(saves: int, validation: list[float]) -> list[list[np.ndarray]]:
        checkpoints = Checkpoints(settings.checkpoints, 4, CONFIG.of_the_model(), DATA, "log")
        said, kept = iter(validation), []
        save = Checkpoints.save

        def save_until(self: Checkpoints, towers: TwoTower, progress: Any) -> None:
            save(self, towers, progress)
            kept.append([one.copy() for one in towers.get_weights()])
            if len(kept) == saves:
                raise Stopped

        with monkeypatch.context() as patched:
            patched.setattr(Checkpoints, "save", save_until)
            with pytest.raises(Stopped):
                train(model(CONFIG), CONFIG, source, lambda: next(said), checkpoints=checkpoints)
        return kept

    return run


@pytest.fixture
def exported(
    settings: Settings,
    source: Source,
    model: Callable[[TrainConfig], TwoTower],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Exported]:
    """Exports the checkpoint, where the towers that it is read into are now of such a validation,
    and cut from such a registry."""

    def run(validation: float, *, config: Path | None = None, registry: str = "abc") -> Exported:
        found: list[Exported] = []

        def bundle(_: Settings, config: TrainConfig, cut: Any, towers: TwoTower, said: Any) -> Any:
            found.append(Exported(towers.get_weights(), config, said))
            return Path("bundle"), {}

        store = SimpleNamespace(pinned=lambda snapshot: snapshot, registry_hash=lambda: registry)
        cut = SimpleNamespace(
            store=store,
            dataset=SimpleNamespace(lake_snapshot=7),
            validation=lambda _: lambda: validation,
        )
        with monkeypatch.context() as patched:
            patched.setattr(unfinished, "FeatureStore", lambda _: store)
            patched.setattr(unfinished, "cut_of", lambda *_: cut)
            patched.setattr(
                unfinished, "begun", lambda _, config, cut: (model(config), source, None)
            )
            patched.setattr(unfinished, "measured_bundle", bundle)
            patched.setattr(unfinished, "say", lambda _: None)
            export_checkpoint(settings, None, config)
        return found[0]

    return run


def test_the_checkpoint_itself_is_taken_where_it_is_the_best(stopped, exported, settings) -> None:
    at = stopped(1, [0.1])
    found = exported(0.3)
    assert all((a == b).all() for a, b in zip(found.weights, at[0], strict=True))
    assert found.config == replace(CONFIG, checkpoint_steps=found.config.checkpoint_steps)
    assert [point["validation_ndcg@10"] for point in found.said["curve"]] == [0.1, 0.3]
    assert 0 < found.said["curve"][-1]["epoch"] < 1
    assert found.said["unfinished"]["step"] == 4
    assert found.said["training_seconds"] > 0
    assert (settings.checkpoints / "last.json").exists(), "the training can go on"


def test_a_look_before_is_taken_where_it_was_better(stopped, exported) -> None:
    # Saves after step 4 and at the end of the first epoch, which is better than all that came.
    at = stopped(3, [0.1, 0.5])
    assert len(at) == 3
    found = exported(0.3)
    assert all((a == b).all() for a, b in zip(found.weights, at[1], strict=True))


def test_another_config_is_refused_by_its_key(stopped, exported, tmp_path: Path) -> None:
    stopped(1, [0.1])
    other = tmp_path / "other.yaml"
    other.write_text("encoder: gru\ndimension: 8\ncontext: 3\n")
    with pytest.raises(InputError, match="of another run: context is 12 there and 3 here"):
        exported(0.3, config=other)


def test_another_registry_is_refused(stopped, exported) -> None:
    stopped(1, [0.1])
    with pytest.raises(InputError, match="registry_hash is 'abc' there and 'def' here"):
        exported(0.3, registry="def")


def test_a_damaged_checkpoint_is_said(stopped, exported, settings: Settings) -> None:
    stopped(1, [0.1])
    (state,) = settings.checkpoints.glob("*/state.data*")
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(InputError, match=r"checkpoints/0000-00000004 cannot be read"):
        exported(0.3)


def test_a_checkpoint_that_was_removed_is_said(stopped, settings: Settings, tmp_path: Path) -> None:
    stopped(1, [0.1])
    shutil.rmtree(settings.checkpoints / "0000-00000004")
    with pytest.raises(InputError, match="somebody removed it"):
        copy_of(settings.checkpoints, tmp_path / "scratch")


def test_no_checkpoint_is_said_before_anything_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.registry.parent.mkdir(parents=True)
    settings.registry.touch()
    monkeypatch.setenv("PROFILESTORE_HOME", str(settings.home))
    assert cli.main(["export"]) == InputError.exit_code
    said = capsys.readouterr().err
    assert said.startswith("training export: no checkpoint in ")
    assert "nothing to resume or to export" in said


def test_a_config_is_read_from_what_it_said() -> None:
    assert TrainConfig.from_json(CONFIG.to_json()) == CONFIG
