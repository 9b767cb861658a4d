"""The manifest of the dbt project as it stands, parsed once in a copy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from profilestore.settings import Settings, child_environment

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the dbt project with a fresh `target/manifest.json`."""
    settings = Settings(tmp_path_factory.mktemp("contract"))
    shutil.copytree(
        REPO / "dbt_project", settings.dbt_project, ignore=shutil.ignore_patterns("target", "logs")
    )
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "parse", "--no-use-colors"],
        cwd=settings.dbt_project,
        env=child_environment(
            DBT_PROFILES_DIR=str(settings.dbt_project), PROFILESTORE_HOME=str(settings.home)
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return settings


@pytest.fixture(scope="session")
def manifest(parsed: Settings) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(parsed.manifest.read_text(encoding="utf-8"))
    return content
