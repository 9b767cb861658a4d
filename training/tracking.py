"""Logs of a training for TensorBoard and MLflow: loss, learning rate, validation, the config.

    data/training_logs/tensorboard/<log>/   `tensorboard --logdir data/training_logs/tensorboard`
    data/training_logs/mlflow/              MLflow's file store, or the store that the config names

A log is of no use to the training: one that cannot be written any more is said once and let be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from profilestore.errors import InputError
from profilestore.settings import Settings, quiet_mlflow
from training.config import TrainConfig
from training.runtime import tf

# Of MLflow, which groups runs; TensorBoard groups them by folder.
EXPERIMENT = "profilestore"
# Steps between two figures of a step.
EVERY = 10
_MOST_OF_A_PARAMETER = 500

Figures = Mapping[str, float]


class Log(Protocol):
    """Where a training's figures go."""

    name: str

    def parameters(self, said: Mapping[str, Any]) -> None:
        """What the training is of."""

    def of_step(self, step: int, figures: Figures) -> None:
        """Figures after a step of the whole training, of which there are many."""

    def figures(self, step: int, figures: Figures) -> None:
        """Figures after an epoch or at the end."""

    def close(self, ended: str) -> None:
        """No more comes; `ended` is FINISHED, FAILED or KILLED."""


class TensorBoardLog:
    """Event files in a folder of their own; a training that goes on adds a file."""

    name = "TensorBoard"

    def __init__(self, settings: Settings, log: str) -> None:
        folder = settings.training_logs / "tensorboard" / log
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = tf.summary.create_file_writer(str(folder))

    def parameters(self, said: Mapping[str, Any]) -> None:
        lines = [f"| {name} | `{_text(value)}` |" for name, value in said.items()]
        with self._writer.as_default():
            tf.summary.text("config", "\n".join(["| key | value |", "| --- | --- |", *lines]), 0)

    def of_step(self, step: int, figures: Figures) -> None:
        with self._writer.as_default():
            for name, value in figures.items():
                tf.summary.scalar(name, value, step)

    def figures(self, step: int, figures: Figures) -> None:
        self.of_step(step, figures)
        self._writer.flush()

    def close(self, ended: str) -> None:
        self._writer.close()


class MlflowLog:
    """A run of the experiment `profilestore`, named as the log; what goes on is the same run."""

    name = "MLflow"

    def __init__(self, settings: Settings, store: str, log: str) -> None:
        quiet_mlflow()
        from mlflow.tracking import MlflowClient

        if not store:
            folder = settings.training_logs / "mlflow"
            folder.mkdir(parents=True, exist_ok=True)
            store = folder.as_uri()
        self._client = MlflowClient(store)
        found = self._client.get_experiment_by_name(EXPERIMENT)
        of = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
        before = self._client.search_runs([of], f"attributes.run_name = '{log}'", max_results=1)
        self._is_new = not before
        self._run = (before[0] if before else self._client.create_run(of, run_name=log)).info.run_id
        self._client.update_run(self._run, status="RUNNING")

    def parameters(self, said: Mapping[str, Any]) -> None:
        # What a run is of is said once; it refuses to be told anything else.
        if not self._is_new:
            return
        from mlflow.entities import Param

        self._client.log_batch(
            self._run,
            params=[
                Param(name, _text(value)[:_MOST_OF_A_PARAMETER]) for name, value in said.items()
            ],
        )

    def of_step(self, step: int, figures: Figures) -> None:
        """Nothing: a store that may be a server is not asked every few steps."""

    def figures(self, step: int, figures: Figures) -> None:
        from mlflow.entities import Metric

        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        # Its names know no @.
        self._client.log_batch(
            self._run,
            metrics=[
                Metric(name.replace("@", "_at_"), value, now_ms, step)
                for name, value in figures.items()
            ],
        )

    def close(self, ended: str) -> None:
        self._client.set_terminated(self._run, status=ended)


class Tracker:
    """The logs of one training.

    Args:
        logs: where figures go.
    """

    def __init__(self, logs: list[Log]) -> None:
        self._logs = logs

    def parameters(self, said: Mapping[str, Any]) -> None:
        self._each(lambda log: log.parameters(said))

    def step(self, step: int, figures: Callable[[], Figures]) -> None:
        """Figures of a step, which are asked for only where they are written."""
        if self._logs and step % EVERY == 0:
            found = figures()
            self._each(lambda log: log.of_step(step, found))

    def figures(self, step: int, figures: Figures) -> None:
        self._each(lambda log: log.figures(step, figures))

    def close(self, ended: str) -> None:
        self._each(lambda log: log.close(ended))

    def _each(self, write: Callable[[Log], None]) -> None:
        for log in [*self._logs]:
            try:
                write(log)
            except Exception as error:  # whatever a server or a disk may say
                self._logs.remove(log)
                print(
                    f"the {log.name} log ends here, the training goes on: {error}", file=sys.stderr
                )


@contextmanager
def tracker(settings: Settings, config: TrainConfig, log: str) -> Iterator[Tracker]:
    """The logs that a config asks for, open; closed with how the block ended.

    Args:
        log: the training's name in them.

    Raises:
        InputError: a log cannot be opened.
    """
    openers: dict[str, Callable[[], Log]] = {
        "tensorboard": lambda: TensorBoardLog(settings, log),
        "mlflow": lambda: MlflowLog(settings, config.mlflow_store, log),
    }
    logs: list[Log] = []
    for kind in config.trackers:
        try:
            logs.append(openers[kind]())
        except Exception as error:
            raise InputError(
                f"tracking: the {kind} log cannot be opened"
                f"{f' in {config.mlflow_store}' if config.mlflow_store else ''}: {error}. Correct "
                "`mlflow_store`, or leave it out of `tracking`."
            ) from error
    opened = Tracker(logs)
    try:
        yield opened
    except KeyboardInterrupt:
        opened.close("KILLED")
        raise
    except BaseException:
        opened.close("FAILED")
        raise
    opened.close("FINISHED")


def new_log() -> str:
    """A name for the log of a training that begins now."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
