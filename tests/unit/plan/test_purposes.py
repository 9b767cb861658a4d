"""A service reads only what may be read for its purpose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilestore import cli
from profilestore.errors import InputError
from profilestore.plan import check_purposes, make_plan
from profilestore.plan.states import State
from profilestore.settings import Settings

Make = Callable[..., Any]
COMPUTED = """
from feast import FeatureService, Field
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Int64
from feature_views import user_activity


@on_demand_feature_view(
    sources=[user_activity[["events_7d"]]],
    schema=[Field(name="doubled", dtype=Int64)],
    mode="python",
)
def computed(inputs):
    return {"doubled": [2 * one for one in inputs["events_7d"]]}


computed_v1 = FeatureService(
    name="computed_v1", features=[computed], tags={"purpose": "recommendation"}
)
"""


def for_profile_only(declaration: Any, view: str, column: str) -> None:
    declaration.columns(view)[column]["config"]["meta"]["purposes"] = ["profile"]


def refusal(check: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        check()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_column_for_another_purpose(declaration: Any, home: Settings) -> None:
    for_profile_only(declaration, "user_history", "item_ids")
    declaration.write(home)
    for check in (make_plan, check_purposes):
        said = refusal(lambda check=check: check(home))
        assert said.startswith(
            "feature service retrieval_v1: its purpose is recommendation and it takes "
            "user_history.item_ids, which may be read for profile only."
        )


def test_a_whole_mart_for_another_purpose(declaration: Any, home: Settings) -> None:
    declaration.meta("item_attributes")["purposes"] = ["recommendation"]
    declaration.write(home)
    said = refusal(lambda: check_purposes(home))
    assert said.startswith(
        "feature service items_v1: its purpose is profile and it takes item_attributes.title, "
        "which may be read for recommendation only."
    )


def test_a_column_may_allow_what_its_mart_does_not(declaration: Any, home: Settings) -> None:
    declaration.meta("item_attributes")["purposes"] = ["recommendation"]
    for name in ("title", "blurb"):
        said = declaration.columns("item_attributes")[name]["config"]["meta"]
        said["purposes"] = ["recommendation", "profile"]
    declaration.write(home)
    check_purposes(home)


def test_a_column_that_the_service_does_not_take_is_not_asked(
    declaration: Any, home: Settings
) -> None:
    declaration.columns("item_attributes")["release_year"]["config"]["meta"]["purposes"] = [
        "recommendation"
    ]
    declaration.write(home)
    check_purposes(home)


def test_a_service_without_a_purpose(declaration: Any, home: Settings) -> None:
    declaration.replace(
        'features=[user_activity, user_history], tags={"purpose": "profile"}',
        "features=[user_activity, user_history]",
    )
    declaration.write(home)
    said = refusal(lambda: check_purposes(home))
    assert "feature service profile_v1: its purpose is not set and it takes user_" in said
    assert "profile and recommendation only" in said


def test_what_is_computed_keeps_the_purposes_of_what_it_is_computed_from(
    declaration: Any, home: Settings
) -> None:
    declaration.files["by_hand.py"] = COMPUTED
    declaration.write(home)
    check_purposes(home)
    for_profile_only(declaration, "user_activity", "events_7d")
    # Else this one would be refused, and first.
    declaration.replace("[user_activity, user_history, item", "[user_history, item")
    declaration.write(home)
    assert refusal(lambda: check_purposes(home)).startswith(
        "feature service computed_v1: its purpose is recommendation and it takes computed, which "
        "is computed from user_activity.events_7d, which may be read for profile only."
    )


def test_a_view_that_says_nothing_may_be_read_for_anything(
    declaration: Any, home: Settings
) -> None:
    declaration.write(home)
    views = home.feature_repo / "feature_views.py"
    bare = views.read_text().replace(', "purposes": "profile, recommendation"', "")
    views.write_text(bare.replace('"purposes": "profile, recommendation"', ""))
    assert "purposes" not in views.read_text()
    services = home.feature_repo / "feature_services.py"
    services.write_text(services.read_text().replace("recommendation", "curiosity"))
    check_purposes(home)


def test_nothing_declared_is_nothing_refused() -> None:
    from profilestore.plan.purposes import refuse_other_purposes

    refuse_other_purposes(State())


def test_apply_refuses_it_and_registers_nothing(
    declaration: Any,
    home: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for_profile_only(declaration, "user_history", "item_ids")
    declaration.write(home)
    registered = home.registry.read_bytes()
    monkeypatch.setenv("PROFILESTORE_HOME", str(home.home))
    assert cli.main(["apply"]) == 2
    assert "takes user_history.item_ids" in capsys.readouterr().err
    assert home.registry.read_bytes() == registered


def test_the_projects_own_services_keep_to_purposes(tmp_path: Path) -> None:
    """Were age to be shown and not trained on, a word at the column would see to it."""
    checkout = Path(__file__).resolve().parents[3]
    here = Settings(tmp_path)
    shutil.copytree(checkout / "feature_repo", here.feature_repo)
    check_purposes(here)
    views = here.feature_repo / "feature_views.py"
    text, said_of_age = views.read_text(), '"vocabulary": "age_band"'
    assert text.count(said_of_age) == 1
    views.write_text(text.replace(said_of_age, f'{said_of_age}, "purposes": "profile"'))
    said = refusal(lambda: check_purposes(here))
    assert "retrieval_v1: its purpose is recommendation" in said
    assert "user_attributes.age_band, which may be read for profile only" in said
