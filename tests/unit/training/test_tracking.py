"""Logs of trainings: what stands in them, read with what people read them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from profilestore.errors import InputError
from profilestore.settings import Settings, quiet_mlflow
from training.config import TrainConfig
from training.runtime import tf
from training.tracking import EVERY, EXPERIMENT, Tracker, tracker

BOTH = TrainConfig(tracking="tensorboard+mlflow")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def runs(settings: Settings, store: str = "") -> list[Any]:
    """MLflow's runs, as its own client reads them."""
    quiet_mlflow()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(store or (settings.training_logs / "mlflow").as_uri())
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return [
        (run, {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics})
        for run in client.search_runs([experiment.experiment_id])
    ]


def scalars(settings: Settings, log: str) -> dict[str, list[tuple[int, float]]]:
    """TensorBoard's figures, as its own reader reads them."""
    read = EventAccumulator(str(settings.training_logs / "tensorboard" / log))
    read.Reload()
    return {
        name: [
            (event.step, pytest.approx(tf.make_ndarray(event.tensor_proto).item()))
            for event in read.Tensors(name)
        ]
        for name in read.Tags()["tensors"]
        if not name.startswith("config")
    }


def test_both_logs_have_what_they_were_told(settings: Settings) -> None:
    with tracker(settings, BOTH, "one") as opened:
        opened.parameters(BOTH.to_json())
        for step in range(1, 2 * EVERY + 1):
            opened.step(step, lambda step=step: {"loss": 10.0 / step})
        opened.figures(20, {"validation_ndcg@10": 0.25})
    assert scalars(settings, "one") == {
        "loss": [(EVERY, 10.0 / EVERY), (2 * EVERY, 5.0 / EVERY)],
        "validation_ndcg@10": [(20, 0.25)],
    }
    ((run, history),) = runs(settings)
    assert run.info.run_name == "one"
    assert run.info.status == "FINISHED"
    assert run.data.params["encoder"] == BOTH.encoder
    assert run.data.params["heads"] == "[]"
    assert [(m.step, m.value) for m in history["validation_ndcg_at_10"]] == [(20, 0.25)]


def interrupted(settings: Settings) -> None:
    with tracker(settings, BOTH, "one") as opened:
        opened.parameters({"seed": 1})
        opened.figures(1, {"mean_loss": 2.0})
        raise KeyboardInterrupt


def test_a_training_that_goes_on_goes_on_in_its_log(settings: Settings) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(settings)
    assert runs(settings)[0][0].info.status == "KILLED"
    with tracker(settings, BOTH, "one") as opened:
        opened.parameters({"seed": 1, "device": "another"})
        opened.figures(2, {"mean_loss": 1.0})
    ((run, history),) = runs(settings)
    assert run.info.status == "FINISHED"
    assert [(m.step, m.value) for m in history["mean_loss"]] == [(1, 2.0), (2, 1.0)]
    assert scalars(settings, "one") == {"mean_loss": [(1, 2.0), (2, 1.0)]}


def test_no_log_is_opened_that_was_not_asked_for(settings: Settings) -> None:
    with tracker(settings, TrainConfig(tracking="none"), "one") as opened:
        opened.figures(1, {"mean_loss": 2.0})
        opened.step(EVERY, lambda: pytest.fail("nobody wants to know"))
    assert not settings.training_logs.exists()


@pytest.mark.parametrize("store", ["no-such-scheme://x", "file:///proc/nowhere"])
def test_a_store_that_cannot_be_opened_is_said_before_training(
    settings: Settings, store: str
) -> None:
    config = TrainConfig(tracking="mlflow", mlflow_store=store)
    with pytest.raises(InputError, match="the mlflow log cannot be opened in"):  # noqa: SIM117
        with tracker(settings, config, "one"):
            pytest.fail("it was opened")


def test_a_log_that_fails_ends_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    class Kept:
        name = "kept"

        def __init__(self, fails: bool) -> None:
            self.fails, self.heard = fails, []

        def parameters(self, said) -> None: ...

        def of_step(self, step, figures) -> None: ...

        def figures(self, step, figures) -> None:
            self.heard.append(step)
            if self.fails:
                raise OSError("disk full")

        def close(self, ended) -> None: ...

    failing, sound = Kept(True), Kept(False)
    told = Tracker([failing, sound])
    told.figures(1, {})
    told.figures(2, {})
    assert (failing.heard, sound.heard) == ([1], [1, 2])
    assert capsys.readouterr().err.count("the training goes on: disk full") == 1
