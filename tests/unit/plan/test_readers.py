"""Who reads is derived from where each reader says it: change it there, and the plan follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import training.config
from profilestore import feature_store
from profilestore.encoding import Feature
from profilestore.errors import InputError, ProfilestoreError
from profilestore.plan import make_plan
from profilestore.plan.feast_repo import FeatureRepo
from profilestore.plan.readers import Readers
from profilestore.settings import Settings
from serving import items
from serving.reads import Reads

Make = Callable[..., Any]


@pytest.fixture
def read_by(home: Settings) -> Callable[[str], set[str]]:
    """`<view>.<column>` that the readers of a kind read of what is registered."""

    def columns(kind: str) -> set[str]:
        state = FeatureRepo(home).registered()
        assert state is not None
        uses = Readers(home).uses(state)
        return {f"{use.view}.{use.column}" for use in uses if use.reader.kind == kind}

    return columns


def exposure(**parts: Any) -> dict[str, Any]:
    return {
        "name": "weekly",
        "type": "dashboard",
        "depends_on": {"nodes": ["model.profilestore.user_activity"]},
        **parts,
    }


def test_training_reads_what_its_encodings_take(read_by: Make) -> None:
    """Neither text without a vocabulary nor the age of an item, and places weigh nothing."""
    assert read_by("training") == {
        *(f"user_activity.{name}" for name in ("events_7d", "events_lifetime", "value_mean_7d")),
        *("user_activity.last_event_at", "user_history.item_ids", "item_attributes.release_year"),
    }


def test_every_training_config_is_a_reader(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_by: Make
) -> None:
    (tmp_path / "a.yaml").write_text("feature_service: items_v1\n")
    (tmp_path / "b.yaml").write_text("feature_service: nobody_declared_v1\n")
    monkeypatch.setattr(training.config, "DEFAULT", tmp_path / "a.yaml")
    assert read_by("training") == set()
    (tmp_path / "b.yaml").write_text("feature_service: profile_v1\n")
    assert "user_activity.events_7d" in read_by("training")
    (tmp_path / "b.yaml").write_text("feature_service: 3\n")
    with pytest.raises(InputError, match=r"b\.yaml: feature_service is 3"):
        make_plan(home)


def test_the_bundle_reads_what_it_was_exported_with(home: Settings, read_by: Make) -> None:
    assert read_by("bundle") == {"user_activity.events_7d", "user_history.item_ids"}
    (home.models / "v1" / "encoding.json").write_text("{")
    with pytest.raises(ProfilestoreError, match="v1 does not say what it reads"):
        make_plan(home)
    (home.models / "current.json").unlink()
    assert read_by("bundle") == set()


def test_endpoints_read_what_their_routes_say(
    read_by: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "item_attributes.title" in read_by("endpoint")
    assert "item_attributes.blurb" not in read_by("endpoint")

    def blurb(feature: Feature) -> bool:
        return feature.name == "blurb"

    monkeypatch.setattr("serving.routes.PROFILE", (Reads(items.SERVICE, blurb),))
    assert "item_attributes.blurb" in read_by("endpoint")


def test_an_endpoint_that_asks_the_model_reads_what_the_model_reads(
    home: Settings, plan_of: Make
) -> None:
    plan = plan_of(lambda d: d.columns("user_activity").pop("events_7d"))
    readers = {(one.kind, one.name) for one in plan.findings[0].readers}
    recommendations = ("endpoint", "GET /v1/recommendations/{user_id}")
    assert recommendations in readers
    (home.models / "current.json").unlink()
    readers = {(one.kind, one.name) for one in make_plan(home).findings[0].readers}
    assert recommendations not in readers
    assert ("endpoint", "GET /v1/profiles/{user_id}") in readers


def test_materialise_reads_what_it_notes_people_from(
    read_by: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_by("command") == {"user_activity.last_event_at", "user_activity.events_lifetime"}
    monkeypatch.setattr("profilestore.plan.readers.PEOPLE_COLUMNS", ("user_activity__events_7d",))
    assert read_by("command") == {"user_activity.events_7d"}
    assert feature_store.PEOPLE_COLUMNS != ("user_activity__events_7d",)


def test_a_dashboard_reads_the_marts_it_depends_on(
    home: Settings, declaration: Any, read_by: Make
) -> None:
    assert read_by("dashboard") == set()
    declaration.exposures = {"exposure.profilestore.weekly": exposure()}
    declaration.write(home)
    columns = ("events_7d", "events_lifetime", "value_mean_7d", "last_event_at")
    assert read_by("dashboard") == {f"user_activity.{name}" for name in columns}


def test_also_through_other_models(home: Settings, declaration: Any, read_by: Make) -> None:
    summary = {
        "resource_type": "model",
        "name": "summary",
        "config": {},
        "depends_on": {"nodes": ["model.profilestore.item_attributes", "source.raw.things"]},
    }
    declaration.models["summary"] = summary
    nodes = {"nodes": ["model.profilestore.summary"]}
    declaration.exposures = {"e": exposure(type="notebook", depends_on=nodes)}
    declaration.write(home)
    assert read_by("notebook") == {
        f"item_attributes.{name}" for name in ("title", "blurb", "release_year")
    }


@pytest.mark.parametrize("place", ["config", "meta"])
def test_a_dashboard_may_name_its_columns(
    home: Settings, declaration: Any, read_by: Make, place: str
) -> None:
    meta = {"columns": ["user_activity.events_7d", "user_history.item_ids"]}
    said = {"config": {"meta": meta}} if place == "config" else {"meta": meta}
    declaration.exposures = {"e": exposure(**said)}
    declaration.write(home)
    # It does not depend on user_history, whatever it says.
    assert read_by("dashboard") == {"user_activity.events_7d"}


@pytest.mark.parametrize("columns", ["user_activity.events_7d", ["events_7d"], [3]])
def test_columns_of_a_dashboard_that_cannot_be_read(
    home: Settings, declaration: Any, columns: Any
) -> None:
    declaration.exposures = {"e": exposure(meta={"columns": columns})}
    declaration.write(home)
    with pytest.raises(InputError, match=r"exposure weekly: meta\.columns is"):
        make_plan(home)


def test_a_dashboard_alone_makes_a_removal_break(declaration: Any, plan_of: Make) -> None:
    def edit(declared: Any) -> None:
        nodes = {"nodes": ["model.profilestore.item_attributes"]}
        declared.exposures = {"e": exposure(depends_on=nodes)}
        declared.columns("item_attributes").pop("blurb")
        declared.replace('[["title", "blurb"]]', '[["title"]]')

    (finding,) = plan_of(edit).findings
    assert [(one.kind, one.name) for one in finding.readers] == [("dashboard", "weekly")]
    assert finding.breaking


@pytest.mark.parametrize("place", ["config", "meta"])
def test_an_exposure_of_a_feature_service_is_no_reader_of_its_own(
    home: Settings, declaration: Any, read_by: Make, place: str
) -> None:
    """Who reads through the service is known by column, and would be counted twice."""
    meta = {"feature_service": "profile_v1"}
    said = {"config": {"meta": meta}} if place == "config" else {"meta": meta}
    declaration.exposures = {"e": exposure(**said)}
    declaration.write(home)
    assert read_by("dashboard") == set()


def test_a_manifest_of_dbt_without_exposures(home: Settings) -> None:
    said = json.loads(home.manifest.read_text())
    del said["exposures"]
    home.manifest.write_text(json.dumps(said))
    assert make_plan(home).findings == ()
