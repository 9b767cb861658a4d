"""The loop of a training run: steps, validation, early stopping, checkpoints."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from profilestore.errors import InputError, ProfilestoreError
from training.batches import Source, batches
from training.config import TrainConfig
from training.devices import batches_of, step_of, steps_an_epoch
from training.runtime import tf
from training.tracking import Tracker
from training.two_tower import TwoTower

LAST = "last.json"
REACHED = "validation_ndcg@10"
# What TensorFlow and numpy say of a file that is cut off or of other variables.
_UNREADABLE = (OSError, LookupError, RuntimeError, ValueError, TypeError, AssertionError)


@dataclass(frozen=True)
class WarmCosine(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over the first epoch, then a cosine down to zero."""

    peak: float
    steps_an_epoch: int
    epochs: int

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        warm = tf.cast(self.steps_an_epoch, tf.float32)
        whole = tf.cast(self.steps_an_epoch * self.epochs, tf.float32)
        at = tf.cast(step, tf.float32)
        falling = 0.5 * (1.0 + tf.cos(np.pi * (at - warm) / tf.maximum(whole - warm, 1.0)))
        return self.peak * tf.where(at < warm, (at + 1.0) / warm, falling)


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        epoch, step: done so far, whole epochs and steps of the next one.
        seconds: of all those steps, without looks at the validation window.
        losses: of those steps.
        curve: validation NDCG@10 before the first step (epoch 0), then after each epoch, with its
            mean loss; each with the seconds until then.
        best_epoch, best_weights: where validation was highest, and the weights then.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    best_epoch: float = 0
    best_weights: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def reach(
        self,
        model: TwoTower,
        validation: float,
        loss: float | None = None,
        *,
        at: float | None = None,
    ) -> None:
        """Take down what validation says of the model as it now is, after `epoch` epochs.

        Args:
            at: epochs, where it is in the middle of one.
        """
        epoch = self.epoch if at is None else at
        best = max((point[REACHED] for point in self.curve), default=-1.0)
        said = {} if loss is None else {"loss": loss}
        self.curve.append({"epoch": epoch, **said, REACHED: validation, "seconds": self.seconds})
        if validation > best:
            self.best_epoch, self.best_weights = epoch, model.get_weights()

    def stale(self) -> int:
        """Epochs since validation last rose from one epoch to another.

        The start is not asked: where it is better than the first epochs, a later one may still be
        better than it.
        """
        trained = [point[REACHED] for point in self.curve if point["epoch"]]
        return len(trained) - 1 - int(np.argmax(trained))


@dataclass(frozen=True)
class Checkpoints:
    """Where a run keeps its state, to be taken up again at the exact same step.

    A checkpoint is whole or not there: the file that names it is replaced last.

    Attributes:
        folder: holds the last checkpoint.
        every: steps between two.
        config, data: what the run is of; a checkpoint of another run is refused.
        log: the run's name in its logs, which go on with it.
    """

    folder: Path
    every: int
    config: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""

    @property
    def run(self) -> dict[str, Any]:
        return {**self.config, **self.data}

    def save(self, model: TwoTower, progress: Progress) -> None:
        """Keep weights, optimiser, random states and progress; the former checkpoint goes.

        Raises:
            OSError: the disk is full; the former checkpoint stays.
        """
        name = f"{progress.epoch:04}-{progress.step:08}"
        draft = self.folder / name
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        tf.train.Checkpoint(model=model).write(str(draft / "state"))
        np.savez(draft / "best.npz", *progress.best_weights)
        told = {
            **asdict(replace(progress, best_weights=[])),
            "run": self.run,
            "log": self.log,
            "name": name,
        }
        pointer = self.folder / ".last.json"
        pointer.write_text(json.dumps(told))
        pointer.replace(self.folder / LAST)
        for other in self.folder.iterdir():
            if other.is_dir() and other.name != name:
                shutil.rmtree(other)

    def load(self, model: TwoTower, copied: Path | None = None) -> Progress:
        """Put a built model, its optimiser and random states to where they were kept.

        Args:
            copied: a copy of the folder, to be read in its place.

        Raises:
            InputError: there is no checkpoint, it is of another config or other data, or damaged.
        """
        told = last_checkpoint(copied or self.folder)
        folder = (copied or self.folder) / told["name"]
        require_same(self.folder, told.pop("run"), self.run)
        name, _ = told.pop("name"), told.pop("log")
        try:
            state = tf.train.Checkpoint(model=model).read(str(folder / "state"))
            state.assert_existing_objects_matched()
            with np.load(folder / "best.npz") as kept:
                best = [kept[name] for name in kept.files]
            return Progress(**{**told, "best_weights": best})
        except (*_UNREADABLE, tf.errors.OpError) as error:
            raise InputError(
                f"the checkpoint {self.folder / name} cannot be read: it is damaged, or of another "
                f"version of the code. Train anew. ({(str(error).splitlines() or ['empty'])[0]})"
            ) from error

    def clear(self) -> None:
        """Remove what was kept: the run has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)


def last_checkpoint(folder: Path) -> dict[str, Any]:
    """What is told of a folder's last checkpoint: `run`, `log`, `name` and the progress.

    Raises:
        InputError: there is none.
    """
    if not (folder / LAST).exists():
        raise InputError(
            f"no checkpoint in {folder}: there is nothing to resume or to export. Train without "
            "--resume."
        )
    told: dict[str, Any] = json.loads((folder / LAST).read_text())
    return told


def require_same(folder: Path, run: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise if a checkpoint's run is not one's own.

    Args:
        folder: of the checkpoint.

    Raises:
        InputError: a key in which they differ, with both values.
    """
    differ = sorted(name for name in {*run, *own} if run.get(name) != own.get(name))
    if differ:
        name = differ[0]
        raise InputError(
            f"the checkpoint in {folder} is of another run: {name} is {run.get(name)!r} there and "
            f"{own.get(name)!r} here. Go on with what it was started with, or start anew."
        )


def made(model: TwoTower, config: TrainConfig, source: Source) -> WarmCosine:
    """Give a model its optimiser and all variables, into which a state can be read; the schedule.

    Layers draw what they begin with when they are first called: in this order, resumed or not.
    """
    rate = WarmCosine(config.learning_rate, steps_an_epoch(source, config), config.epochs)
    model.compile(optimizer=tf.keras.optimizers.Adam(rate))
    model.compute_loss(next(iter(batches(source, config, 0))))
    model.optimizer.build(model.trainable_variables)
    return rate


def train(
    model: TwoTower,
    config: TrainConfig,
    source: Source,
    validate: Callable[[], float],
    *,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    tracker: Tracker | None = None,
) -> list[dict[str, float]]:
    """Fit until validation NDCG@10 stops rising; the model keeps the best weights, which may be
    those that it began with. On the devices of the strategy in whose scope this is called and the
    model was made (`training.devices`).

    Args:
        validate: the model's NDCG@10 on the validation window, as it now is.
        resume: take up the last checkpoint: the same steps on the same batches follow as if nothing
            had come between.
        tracker: told of steps and epochs.

    Returns:
        One entry an epoch, and one for the start (epoch 0): mean loss, validation NDCG@10, and the
        seconds of all steps until then.

    Raises:
        ProfilestoreError: the loss is no number.
    """
    steps = steps_an_epoch(source, config)
    tracker = tracker or Tracker([])
    rate = made(model, config, source)
    progress = Progress()
    if checkpoints and resume:
        progress = checkpoints.load(model)
    else:
        progress.reach(model, validate())
        print(f"before the first step: validation NDCG@10 {progress.curve[0][REACHED]:.4f}")
        tracker.figures(0, {REACHED: progress.curve[0][REACHED]})
    step = step_of(model, source, config)
    while progress.epoch < config.epochs:
        with tqdm(
            total=steps,
            initial=progress.step,
            desc=f"epoch {progress.epoch + 1}",
            unit="step",
            leave=False,
            disable=None,
        ) as bar:
            began = time.perf_counter() - progress.seconds
            for batch in batches_of(source, config, progress.epoch, first=progress.step):
                loss = _finite(float(step(batch)), progress)
                progress.losses.append(loss)
                progress.step += 1
                progress.seconds = time.perf_counter() - began
                bar.update()
                done = progress.epoch * steps + progress.step
                tracker.step(done, partial(_of_step, loss, rate, done))
                if checkpoints and progress.step % checkpoints.every == 0:
                    checkpoints.save(model, progress)
        _end_epoch(model, progress, validate)
        tracker.figures(progress.epoch * steps, _of_epoch(progress))
        if checkpoints:
            checkpoints.save(model, progress)
        if progress.stale() >= config.patience:
            break
    model.set_weights(progress.best_weights)
    if not progress.best_epoch:
        print("no epoch was better than the start: the model stays as it began")
    return progress.curve


def _of_step(loss: float, rate: WarmCosine, step: int) -> dict[str, float]:
    return {"loss": loss, "learning_rate": float(rate(tf.constant(step - 1)))}


def _of_epoch(progress: Progress) -> dict[str, float]:
    point = progress.curve[-1]
    return {"epoch": point["epoch"], "mean_loss": point["loss"], REACHED: point[REACHED]}


def _finite(loss: float, progress: Progress) -> float:
    if not np.isfinite(loss):
        raise ProfilestoreError(
            f"the loss is {loss} in step {progress.step + 1} of epoch {progress.epoch + 1}: "
            "training has diverged. Lower learning_rate; the last good bundle stays in place."
        )
    return loss


def _end_epoch(model: TwoTower, progress: Progress, validate: Callable[[], float]) -> None:
    loss = float(np.mean(progress.losses))
    progress.epoch += 1
    progress.step, progress.losses = 0, []
    progress.reach(model, validate(), loss)
    reached = progress.curve[-1][REACHED]
    print(f"epoch {progress.epoch}: loss {loss:.3f}, validation NDCG@10 {reached:.4f}", flush=True)
