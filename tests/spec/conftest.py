"""Shared by the spec tests.

Tests are imported with `--import-mode=importlib`, where a test cannot import its neighbour by name.
The three modules beside this file are loaded here by path, under names of their own.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"spec_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while the module is being run.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


scenarios = _load("scenarios")
reference = _load("reference")
engines = _load("engines")

SCENARIOS = scenarios.read_scenarios(HERE / "point_in_time.md")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", SCENARIOS, ids=str)


@pytest.fixture(scope="session")
def all_scenarios() -> list[object]:
    return SCENARIOS


@pytest.fixture(scope="session")
def repos(tmp_path_factory: pytest.TempPathFactory) -> object:
    return engines.Repos(tmp_path_factory.mktemp("spec"), SCENARIOS)
