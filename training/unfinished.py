"""A bundle of a training that was stopped, or is still running: from its last checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.batches import steps_of_epoch
from training.config import TrainConfig, load_config
from training.cut import cut_of
from training.fit import begun, checkpoints_of, measured_bundle
from training.loop import LAST, REACHED, Progress, last_checkpoint, made, require_same
from training.measurement import say
from training.runtime import DEVICE, tf
from training.two_tower import TwoTower


def export_checkpoint(
    settings: Settings, checkpoint: Path | None = None, config_path: Path | None = None
) -> Path:
    """Measure the best weights that a checkpoint has, as a training does at its end, and make a
    bundle of them; its folder. The checkpoint stays, and the training can go on.

    Args:
        checkpoint: its folder; by default that of `make train`.
        config_path: a config that it has to be of; by default it says its own.

    Raises:
        InputError: there is no checkpoint, it is damaged, or of another config or other data.
    """
    folder = settings.checkpoints if checkpoint is None else checkpoint
    settings.training_scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.training_scratch) as scratch:
        # A training that runs on replaces its checkpoint by the next.
        copied = copy_of(folder, Path(scratch))
        return _export(settings, folder, copied, config_path)


def copy_of(folder: Path, scratch: Path) -> Path:
    """A copy of a folder's last checkpoint.

    Raises:
        InputError: there is none.
    """
    while True:
        name = last_checkpoint(folder)["name"]
        copied = scratch / name
        try:
            shutil.copytree(folder / name, copied / name)
        except (FileNotFoundError, shutil.Error):
            if last_checkpoint(folder)["name"] == name:
                raise InputError(
                    f"the checkpoint {folder / name} is named by {folder} and not there: somebody "
                    "removed it. Train anew."
                ) from None
            continue  # the next one has come
        pointed = copied / LAST
        shutil.copyfile(folder / LAST, pointed)
        if last_checkpoint(copied)["name"] == name:
            return copied


def _export(settings: Settings, folder: Path, copied: Path, config_path: Path | None) -> Path:
    told = last_checkpoint(copied)
    run = told["run"]
    config = TrainConfig.from_json(run)
    if config_path is not None:
        given = load_config(config_path).of_the_model()
        require_same(folder, {name: run.get(name) for name in given}, given)

    store = FeatureStore(settings).pinned(run["lake_snapshot"])
    tf.keras.utils.set_random_seed(config.seed)
    print(f"device: {DEVICE}")
    cut = cut_of(settings, config, store)
    # What a warm start took over is in the checkpoint.
    model, source, _ = begun(settings, replace(config, warm_start=""), cut)
    made(model, config, source)
    kept = replace(
        checkpoints_of(settings, config, cut, told["log"], run["devices"]), folder=folder
    )
    progress = kept.load(model, copied)
    take_best(
        model, progress, steps_of_epoch(source, config) // run["devices"], cut.validation(model)
    )
    path, metrics = measured_bundle(
        settings,
        config,
        cut,
        model,
        {
            "warm_start": {"bundle": config.warm_start} if config.warm_start else None,
            "curve": progress.curve,
            "training_seconds": progress.seconds,
            "unfinished": {
                "epoch": progress.epoch,
                "step": progress.step,
                "epochs": config.epochs,
            },
        },
    )
    say(metrics)
    print(f"bundle and report: {path}")
    return path


def take_best(
    model: TwoTower, progress: Progress, steps: int, validate: Callable[[], float]
) -> None:
    """Put a model that a checkpoint was read into to the best weights that are known: those of one
    of the looks so far, or those of the checkpoint itself, in the middle of an epoch.

    Args:
        steps: of an epoch.
        validate: NDCG@10 of the model as it then is.
    """
    if progress.step:
        part = round(progress.epoch + progress.step / steps, 2)
        progress.reach(model, validate(), float(np.mean(progress.losses)), at=part)
    model.set_weights(progress.best_weights)
    print(
        f"stopped in epoch {progress.epoch + 1} after {progress.step} of {steps} steps; taken are "
        f"the weights after {progress.best_epoch:g} epochs, validation NDCG@10 "
        f"{max(point[REACHED] for point in progress.curve):.4f}"
    )
