"""What dbt says of who reads its marts is what feature services, code and routes read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import serving
from profilestore.feature_store import PEOPLE_SERVICE
from profilestore.plan.feast_repo import FeatureRepo
from profilestore.plan.states import State
from profilestore.settings import Settings
from training.config import DEFAULT, load_config
from training.profiles.config import load_profiles_config

REPO = Path(__file__).resolve().parents[2]
EXPOSURES = "dbt_project/models/exposures.yml"


@pytest.fixture(scope="module")
def declared() -> State:
    return FeatureRepo(Settings(REPO)).declared()


@pytest.fixture(scope="module")
def exposures(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By the feature service that each reads through."""
    found = {one["config"]["meta"]["feature_service"]: one for one in exposed(manifest)}
    assert len(found) == len(exposed(manifest)), f"{EXPOSURES}: two of one feature service"
    return found


def exposed(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return list(manifest["exposures"].values())


def tables_in(paths: Iterable[Path]) -> set[str]:
    """Lake tables that code names in its SQL."""
    texts = (path.read_text(encoding="utf-8") for path in paths)
    return {table for text in texts for table in re.findall(r"\blake\.main\.(\w+)", text)}


def marts_of(declared: State, view: str) -> set[str]:
    """The mart behind a view; of one that is computed, those behind what it is computed from."""
    found = declared.views[view]
    if found.inputs:
        return {mart for name, _ in found.inputs for mart in marts_of(declared, name)}
    return {found.source["table"].rsplit(".", 1)[-1]}


def trained_services() -> dict[str, str]:
    """Feature service -> training config."""
    return {load_config(path).feature_service: path.name for path in DEFAULT.parent.glob("*.yaml")}


def test_every_feature_service_has_one(
    declared: State, exposures: dict[str, dict[str, Any]]
) -> None:
    assert exposures.keys() == declared.services.keys(), f"bring {EXPOSURES} up to date"


def test_they_depend_on_the_marts_that_are_read(
    declared: State, exposures: dict[str, dict[str, Any]]
) -> None:
    by_name = {
        service: tables_in((REPO / "training").rglob("*.py")) for service in trained_services()
    }
    by_name[load_profiles_config().feature_service] = tables_in([REPO / "training" / "dataset.py"])
    by_name[PEOPLE_SERVICE] = tables_in([REPO / "profilestore" / "feature_store.py"])
    assert all(by_name.values())
    for name, service in declared.services.items():
        views = {selection.view for selection in service.selections.values()}
        read = {mart for view in views for mart in marts_of(declared, view)}
        said = {one.rsplit(".", 1)[-1] for one in exposures[name]["depends_on"]["nodes"]}
        assert said == read | by_name.get(name, set()), f"bring {name} in {EXPOSURES} up to date"


def test_a_model_names_its_training_config(exposures: dict[str, dict[str, Any]]) -> None:
    said = {name: one["config"]["meta"].get("training_config") for name, one in exposures.items()}
    assert {name: config for name, config in said.items() if config} == trained_services()
    assert {exposures[name]["type"] for name in trained_services()} == {"ml"}


def test_an_application_is_what_the_routes_read(exposures: dict[str, dict[str, Any]]) -> None:
    endpoints = serving.endpoints_of(serving.create_app(Settings(REPO)))
    read = {reads.service for endpoint in endpoints for reads in endpoint.reads} - {None}
    assert {name for name, one in exposures.items() if one["type"] == "application"} == read


def test_each_says_who_and_what(manifest: dict[str, Any]) -> None:
    for one in exposed(manifest):
        assert one["owner"]["name"], one["name"]
        assert one["description"].strip(), one["name"]
        assert one["label"], one["name"]
