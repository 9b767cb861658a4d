"""What a search may try, and what is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from profilestore.errors import InputError
from training.config import DEFAULT, config_of, load_config, read_values
from training.tuning.space import Choices, Range, space_of


def space(tmp_path: Path, text: str):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    return space_of(read_values(path), path)


def test_ranges_and_choices_are_read(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        "tune:\n"
        "  learning_rate: {low: 1.0e-4, high: 0.01, log: true}\n"
        "  context: {low: 2, high: 20}\n"
        "  encoder: {choices: [mean, gru+gru]}\n"
        "  cosine: {choices: [true, false]}\n"
        "  id_dropout: {choices: [auto, 0.1]}\n",
    )
    assert found == {
        "learning_rate": Range(1e-4, 0.01, log=True),
        "context": Range(2, 20),
        "encoder": Choices(("mean", "gru+gru")),
        "cosine": Choices((True, False)),
        "id_dropout": Choices(("auto", 0.1)),
    }
    assert 1e-4 in found["learning_rate"]
    assert 1e-5 not in found["learning_rate"]
    assert "lstm" not in found["encoder"]


def test_the_shipped_config_holds_itself() -> None:
    config, found = load_config(), space_of(read_values(DEFAULT), DEFAULT)
    assert len(found) > 3
    assert all(getattr(config, name) in one for name, one in found.items())


def test_a_training_does_not_look_at_the_space(tmp_path: Path) -> None:
    values = {"epochs": 3, "tune": "nonsense"}
    assert config_of(values, tmp_path) == config_of({"epochs": 3}, tmp_path)


@pytest.mark.parametrize(
    ("tune", "said"),
    [
        ("", "tune is None; wanted settings to search"),
        (" {}", "tune is {}; wanted settings"),
        (" {rate: {low: 1, high: 2}}", "tune: rate is no setting; known are feature_service"),
        (" {seed: {low: 1, high: 2}}", "seed cannot be searched: a lucky seed is no setting"),
        (" {test_share: {low: 0.1, high: 0.2}}", "test_share cannot be searched: it says what"),
        (" {dropout: 0.3}", "dropout is 0.3; wanted {low, high} or {choices}"),
        (" {dropout: {low: 0.3}}", "dropout has no high"),
        (" {dropout: {low: 0.3, high: x}}", "dropout: high is 'x'; wanted float"),
        (" {dropout: {low: 0.3, high: 0.1}}", "low is 0.3 and high 0.1; wanted low below high"),
        (" {dropout: {low: 0.0, high: 0.1, log: true}}", "a logarithm wants more than 0"),
        (" {dropout: {low: 0.0, high: 0.1, step: 1}}", "unknown key 'step'; known are low, high"),
        (" {layers: {low: 1, high: 2.5}}", "layers: high is 2.5; wanted int"),
        (" {layers: {low: 0, high: 2}}", "layers: 0 cannot be: .*layers is 0; wanted 1 at least"),
        (" {encoder: {low: 1, high: 2}}", "encoder is str, which has no range"),
        (" {id_dropout: {low: auto, high: 0.3}}", "id_dropout: low is 'auto'; wanted float"),
        (" {id_dropout: {choices: [auto, often]}}", "'often' cannot be"),
        (" {encoder: {choices: [gru]}}", "wanted a list of two values at least"),
        (" {encoder: {choices: [gru, gru]}}", "names one value twice"),
        (" {encoder: {choices: [gru, 1]}}", "encoder: choices is 1; wanted str"),
        (" {encoder: {choices: [gru, grue]}}", "'grue' cannot be: .*encoder is 'grue'"),
        (" {cosine: {choices: [true, 1]}}", "cosine: choices is 1; wanted bool"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, tune: str, said: str) -> None:
    with pytest.raises(InputError, match=rf"some\.yaml: .*{said}"):
        space(tmp_path, f"tune:{tune}\n")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1", "just words"])
def test_a_config_that_is_no_mapping_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"some\.yaml: (found|this is no YAML)"):
        space(tmp_path, text)
