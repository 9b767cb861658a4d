"""The training config: what is in the file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from profilestore.errors import InputError
from training import encoders, fusion
from training.config import CHOICES, ENCODERS, TrainConfig, load_config
from training.feature_list import FeatureList


def loaded(folder: Path, text: str) -> TrainConfig:
    path = folder / "some.yaml"
    path.write_text(text)
    return load_config(path)


def test_a_file_says_what_differs_from_the_defaults(tmp_path: Path) -> None:
    found = loaded(tmp_path, "encoder: gru\npretrain: false\ndropout: 0\nepochs: 3\n")
    assert found == TrainConfig(encoder="gru", pretrain=False, dropout=0, epochs=3)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == TrainConfig()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch: 3", "unknown key 'epoch'"),
        ("epochs: three", "epochs is 'three'; wanted int"),
        ("epochs: true", "epochs is True; wanted int"),
        ("pretrain: 1", "pretrain is 1; wanted bool"),
        ("dropout: false", "dropout is False; wanted float"),
        ("tracking: tensorboard+wandb", "tracking is 'tensorboard+wandb'; wanted none, or of"),
        ("epochs: 0", "epochs is 0; wanted 1 at least"),
        ("test_share: 0.95", "validation_share and test_share are 0.1 and 0.95"),
        ("id_dropout: some", "id_dropout is 'some'; wanted auto, or a share"),
        ("id_dropout: 1", "id_dropout is 1; wanted auto, or a share"),
        ("id_dropout: true", "id_dropout is True; wanted float or str"),
        ("loss: hinge", "loss is 'hinge'; wanted one of softmax, gbce"),
        ("encoder: gru+rnn", "encoder is 'gru+rnn'; wanted one of mean"),
        ("encoder: gru+gru+gru", "dimension is 128, which the 3 encoders"),
        ("{encoder: attention, attention_heads: 3}", "3 heads cannot share the 128 units"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        loaded(tmp_path, text)
    assert said in str(refused.value)
    assert "some.yaml" in str(refused.value)


def test_a_list_of_features_lies_beside_the_config_and_goes_into_the_bundle(tmp_path: Path) -> None:
    FeatureList("retrieval_v1", ("v__a", "v__b")).write(tmp_path / "few.yaml")
    path = tmp_path / "config.yaml"
    path.write_text("features: few.yaml\n")
    config = load_config(path)
    assert config.features == ("v__a", "v__b")
    assert config.to_json()["features"] == ["v__a", "v__b"]
    path.write_text("features: few.yaml\nfeature_service: other\n")
    with pytest.raises(InputError, match="is of retrieval_v1, and the config's"):
        load_config(path)
    path.write_text("features: [v__a]\n")
    with pytest.raises(InputError, match="wanted the name of a file"):
        load_config(path)


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training config at"):
        load_config(tmp_path / "none.yaml")


def test_every_name_is_one_that_is_built() -> None:
    assert set(encoders.NAMES) == set(ENCODERS)
    assert set(fusion.NAMES) == set(CHOICES["fusion"])
