"""A plan in words and in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilestore import cli
from profilestore.plan import Finding, Plan, as_json, as_text, breaking_names, make_plan
from profilestore.plan.changes import Change, Harm
from profilestore.plan.readers import Reader
from profilestore.settings import Settings

REPO = Path(__file__).resolve().parents[3]
VIEW = ("feature view", "user_activity")
READERS = (
    Reader("bundle", "20260301T000000Z"),
    Reader("endpoint", "GET /v1/profiles/{user_id}"),
    Reader("endpoint", "GET /v1/recommendations/{user_id}"),
    Reader("training", "retrieval.yaml"),
)


def finding(kind: str, part: str | None = None, **parts: Any) -> Finding:
    breaking = parts.pop("breaking", False)
    readers, services = parts.pop("readers", ()), parts.pop("services", ())
    return Finding(Change(kind, *VIEW, part, **parts), breaking, services, readers)


@pytest.fixture
def plan() -> Plan:
    return Plan(
        Path("data/registry.db"),
        False,
        (
            finding(
                "ttl_changed",
                before="30 days",
                after="1 day",
                why="values become null earlier",
                harm=Harm.ALWAYS,
                breaking=True,
                readers=READERS,
            ),
            finding("feature_removed", "events_1d", before="Int64", services=("profile_v1",)),
            finding("feature_added", "events_2d", after="Int64", readers=READERS[:1]),
            finding("description_changed", "events_7d", before="a", after="b" * 90),
            finding("feature_renamed", "clicks", before="clicks", after="taps", breaking=True),
        ),
        ("inferred declares no columns",),
    )


TEXT = """\
5 changes to data/registry.db, 2 breaking (marked !).

feature view user_activity
  ! ttl        30 days -> 1 day: values become null earlier
               read by bundle 20260301T000000Z; endpoint GET /v1/profiles/{user_id},
                 GET /v1/recommendations/{user_id}; training retrieval.yaml
  - events_1d  removed (Int64)
               no known reader (held by profile_v1)
  + events_2d  added (Int64)
               will be read by bundle 20260301T000000Z
  ~ events_7d  description a -> {cut}…
  ! clicks     renamed to taps
               no known reader

Note: inferred declares no columns."""


def test_text_is_aligned_and_says_who_reads(plan: Plan) -> None:
    assert as_text(plan) == TEXT.replace("{cut}", "b" * 59)


def test_colour_adds_nothing_but_colour(plan: Plan) -> None:
    coloured = as_text(plan, colour=True)
    assert coloured.count("\x1b[31m!\x1b[0m") == 2
    assert coloured.count("\x1b[32m+\x1b[0m") == 1
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == as_text(plan)


def test_no_line_is_too_long(plan: Plan) -> None:
    assert max(map(len, as_text(plan).splitlines())) <= 100


def test_what_breaks_has_a_name(plan: Plan) -> None:
    assert breaking_names(plan) == [
        "user_activity (ttl_changed)",
        "user_activity.clicks (feature_renamed)",
    ]


def test_json_has_the_documented_keys(plan: Plan) -> None:
    said = json.loads(as_json(plan))
    assert {name: said[name] for name in said if name != "findings"} == {
        "version": 1,
        "registry": "data/registry.db",
        "first_apply": False,
        "changes": 5,
        "breaking": 2,
        "notes": ["inferred declares no columns"],
    }
    assert said["findings"][0] == {
        "kind": "ttl_changed",
        "object": {"form": "feature view", "name": "user_activity"},
        "part": None,
        "before": "30 days",
        "after": "1 day",
        "breaking": True,
        "why": "values become null earlier",
        "services": [],
        "readers": [{"kind": one.kind, "name": one.name} for one in READERS],
    }
    page = (REPO / "docs" / "plan.md").read_text()
    for name in {*said, *said["findings"][0], "form", "name"}:
        assert f"`{name}`" in page


def test_nothing_to_do(home: Settings) -> None:
    plan = make_plan(home)
    assert as_text(plan) == "No changes: data/registry.db holds what the feature repo declares."
    assert json.loads(as_json(plan))["findings"] == []
    assert breaking_names(plan) == []


def test_the_first_apply_names_no_readers(home: Settings) -> None:
    home.registry.unlink()
    text = as_text(make_plan(home))
    assert text.startswith("The first apply, into data/registry.db: everything is new.\n")
    assert "read by" not in text
    assert "feature view user_activity\n  + added  4 features" in text


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (
            lambda d: d.replace("activity, user_history], tags", "activity], tags"),
            "! user_history  no longer in it: whoever asks for the service no longer gets it",
        ),
        (
            lambda d: d.replace('[["title", "blurb"]]', ""),
            "+ item_attributes.release_year  now in it",
        ),
        (
            lambda d: d.meta("user_activity").update(owner="growth"),
            "~ setting  owner: analytics -> owner: growth",
        ),
        (
            lambda d: d.columns("user_activity")["events_7d"]["config"]["meta"].pop("unit"),
            "~ events_7d  unit events -> nothing",
        ),
        (
            lambda d: d.columns("user_history")["item_ids"].update(data_type="blob[]"),
            "! item_ids  type Array(String) -> Array(Bytes): not every value of before fits",
        ),
    ],
)
def test_a_change_in_words(plan_of: Callable[..., Plan], edit: Any, line: str) -> None:
    assert line in [one.strip() for one in as_text(plan_of(edit)).splitlines()]


def test_every_kind_of_change_is_documented() -> None:
    source = (REPO / "profilestore" / "plan" / "changes.py").read_text()
    page = (REPO / "docs" / "plan.md").read_text()
    verbs = "added|removed|changed|renamed"
    kinds = {one[0] for one in re.findall(rf'"([a-z_]+_({verbs})|service_[a-z_]+)"', source)}
    assert len(kinds) >= 20
    assert not {kind for kind in kinds if f"`{kind}`" not in page}


def test_the_command_from_end_to_end(
    home: Settings,
    declaration: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PROFILESTORE_HOME", str(home.home))
    assert cli.main(["plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == 0
    declaration.rename("user_activity", "events_7d", "clicks_7d")
    declaration.write(home)
    assert cli.main(["plan", "--json"]) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["breaking"] == 1
    assert said.err.startswith(
        "profilestore plan: 1 breaking: user_activity.events_7d (feature_renamed). "
    )
    home.manifest.unlink()
    assert cli.main(["plan", "--json"]) == 4
    assert capsys.readouterr().out == ""
