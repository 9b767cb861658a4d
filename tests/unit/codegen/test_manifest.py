"""Declarations that can be kept are read as they stand; the others name the model and the fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from profilestore.codegen import read_marts
from profilestore.codegen.manifest import ENTITY_KEYS, PRIVACY_CLASSES, purposes_of
from profilestore.errors import InputError, MissingStageError, ProfilestoreError

Make = Callable[..., Any]


@pytest.fixture
def refused(write_manifest: Make) -> Callable[..., str]:
    """The message with which a model is refused."""

    def check(model: dict[str, Any]) -> str:
        with pytest.raises(InputError) as caught:
            read_marts(write_manifest(model))
        assert caught.value.exit_code == 2
        message = str(caught.value)
        assert "\n" not in message
        return message

    return check


def test_what_is_read(model: Make, column: Make, write_manifest: Make) -> None:
    declared = model(
        column("clicks_7d", unit="events"),
        column("is_new", "boolean", **{"class": "sensitive"}),
        description="  One row per user\n  and instant.\n",
        ttl_days=30,
        tags={"block": "clicks", "rank": 3},
    )
    (mart,) = read_marts(write_manifest(declared))
    assert (mart.name, mart.entity, mart.key, mart.owner) == (
        *("user_clicks", "user", "user_id", "analytics"),
    )
    assert mart.description == "One row per user and instant."
    assert mart.ttl == timedelta(days=30)
    assert mart.tags == {"block": "clicks", "rank": "3", "purposes": "profile"}
    assert [one.name for one in mart.features] == ["clicks_7d", "is_new"]
    assert mart.features[0].tags == {"class": "behaviour", "unit": "events"}
    assert mart.features[1].tags == {"class": "sensitive"}


def test_features_are_all_but_key_and_times_in_the_contracts_order(
    model: Make, column: Make, write_manifest: Make
) -> None:
    names = ["zebra", "apple", "mango"]
    declared = model(*(column(name) for name in names), entity="item", name="item_fruit")
    declared["columns"] = dict(reversed(declared["columns"].items()))
    (mart,) = read_marts(write_manifest(declared))
    assert [one.name for one in mart.features] == names[::-1]


def test_only_models_that_say_so_become_views_by_name(
    model: Make, column: Make, write_manifest: Make
) -> None:
    plain = model(column("a"), name="interactions")
    plain["config"]["meta"] = {}
    no_meta = model(column("a"), name="int_events")
    del no_meta["config"]["meta"]
    test = model(column("a"), name="not_null_a") | {"resource_type": "test"}
    views = [model(column("a"), name=name) for name in ("user_b", "user_a", "user_c")]
    marts = read_marts(write_manifest(plain, no_meta, test, *views))
    assert [mart.name for mart in marts] == ["user_a", "user_b", "user_c"]


def test_no_manifest_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingStageError, match=r"no dbt manifest at .*nowhere\.json.*make build"):
        read_marts(tmp_path / "nowhere.json")


def test_a_contract_that_is_not_enforced(model: Make, column: Make, refused: Make) -> None:
    for contract in ({}, {"enforced": False}):
        declared = model(column("a"))
        declared["config"]["contract"] = contract
        assert "model user_clicks" in refused(declared)
        assert "contract is not enforced" in refused(declared)
        assert "contract: {enforced: true}" in refused(declared)


@pytest.mark.parametrize("missing", ["event_timestamp", "loaded_at"])
def test_a_missing_time(model: Make, column: Make, refused: Make, missing: str) -> None:
    message = refused(model(column("a"), without=(missing,)))
    assert message.startswith(f"model user_clicks: column {missing} is missing")


@pytest.mark.parametrize("entity", sorted(ENTITY_KEYS))
def test_a_missing_key(model: Make, column: Make, refused: Make, entity: str) -> None:
    key = ENTITY_KEYS[entity]
    declared = model(column("a"), entity=entity)
    del declared["columns"][key]
    assert refused(declared).startswith(f"model user_clicks: column {key} is missing")


@pytest.mark.parametrize("name", ["event_timestamp", "loaded_at"])
@pytest.mark.parametrize("kind", ["timestamp", "date", "bigint"])
def test_a_time_that_names_no_instant(
    model: Make, column: Make, refused: Make, name: str, kind: str
) -> None:
    message = refused(model(column(name, kind), without=(name,)))
    assert message.startswith(f"model user_clicks, column {name}: type is {kind}")


@pytest.mark.parametrize("name", ["clicks_7d", "user_id", "event_timestamp"])
@pytest.mark.parametrize("given", [None, "", "public", "Behaviour", "direct identifier"])
def test_a_column_without_a_privacy_class(
    model: Make, column: Make, refused: Make, name: str, given: str | None
) -> None:
    declared = model(column("clicks_7d"))
    declared["columns"][name]["config"]["meta"] = {} if given is None else {"class": given}
    message = refused(declared)
    assert message.startswith(f"model user_clicks, column {name}: privacy class is {given!r}")
    assert all(one in message for one in PRIVACY_CLASSES)


def test_a_direct_identifier(model: Make, column: Make, refused: Make) -> None:
    message = refused(model(column("email", "varchar", **{"class": "direct_identifier"})))
    assert message.startswith("model user_clicks, column email: a direct identifier may not pass")


@pytest.mark.parametrize("kind", [None, ""])
def test_a_column_without_a_type(
    model: Make, column: Make, refused: Make, kind: str | None
) -> None:
    message = refused(model(column("clicks_7d", kind)))
    assert message == "model user_clicks, column clicks_7d: no data_type in its contract."


@pytest.mark.parametrize("entity", ["session", "User", "", None, 3])
def test_an_unknown_entity(model: Make, column: Make, refused: Make, entity: Any) -> None:
    declared = model(column("a"))
    declared["config"]["meta"]["feast"]["entity"] = entity
    message = refused(declared)
    assert message.startswith(f"model user_clicks: meta.feast.entity is {entity!r}")
    assert "item, user" in message


def test_an_unknown_key_of_feast(model: Make, column: Make, refused: Make) -> None:
    message = refused(model(column("a"), ttl=30))
    assert "meta.feast has unknown key 'ttl'" in message
    assert "entity, tags, ttl_days; owner and purposes belong into meta" in message


@pytest.mark.parametrize(
    ("days", "ttl"),
    [
        (0, timedelta(0)),
        (30, timedelta(30)),
        (0.5, timedelta(hours=12)),
        (1 / 24, timedelta(0, 3600)),
    ],
)
def test_ttl_is_in_days(
    model: Make, column: Make, write_manifest: Make, days: float, ttl: timedelta
) -> None:
    (mart,) = read_marts(write_manifest(model(column("a"), ttl_days=days)))
    assert mart.ttl == ttl


def test_without_a_ttl_a_value_stays_true(model: Make, column: Make, write_manifest: Make) -> None:
    (mart,) = read_marts(write_manifest(model(column("a"))))
    assert mart.ttl == timedelta(0)


@pytest.mark.parametrize(
    "days", [-1, -0.5, "30", "30 days", True, False, None, [30], float("inf"), float("nan"), 1e12]
)
def test_a_ttl_that_is_no_number_of_days(
    model: Make, column: Make, refused: Make, days: Any
) -> None:
    message = refused(model(column("a"), ttl_days=days))
    assert message.startswith(f"model user_clicks: meta.feast.ttl_days is {days!r}")


def test_a_ttl_of_less_than_a_second_does_not_become_for_ever(
    model: Make, column: Make, refused: Make
) -> None:
    assert "meta.feast.ttl_days is 1e-06" in refused(model(column("a"), ttl_days=1e-6))


@pytest.mark.parametrize("name", ["user", "item", "class", "user.clicks", "2_clicks", "Field"])
def test_a_name_that_python_or_the_module_needs(
    model: Make, column: Make, refused: Make, name: str
) -> None:
    assert refused(model(column("a"), name=name)).startswith(f"model {name}: ")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metadata": {}}', '{"nodes": []}'])
def test_a_torn_manifest_is_refused_by_name(tmp_path: Path, text: str) -> None:
    torn = tmp_path / "manifest.json"
    torn.write_text(text)
    with pytest.raises(ProfilestoreError, match=r"manifest\.json is torn\. Run `make build`"):
        read_marts(torn)


def test_owner_and_purposes_are_those_of_the_model(
    model: Make, column: Make, write_manifest: Make
) -> None:
    """dbt hands down to the model what the folder says, and nothing to a column."""
    declared = model(column("a"), column("b", purposes=["recommendation"], owner="growth"))
    declared["config"]["meta"] |= {"owner": "sales", "purposes": ["recommendation", "profile"]}
    (mart,) = read_marts(write_manifest(declared))
    assert (mart.owner, mart.tags["purposes"]) == ("sales", "profile, recommendation")
    of_a, of_b = (one.tags for one in mart.features)
    assert not {"owner", "purposes"} & of_a.keys()
    assert (of_b["owner"], of_b["purposes"]) == ("growth", "recommendation")
    assert purposes_of(mart.tags) == {"profile", "recommendation"}
    assert purposes_of(of_b) == {"recommendation"}
    assert purposes_of(of_a) is None


@pytest.mark.parametrize("purposes", [None, [], "profile", ["advertising"], ["profile", 3], {}])
def test_purposes_that_are_none(model: Make, column: Make, refused: Make, purposes: Any) -> None:
    of_model, of_column = model(column("a")), model(column("a", purposes=purposes))
    of_model["config"]["meta"]["purposes"] = purposes
    said = f"meta.purposes is {purposes!r}; wanted a list of operations, profile, recommendation"
    assert refused(of_model).startswith(f"model user_clicks: {said}")
    assert refused(of_column).startswith(f"model user_clicks, column a: {said}")


def test_purposes_belong_to_the_mart_and_not_to_feast(
    model: Make, column: Make, refused: Make
) -> None:
    message = refused(model(column("a"), tags={"purposes": "profile"}))
    assert message.startswith("model user_clicks: purposes stand in meta.feast.tags")


@pytest.mark.parametrize("owner", [None, "", " ", 3])
def test_an_owner_who_is_none(model: Make, column: Make, refused: Make, owner: Any) -> None:
    declared = model(column("a"))
    declared["config"]["meta"]["owner"] = owner
    message = refused(declared)
    assert message.startswith(f"model user_clicks: meta.owner is {owner!r}")
    assert "dbt_project.yml" in message


def test_a_column_without_a_description(model: Make, column: Make, refused: Make) -> None:
    message = refused(model(column("a", "bigint", "  \n")))
    assert message.startswith("model user_clicks, column a: it has no description")


@pytest.mark.parametrize(
    ("data_type", "default", "text"),
    [
        ("bigint", 0, "0"),
        ("integer", -(2**31), "-2147483648"),
        ("double", 0, "0"),
        ("float", 0.5, "0.5"),
        ("decimal(18,4)", 1.25, "1.25"),
        ("boolean", False, "false"),
        ("varchar", "größer", '"größer"'),
        ("varchar[]", [], "[]"),
        ("double[]", [0.5, 1], "[0.5, 1]"),
    ],
)
def test_a_default_is_carried_as_json(
    model: Make, column: Make, write_manifest: Make, data_type: str, default: Any, text: str
) -> None:
    (mart,) = read_marts(write_manifest(model(column("a", data_type, default=default))))
    assert mart.features[0].tags["default"] == text
    assert json.loads(text) == default


@pytest.mark.parametrize(
    ("data_type", "default"),
    [
        ("bigint", None),
        ("bigint", "0"),
        ("bigint", 0.5),
        ("bigint", True),
        ("bigint", 2**63),
        ("integer", 2**31),
        ("bigint", [0]),
        ("double", float("nan")),
        ("double", "none"),
        ("boolean", 0),
        ("varchar", 0),
        ("varchar[]", ""),
        ("varchar[]", [None]),
        ("blob", "00"),
        ("timestamp with time zone", "2026-01-01"),
    ],
)
def test_a_default_that_is_no_value_of_its_type(
    model: Make, column: Make, refused: Make, data_type: str, default: Any
) -> None:
    message = refused(model(column("a", data_type, unit="seconds", default=default)))
    said = f"meta.default is {default!r}, which is no value of type {data_type}."
    assert message.startswith(f"model user_clicks, column a: {said}")
