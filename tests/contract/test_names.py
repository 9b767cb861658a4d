"""Files are named from the glossary: a bag without a noun is not a room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
ROOMS = (
    *("profilestore", "training", "serving", "feature_repo", "dbt_project", "benchmarks"),
    *("tests", "docs", "requirements"),
)
NOT_NAMES = {"common", "util", "utils", "helper", "helpers", "core", "lib", "manager", "misc"}
NOT_OURS = {"target", "logs", "__pycache__", "dbt_packages"}


def ours(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if one not in NOT_OURS and not one.startswith(".")]
        yield from (Path(root) / one for one in [*folders, *files])


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_or_folder_is_a_bag(room: str) -> None:
    for path in ours(REPO / room):
        assert not set(path.stem.lower().strip("_").split(".")) & NOT_NAMES, path


def test_a_bag_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "utils.py").touch()
    assert [one.stem for one in ours(tmp_path)] == ["serving", "utils"]


def test_models_are_named_by_their_layer() -> None:
    models = REPO / "dbt_project" / "models"
    for path in models.rglob("*.sql"):
        layer, *inner = path.relative_to(models).parts
        if layer == "staging":
            assert path.stem.startswith(f"stg_{inner[0]}__"), path
        elif layer == "intermediate":
            assert path.stem.startswith("int_"), path
        else:
            assert layer == "marts", path
            assert not path.stem.startswith(("stg_", "int_", "fct_", "dim_", "mart_")), path


def test_every_mart_has_one_sql_and_one_yml() -> None:
    marts = REPO / "dbt_project" / "models" / "marts"
    names = {kind: {path.stem for path in marts.rglob(f"*.{kind}")} for kind in ("sql", "yml")}
    assert names["sql"] == names["yml"]
    assert len(names["sql"]) >= 8
