"""A search: it goes on where it was killed, gives up what is below the median, writes the best."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml

from profilestore.errors import InputError
from profilestore.settings import Settings
from training.batches import Source
from training.config import TrainConfig, config_of, load_config, read_values
from training.tuning import tune as module
from training.tuning.space import space_of
from training.tuning.tune import open_study, require_same_search, search, trained
from training.two_tower import TwoTower

TEXT = (
    "encoder: gru\nepochs: 4\ndropout: 0.5\n"
    "tune:\n"
    "  dropout: {low: 0.0, high: 0.6}\n"
    "  context: {low: 2, high: 20}\n"
    "  hidden: {choices: [32, 64]}\n"
)


class Killed(BaseException):
    """As if the machine had been switched off."""


def run(folder: Path, trials: int, training: Callable[..., float], text: str = TEXT) -> dict:
    path = folder.parent / "some.yaml"
    path.write_text(text)
    values = read_values(path)
    study = open_study(folder)
    require_same_search(folder, study, config_of(values, path).of_the_model())
    search(study, folder, path, values, space_of(values, path), trials, training)
    return json.loads((folder / "results.json").read_text())


def good_at_a_fifth(config: TrainConfig, _: str, look: Callable[[int, float], None]) -> float:
    """Best where dropout is 0.2, rising epoch by epoch."""
    reached = 0.3 - (config.dropout - 0.2) ** 2 + config.hidden / 1e4
    for epoch in range(5):
        look(epoch, reached * epoch / 4)
    return reached


def test_the_first_trial_is_the_config_itself_and_the_best_is_better(tmp_path: Path) -> None:
    found = run(tmp_path / "study", 25, good_at_a_fifth)
    trials = found["trials"]
    assert trials[0]["values"] == {"dropout": 0.5, "context": 12, "hidden": 64}
    assert len(trials) == 25
    best = trials[found["best"] - 1]
    assert best["validation_ndcg@10"] == max(
        one["validation_ndcg@10"] for one in trials if one["state"] == "complete"
    )
    assert abs(best["values"]["dropout"] - 0.2) < 0.1
    assert isinstance(best["values"]["context"], int)


def test_what_is_below_the_median_is_given_up(tmp_path: Path) -> None:
    asked: list[int] = []

    def training(config: TrainConfig, name: str, look: Callable[[int, float], None]) -> float:
        trial = int(name.rsplit("-", 1)[1])
        for epoch in range(5):
            asked.append(trial)
            look(epoch, 0.1 if trial == 6 else 0.2)
        return 0.2

    found = run(tmp_path / "study", 7, training)
    assert [one["state"] for one in found["trials"]] == ["complete"] * 5 + ["pruned", "complete"]
    # The start and two epochs, and no more.
    assert asked.count(6) == 3
    assert found["trials"][5]["epochs"] == [0.1, 0.1]
    assert "below the median" in found["trials"][5]["why"]
    report = (tmp_path / "study" / "report.md").read_text()
    assert "below the median of the others after epoch 2" in report
    assert (tmp_path / "study" / "trials.png").stat().st_size > 5_000


@pytest.mark.parametrize("killed_in", [1, 4, 11])
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(
    tmp_path: Path, killed_in: int
) -> None:
    whole = run(tmp_path / "whole", 13, good_at_a_fifth)

    def killed(config: TrainConfig, name: str, look: Callable[[int, float], None]) -> float:
        if name == f"study-{killed_in:03}":
            look(1, 0.5)
            raise Killed
        return good_at_a_fifth(config, name, look)

    with pytest.raises(Killed):
        run(tmp_path / "study", 13, killed)
    # The kill may also have cut off a line.
    with (tmp_path / "study" / "journal.log").open("a") as journal:
        journal.write('{"op_code": 6, "trial_')
    again = run(tmp_path / "study", 13, good_at_a_fifth)
    assert again["trials"] == whole["trials"]
    assert run(tmp_path / "study", 13, lambda *_: pytest.fail("all have ended")) == again


def test_the_best_config_is_one_that_fit_takes(tmp_path: Path) -> None:
    (tmp_path / "some.features.yaml").write_text(
        "feature_service: retrieval_v1\nkeep: [user_activity__events_7d]\n"
    )
    found = run(tmp_path / "study", 9, good_at_a_fifth, TEXT + "features: some.features.yaml\n")
    best = tmp_path / "study" / "best.yaml"
    config = load_config(best)
    values = found["trials"][found["best"] - 1]["values"]
    assert {name: getattr(config, name) for name in values} == values
    assert (config.encoder, config.epochs) == ("gru", 4)
    assert config.features == ("user_activity__events_7d",)
    assert "tune" not in yaml.safe_load(best.read_text())
    assert best.read_text().startswith(f"# Trial {found['best']} of 9 of some.yaml: validation")


def test_settings_that_cannot_be_together_are_given_up(tmp_path: Path) -> None:
    text = (
        "encoder: mean\ndimension: 6\n"
        "tune: {encoder: {choices: [mean, gru+gru]}, dimension: {choices: [6, 9]}}\n"
    )
    found = run(tmp_path / "study", 12, lambda *_: 0.1, text)
    for one in found["trials"]:
        cannot = one["values"] == {"encoder": "gru+gru", "dimension": 9}
        assert (one["state"] == "pruned") is cannot
        assert ("cannot share evenly" in one["why"]) is cannot
    assert {one["state"] for one in found["trials"]} == {"pruned", "complete"}


def test_a_search_of_another_config_is_refused_by_its_key(tmp_path: Path) -> None:
    run(tmp_path / "study", 1, good_at_a_fifth)
    with pytest.raises(InputError, match="is another: epochs is 4 there and 5 here"):
        run(tmp_path / "study", 2, good_at_a_fifth, TEXT.replace("epochs: 4", "epochs: 5"))


def test_two_searches_in_one_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    with (
        module._alone(settings.tuning / "retrieval"),
        pytest.raises(InputError, match="another process searches in"),
    ):
        module.tune(settings, trials=1)


def test_no_trial_is_no_search(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--trials is 0; wanted 1 at least"):
        module.tune(Settings(home=tmp_path), trials=0)


def test_a_trial_is_a_training_that_can_be_given_up(
    tmp_path: Path,
    source: Source,
    model: Callable[[TrainConfig], TwoTower],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = TrainConfig(
        encoder="gru",
        dimension=8,
        negatives="sampled",
        draws=4,
        positions=40,
        epochs=4,
        tracking="tensorboard",
    )
    monkeypatch.setattr(module, "begun", lambda _, config, cut: (model(config), source, None))
    said = iter([0.1, 0.4, 0.3, 0.2, 0.1, 0.1, 0.2])
    cut: Any = SimpleNamespace(validation=lambda _: lambda: next(said))
    settings = Settings(home=tmp_path)
    heard: list[tuple[int, float]] = []
    found = trained(settings, config, cut, "t-001", lambda *look: heard.append(look))
    # Two epochs in a row were no better than one before.
    assert (found, heard) == (0.4, [(0, 0.1), (1, 0.4), (2, 0.3), (3, 0.2)])

    def give_up(epoch: int, _: float) -> None:
        if epoch == 1:
            raise optuna.TrialPruned("enough")

    with pytest.raises(optuna.TrialPruned):
        trained(settings, config, cut, "t-002", give_up)
    assert next(said) == 0.2, "nothing was asked after it"
    logs = settings.training_logs / "tensorboard"
    assert {one.name for one in logs.iterdir()} == {"t-001", "t-002"}
