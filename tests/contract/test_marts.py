"""Every mart keeps what DESIGN says of marts: contract, grain, class, a unit test, a truth."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from profilestore.codegen.manifest import PRIVACY_CLASSES, PURPOSES

MARTS = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "marts"
NAMES = sorted(path.stem for path in MARTS.rglob("*.sql"))
# What says something about a key, and nothing about the numbers.
KEY_TESTS = {"not_null", "unique", "unique_combination"}


def node(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = manifest["nodes"][f"model.profilestore.{name}"]
    return found


def data_tests(manifest: dict[str, Any], name: str) -> set[str]:
    """Names of the generic tests on a mart, and of the singular ones that read it."""
    found = set()
    for one in manifest["nodes"].values():
        if one["resource_type"] != "test":
            continue
        if one.get("attached_node") == f"model.profilestore.{name}":
            found.add(one["test_metadata"]["name"])
        elif not one.get("attached_node") and (
            f"model.profilestore.{name}" in one["depends_on"]["nodes"]
        ):
            found.add(one["name"])
    return found


def test_the_manifest_has_the_marts_of_the_folder(manifest: dict[str, Any]) -> None:
    assert (
        sorted(
            one["name"]
            for one in manifest["nodes"].values()
            if one["resource_type"] == "model" and one["path"].startswith("marts/")
        )
        == NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_its_contract_is_enforced_and_typed(manifest: dict[str, Any], name: str) -> None:
    mart = node(manifest, name)
    assert mart["config"]["contract"]["enforced"] is True
    # What a training wrote is a table already.
    over_a_table = any("source.profilestore.trained." in one for one in mart["depends_on"]["nodes"])
    stored = {"view"} if over_a_table else {"table", "incremental"}
    assert mart["config"]["materialized"] in stored
    assert mart["columns"]
    assert [one["name"] for one in mart["columns"].values() if not one["data_type"]] == []


@pytest.mark.parametrize("name", NAMES)
def test_its_first_sentence_is_its_grain(manifest: dict[str, Any], name: str) -> None:
    assert " ".join(node(manifest, name)["description"].split()).startswith("One row per ")


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_described_and_classed(manifest: dict[str, Any], name: str) -> None:
    allowed = PRIVACY_CLASSES - {"direct_identifier"}
    for column in node(manifest, name)["columns"].values():
        assert column["description"].strip(), column["name"]
        assert column["config"]["meta"].get("class") in allowed, column["name"]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_who_answers_for_it_and_what_it_may_be_read_for(
    manifest: dict[str, Any], name: str
) -> None:
    meta = node(manifest, name)["config"]["meta"]
    assert meta["owner"].strip()
    assert meta["purposes"]
    assert set(meta["purposes"]) <= PURPOSES


def test_a_build_and_the_generator_know_the_same_words() -> None:
    """The lists stand twice: dbt knows nothing of Python."""
    macro = (MARTS.parents[1] / "macros" / "refuse_incomplete_declarations.sql").read_text()
    lists = dict(re.findall(r"set (\w+) = (\[[^\]]+\])", macro))
    assert set(ast.literal_eval(lists["classes"])) == PRIVACY_CLASSES - {"direct_identifier"}
    assert set(ast.literal_eval(lists["known"])) == PURPOSES


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_unit_test(manifest: dict[str, Any], name: str) -> None:
    tested = {one["model"] for one in manifest["unit_tests"].values()}
    assert name in tested


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_truth_of_its_own(manifest: dict[str, Any], name: str) -> None:
    assert data_tests(manifest, name) - KEY_TESTS


def test_the_count_of_rows_is_tested_in_every_build(manifest: dict[str, Any]) -> None:
    assert "nothing_lost" in data_tests(manifest, "event_reconciliation")


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_views_grain_is_tested(manifest: dict[str, Any], name: str) -> None:
    if "feast" in node(manifest, name)["config"]["meta"]:
        assert "unique_combination" in data_tests(manifest, name)


def test_only_staging_reads_raw_logs(manifest: dict[str, Any]) -> None:
    """Law 6: raw identifiers stop in staging."""
    readers = {
        one["name"]
        for one in manifest["nodes"].values()
        if one["resource_type"] == "model"
        and any(
            parent.startswith("source.") and not parent.startswith("source.profilestore.trained.")
            for parent in one["depends_on"]["nodes"]
        )
    }
    assert readers
    assert all(name.startswith("stg_") for name in readers)


def test_staging_is_never_stored(manifest: dict[str, Any]) -> None:
    staging = [one for one in manifest["nodes"].values() if one["name"].startswith("stg_")]
    assert staging
    assert {one["config"]["materialized"] for one in staging} == {"ephemeral"}
