"""Both states as Feast has them; whatever cannot be read is said with its place and a remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.plan import make_plan
from profilestore.settings import Settings

Make = Callable[..., Any]

# Every form that the generated views have not, as a stranger might write them.
BY_HAND = """
from datetime import timedelta

import pandas as pd
from entities import user
from feast import FeatureService, FeatureView, Field, PushSource, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64
from feature_views import user_activity

from profilestore.offline_store import DuckDBSource

rows = DuckDBSource(name="rows", table="user_activity", timestamp_field="event_timestamp")
pushed = PushSource(name="pushed", batch_source=rows)
inferred = FeatureView(name="inferred", entities=[user], source=rows, ttl=timedelta(days=1))
from_push = FeatureView(
    name="from_push",
    entities=[user],
    source=pushed,
    schema=[Field(name="events_7d", dtype=Int64)],
    ttl=timedelta(days=1),
)
asked = RequestSource(name="asked", schema=[Field(name="factor", dtype=Int64)])


@on_demand_feature_view(
    sources=[user_activity[["events_7d"]], asked],
    schema=[Field(name="scaled", dtype=Float64)],
    mode="pandas",
)
def scaled(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"scaled": inputs["events_7d"] * 1.0 * inputs["factor"]})


shown = {"purpose": "profile"}
by_text = FeatureService(name="by_text", features=["user_activity:events_7d"], tags=shown)
whole = FeatureService(name="whole", features=[scaled, inferred], tags=shown)
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_every_form_of_view_is_the_same_after_apply(
    home: Settings, declaration: Any, apply: Make
) -> None:
    declaration.files["by_hand.py"] = BY_HAND
    declaration.write(home)
    kinds = {(one.change.kind, one.change.name) for one in make_plan(home).findings}
    assert kinds == {
        *(("view_added", name) for name in ("inferred", "from_push", "scaled")),
        *(("service_added", name) for name in ("by_text", "whole")),
    }
    apply(home)
    plan = make_plan(home)
    assert plan.findings == ()
    assert [note.split()[0] for note in plan.notes] == ["inferred"]

    declaration.files["by_hand.py"] = (
        BY_HAND.replace('inputs["events_7d"] * 1.0', 'inputs["events_7d"] * 2.0')
        .replace('name="rows", table="user_activity"', 'name="rows", table="user_history"')
        .replace("source=pushed,\n", "source=pushed,\n    online=False,\n")
    )
    declaration.write(home)
    changed = {
        (one.change.kind, one.change.name, one.change.part or (one.change.after or "")[:22])
        for one in make_plan(home).findings
    }
    assert changed == {
        ("setting_changed", "scaled", "feature_transformation"),
        ("source_changed", "inferred", "source table"),
        ("source_changed", "from_push", "source table"),
        ("source_changed", "from_push", "source stream_source.batch_source"),
        ("view_online_changed", "from_push", "offline only"),
    }
    del declaration.columns("user_activity")["events_7d"]
    declaration.files["by_hand.py"] = BY_HAND.replace("events_7d", "events_lifetime")
    declaration.write(home)
    (gone,) = (
        one
        for one in make_plan(home).findings
        if (one.change.name, one.change.part) == ("user_activity", "events_7d")
    )
    assert [one.name for one in gone.readers if one.kind == "view"] == ["scaled"]


def test_another_project_in_the_registry_is_not_ours(home: Settings) -> None:
    where = home.feature_repo / "feature_store.yaml"
    where.write_text(where.read_text().replace("project: small", "project: another"))
    assert {one.change.kind for one in make_plan(home).findings} == {
        *("entity_added", "view_added", "service_added"),
    }


def test_the_process_is_left_as_it_was(home: Settings) -> None:
    path, modules, folder = list(sys.path), set(sys.modules), Path.cwd()
    make_plan(home)
    (home.feature_repo / "odd.py").write_text("1 / 0\n")
    with pytest.raises(InputError):
        make_plan(home)
    assert sys.path == path
    assert Path.cwd() == folder
    assert not {name for name in set(sys.modules) - modules if name in ("entities", "odd")}
    assert not sys.dont_write_bytecode or not list(home.feature_repo.rglob("*.pyc"))


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("x = (\n", "odd.py:1", "SyntaxError: '(' was never closed"),
        ("\n\n1 / 0\n", "odd.py:3", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(4)\n", "odd.py:2", "SystemExit: 4"),
        ("from feature_views import nothing\n", "odd.py:1", "ImportError: cannot import name"),
        (
            "from feast import FeatureView\nuser_activity = FeatureView()\n",
            "odd.py:2",
            "TypeError: ",
        ),
        (
            "from profilestore.offline_store import DuckDBSource\nDuckDBSource(name='x')\n",
            "odd.py:2",
            "give exactly one of table, query and path",
        ),
    ],
)
def test_a_repo_that_does_not_parse(home: Settings, text: str, where: str, said: str) -> None:
    (home.feature_repo / "odd.py").write_text(text)
    with pytest.raises(InputError) as caught:
        make_plan(home)
    message = str(caught.value)
    assert message.startswith(f"the feature repo does not parse: {home.feature_repo}/{where}: ")
    assert said in message
    assert "\n" not in message


def test_what_a_repo_prints_is_no_part_of_the_plan(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.feature_repo / "odd.py").write_text("print('I am here')\n")
    assert make_plan(home).findings == ()
    assert capsys.readouterr().out == ""


def test_a_name_given_twice(home: Settings) -> None:
    (home.feature_repo / "odd.py").write_text(
        "from feast import FeatureService\n"
        "from feature_views import user_activity\n"
        "again = FeatureService(name='profile_v1', features=[user_activity])\n"
    )
    with pytest.raises(InputError, match="declares 'profile_v1' twice"):
        make_plan(home)


def test_a_file_that_feast_would_pass_over_in_silence(home: Settings) -> None:
    (home.feature_repo / "json.py").write_text("x = 1\n")
    with pytest.raises(InputError, match=r"json\.py: Feast does not see it.*another name"):
        make_plan(home)


def test_a_project_of_another_name(home: Settings) -> None:
    (home.feature_repo / "odd.py").write_text(
        "from feast import Project\nproject = Project(name='large')\n"
    )
    with pytest.raises(InputError, match=r"'large', and feature_store\.yaml says 'small'"):
        make_plan(home)


@pytest.mark.parametrize("size", [0, 3, 700])
def test_a_torn_registry(home: Settings, size: int) -> None:
    home.registry.write_bytes(home.registry.read_bytes()[:size])
    with pytest.raises(ProfilestoreError, match=r"registry\.db is torn.*make apply"):
        make_plan(home)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("project: small", "project: [", "ParserError"),
        ("type: sqlite", "type: nosuch", "nosuch"),
        ("registry_type: file", "registry_type: sql", "plan reads registries that are a local"),
        ("../data/registry.db", "s3://bucket/registry.db", "plan reads registries that are a"),
    ],
)
def test_a_feature_store_yaml_that_is_wrong(home: Settings, old: str, new: str, said: str) -> None:
    where = home.feature_repo / "feature_store.yaml"
    text = where.read_text()
    assert old in text
    where.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=said) as caught:
        make_plan(home)
    assert str(where) in str(caught.value)


def test_no_feature_store_yaml(home: Settings) -> None:
    (home.feature_repo / "feature_store.yaml").unlink()
    with pytest.raises(InputError, match=r"no .*feature_store\.yaml"):
        make_plan(home)


def test_any_online_store(home: Settings, untouched: Make) -> None:
    """It is never opened: one that cannot be reached makes no difference."""
    where = home.feature_repo / "feature_store.yaml"
    text = where.read_text()
    sqlite = "{type: sqlite, path: ../data/online/online.db}"
    for online in ("{type: redis, connection_string: 'nowhere.invalid:1'}", "{type: remote}"):
        where.write_text(text.replace(sqlite, online))
        assert make_plan(home).findings == ()


def test_stages_that_are_missing_or_stale(home: Settings) -> None:
    views = home.feature_repo / "feature_views.py"
    views.write_text(views.read_text() + "\n")
    with pytest.raises(ProfilestoreError, match=r"feature_views\.py is stale: run `make generate`"):
        make_plan(home)
    home.manifest.write_text("{")
    with pytest.raises(ProfilestoreError, match=r"manifest\.json is torn"):
        make_plan(home)
    home.manifest.unlink()
    with pytest.raises(MissingStageError, match="make build"):
        make_plan(home)
