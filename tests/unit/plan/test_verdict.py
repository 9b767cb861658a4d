"""Each kind of change of a really applied repo: its name, whom it touches, whether it breaks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from profilestore.plan import Plan, make_plan
from profilestore.settings import Settings

Make = Callable[..., Any]
Row = tuple[str, str, str | None, bool]


def rows(plan: Plan) -> list[Row]:
    """(kind, object, part, breaking) of each finding."""
    return [
        (one.change.kind, one.change.name, one.change.part, one.breaking) for one in plan.findings
    ]


def names(finding: Any, kind: str | None = None) -> list[str]:
    return [one.name for one in finding.readers if kind in (None, one.kind)]


def test_after_apply_and_materialise_there_is_nothing_to_do(home: Settings) -> None:
    plan = make_plan(home)
    assert rows(plan) == []
    assert not plan.first
    assert plan.notes == ()


def test_nothing_is_written(
    home: Settings, plan_of: Make, untouched: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    plan_of(lambda d: d.columns("user_activity").pop("events_7d"))
    before = untouched(home.home)
    make_plan(home)
    assert untouched(home.home) == before
    home.registry.unlink()
    before = untouched(home.home)
    make_plan(home)
    assert untouched(home.home) == before
    assert not list(home.home.rglob("__pycache__"))


def test_before_the_first_apply_everything_is_new_and_nothing_breaks(home: Settings) -> None:
    home.registry.unlink()
    plan = make_plan(home)
    assert plan.first
    assert plan.breaking == []
    assert {row[:2] for row in rows(plan)} == {
        *(("entity_added", name) for name in ("user", "item")),
        *(("view_added", name) for name in ("user_activity", "user_history", "item_attributes")),
        *(("service_added", name) for name in ("retrieval_v1", "profile_v1", "items_v1")),
    }


def added(declaration: Any) -> None:
    column = declaration.columns("user_activity")["events_7d"]
    declaration.columns("user_activity")["events_1d"] = column | {"name": "events_1d"}


def removed(view: str, column: str) -> Callable[[Any], None]:
    return lambda declaration: declaration.columns(view).pop(column)


def removed_with_its_selection(declaration: Any) -> None:
    declaration.columns("item_attributes").pop("blurb")
    declaration.replace('[["title", "blurb"]]', '[["title"]]')


def typed(view: str, column: str, data_type: str) -> Callable[[Any], None]:
    return lambda declaration: declaration.columns(view)[column].update(data_type=data_type)


def tagged(view: str, column: str, **meta: str | None) -> Callable[[Any], None]:
    def edit(declaration: Any) -> None:
        said = declaration.columns(view)[column]["config"]["meta"]
        said.update(meta)
        for name in [name for name, value in meta.items() if value is None]:
            del said[name]

    return edit


def ttl(days: float) -> Callable[[Any], None]:
    return lambda declaration: declaration.feast("user_activity").update(ttl_days=days)


FEATURES: dict[str, tuple[Callable[[Any], None], list[tuple[str, str | None, bool]]]] = {
    "added": (added, [("feature_added", "events_1d", False)]),
    "removed": (
        removed("user_activity", "value_mean_7d"),
        [("feature_removed", "value_mean_7d", True)],
    ),
    "removed, unread": (
        removed_with_its_selection,
        [("feature_removed", "blurb", False)],
    ),
    "narrower": (
        typed("user_activity", "events_7d", "integer"),
        [("type_changed", "events_7d", True)],
    ),
    "narrower, unread": (
        typed("item_attributes", "blurb", "bigint"),
        [("type_changed", "blurb", True)],
    ),
    "other": (
        typed("user_activity", "value_mean_7d", "decimal(9,2)"),
        [("type_changed", "value_mean_7d", True)],
    ),
    "wider": (
        typed("item_attributes", "release_year", "bigint"),
        [("type_changed", "release_year", False)],
    ),
    "wider float": (
        typed("user_activity", "value_mean_7d", "double"),
        [("type_changed", "value_mean_7d", False)],
    ),
    "integer to float": (
        typed("item_attributes", "release_year", "double"),
        [("type_changed", "release_year", True)],
    ),
    "wider list": (
        typed("user_history", "places", "bigint[]"),
        [("type_changed", "places", False)],
    ),
    "list to one": (
        typed("user_history", "places", "integer"),
        [("type_changed", "places", True)],
    ),
    "shorter ttl": (ttl(29.5), [("ttl_changed", None, True)]),
    "longer ttl": (ttl(31), [("ttl_changed", None, False)]),
    "no more ttl": (ttl(0), [("ttl_changed", None, False)]),
    "unit": (
        tagged("user_activity", "events_7d", unit="sessions"),
        [("unit_changed", "events_7d", True)],
    ),
    "unit, said first": (
        tagged("user_activity", "events_lifetime", unit="events"),
        [("unit_changed", "events_lifetime", False)],
    ),
    "unit, unread": (
        tagged("item_attributes", "blurb", unit="words"),
        [("unit_changed", "blurb", False)],
    ),
    "privacy class": (
        tagged("user_activity", "events_7d", **{"class": "sensitive"}),
        [("privacy_class_changed", "events_7d", False)],
    ),
    "tag": (
        tagged("user_history", "item_ids", vocabulary="product_id"),
        [("tag_changed", "item_ids", False)],
    ),
    "owner": (
        lambda d: d.meta("user_activity").update(owner="growth"),
        [("setting_changed", None, False)],
    ),
    "tag of the view": (
        lambda d: d.feast("user_activity").update(tags={"block": "habits"}),
        [("tag_changed", None, False)],
    ),
    "description": (
        lambda d: d.columns("user_activity")["events_7d"].update(description="Other words."),
        [("description_changed", "events_7d", False)],
    ),
    "description of the view": (
        lambda d: d.models["user_activity"].update(description="One row per person."),
        [("description_changed", None, False)],
    ),
    "renamed": (
        lambda d: d.rename("user_activity", "events_7d", "events_of_7d"),
        # The words about it are other ones now; they are reported under the name of before.
        [("feature_renamed", "events_7d", True)],
    ),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_change_of_a_view(name: str, plan_of: Make) -> None:
    edit, expected = FEATURES[name]
    found = rows(plan_of(edit))
    assert [(kind, part, breaking) for kind, _, part, breaking in found] == expected
    assert len({row[1] for row in found}) == 1


def test_a_view_that_goes_is_missed_by_its_services(plan_of: Make) -> None:
    def edit(declaration: Any) -> None:
        del declaration.models["user_history"]
        declaration.replace(", user_history\n\n", "\n\n")
        declaration.replace("user_history, item_attributes]", "item_attributes]")
        declaration.replace("[user_activity, user_history]", "[user_activity]")

    plan = plan_of(edit)
    assert rows(plan) == [
        ("view_removed", "user_history", None, True),
        ("service_loses_view", "profile_v1", "user_history", True),
        ("service_loses_view", "retrieval_v1", "user_history", True),
    ]
    view, profile, retrieval = plan.findings
    assert view.services == ("profile_v1", "retrieval_v1")
    assert "GET /v1/profiles/{user_id}" in names(view, "endpoint")
    assert names(profile, "bundle") == []
    assert names(retrieval, "bundle") == ["v1"]
    assert names(retrieval, "training") == ["retrieval.yaml"]


def test_a_service_may_take_more_and_not_less(plan_of: Make) -> None:
    def edit(declaration: Any) -> None:
        declaration.replace(
            "features=[user_activity, user_history], ", "features=[user_activity], "
        )
        declaration.replace('[["title", "blurb"]]', '[["title", "release_year"]], user_history')

    assert rows(plan_of(edit)) == [
        ("service_loses_feature", "items_v1", "item_attributes.blurb", False),
        ("service_gains_feature", "items_v1", "item_attributes.release_year", False),
        ("service_gains_view", "items_v1", "user_history", False),
        ("service_loses_view", "profile_v1", "user_history", True),
    ]


def test_a_service_that_loses_a_feature_somebody_reads_breaks(only: Make) -> None:
    finding = only(lambda d: d.replace('[["title", "blurb"]]', '[["blurb"]]'))
    assert (finding.change.kind, finding.change.part) == (
        "service_loses_feature",
        "item_attributes.title",
    )
    assert finding.breaking
    assert "GET /v1/profiles/{user_id}" in names(finding, "endpoint")
    assert names(finding, "training") == []  # it reads through another service


def test_a_service_comes_and_another_goes(plan_of: Make) -> None:
    plan = plan_of(lambda d: d.replace('name="profile_v1"', 'name="profile_v2"'))
    assert rows(plan) == [
        ("service_removed", "profile_v1", None, True),
        ("service_added", "profile_v2", None, False),
    ]
    assert "profilestore materialize" in names(plan.findings[0], "command")
    assert names(plan.findings[1]) == []


def test_a_join_key_and_its_type_break_whoever_asks(home: Settings) -> None:
    entities = home.feature_repo / "entities.py"
    text = entities.read_text()
    entities.write_text(text.replace('join_keys=["item_id"]', 'join_keys=["product_id"]'))
    (finding,) = make_plan(home).findings
    assert (finding.change.kind, finding.change.before, finding.change.after) == (
        "entity_changed",
        "item_id (String)",
        "product_id (String)",
    )
    assert finding.breaking
    assert finding.services == ("items_v1", "retrieval_v1")
    assert "GET /v1/recommendations/{user_id}" in names(finding)
    entities.write_text(text.replace("ValueType.STRING", "ValueType.INT64", 1))
    (finding,) = make_plan(home).findings
    assert (finding.change.name, finding.change.after) == ("user", "user_id (Int64)")
    assert finding.breaking


def test_a_view_about_somebody_else_breaks(plan_of: Make) -> None:
    def edit(declaration: Any) -> None:
        declaration.feast("item_attributes").update(entity="user")
        declaration.rename("item_attributes", "item_id", "user_id")

    (row,) = rows(plan_of(edit))
    assert row == ("view_entities_changed", "item_attributes", None, True)


def test_an_entity_comes_and_goes(home: Settings, apply: Make) -> None:
    entities = home.feature_repo / "entities.py"
    text = entities.read_text()
    entities.write_text(f'{text}\nshop = Entity(name="shop", value_type=ValueType.INT64)\n')
    assert rows(make_plan(home)) == [("entity_added", "shop", None, False)]
    apply(home)
    assert rows(make_plan(home)) == []
    entities.write_text(text)
    assert rows(make_plan(home)) == [("entity_removed", "shop", None, True)]


def test_a_rename_with_another_type_is_told_as_both(plan_of: Make) -> None:
    def edit(declaration: Any) -> None:
        declaration.rename("user_activity", "events_7d", "clicks_7d")
        declaration.columns("user_activity")["clicks_7d"]["data_type"] = "double"

    assert rows(plan_of(edit)) == [
        ("feature_removed", "user_activity", "events_7d", True),
        ("feature_added", "user_activity", "clicks_7d", False),
    ]


def test_several_renames_are_told_apart_by_their_words(plan_of: Make) -> None:
    def edit(declaration: Any) -> None:
        declaration.rename("user_activity", "events_7d", "clicks_7d")
        declaration.rename("user_activity", "events_lifetime", "clicks_lifetime")
        tagged("user_activity", "clicks_7d", unit="clicks")(declaration)

    found = plan_of(edit)
    assert rows(found) == [
        ("feature_renamed", "user_activity", "events_7d", True),
        ("unit_changed", "user_activity", "events_7d", True),
        ("feature_renamed", "user_activity", "events_lifetime", True),
    ]
    assert found.findings[0].change.after == "clicks_7d"


def test_who_will_read_what_is_added(plan_of: Make) -> None:
    (finding,) = plan_of(added).findings
    assert finding.services == ("profile_v1", "retrieval_v1")
    assert names(finding, "training") == ["retrieval.yaml"]
    assert "GET /v1/profiles/{user_id}" in names(finding, "endpoint")
    assert names(finding, "bundle") == []  # the next one will


def test_who_will_read_a_new_mart(plan_of: Make) -> None:
    def edit(declaration: Any) -> None:
        mart = deepcopy(declaration.models["user_activity"]) | {"name": "user_visits"}
        declaration.models["user_visits"] = mart
        declaration.replace("import item_attributes,", "import item_attributes, user_visits,")
        declaration.replace("item_attributes],\n", "item_attributes, user_visits],\n")

    view, service = plan_of(edit).findings
    assert (view.change.kind, view.change.after) == ("view_added", "4 features")
    assert service.change.kind == "service_gains_view"
    for finding in (view, service):
        assert names(finding, "training") == ["retrieval.yaml"]
        assert finding.services == ("retrieval_v1",)
        assert not finding.breaking


def test_what_could_not_be_trained_on_is_noted(plan_of: Make) -> None:
    def edit(declaration: Any) -> None:
        tagged("user_history", "places", weights_of="item_ids")(declaration)
        declaration.rename("user_history", "item_ids", "things")

    (note,) = plan_of(edit).notes
    assert note.startswith("training retrieval.yaml could not train on it: feature user_history__")
    assert "weights_of names user_history__item_ids" in note
