"""The config of profiles: what is in the file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from profilestore.errors import InputError
from training.profiles.config import ProfilesConfig, load_profiles_config


def loaded(folder: Path, text: str) -> ProfilesConfig:
    path = folder / "some.yaml"
    path.write_text(text)
    return load_profiles_config(path)


def test_a_file_says_what_differs_from_the_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, "noise: 0\ndimension: 4\n") == ProfilesConfig(noise=0, dimension=4)
    assert loaded(tmp_path, "") == ProfilesConfig() == load_profiles_config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dimensions: 3", "unknown key 'dimensions'"),
        ("dimension: wide", "dimension is 'wide'; wanted int"),
        ("seed: true", "seed is True; wanted int"),
        ("dimension: 0", "dimension is 0; wanted 1 at least"),
        ("fewest_segments: 1", "fewest_segments is 1; wanted 2 at least"),
        ("most_segments: 2", "most_segments is 2, fewest_segments 3"),
        ("noise: 1.0", "noise is 1.0; wanted 0 at least, and below 1"),
        ("test_share: 0.9", "validation_share and test_share are 0.1 and 0.9"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        loaded(tmp_path, text)
    assert said in str(refused.value)
    assert "some.yaml" in str(refused.value)


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no config of profiles at"):
        load_profiles_config(tmp_path / "none.yaml")
