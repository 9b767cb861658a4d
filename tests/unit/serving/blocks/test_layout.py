"""Which blocks there are, and which are asked for."""

from __future__ import annotations

import pytest

from profilestore.errors import InputError
from serving.blocks.layout import Layout
from serving.documents import ON_REQUEST
from serving.profile import read_profile


def blocks_of(document) -> set[str]:
    about = {"schema_version", "asked_at", "as_of", "purpose", "clock"}
    return set(document.model_dump(mode="json")) - about


@pytest.fixture
def layout(store) -> Layout:
    return Layout.of(store.features("profile_v1"), store.view_tags("profile_v1"))


def test_all_blocks_but_those_on_request(deploy, now, layout) -> None:
    found = blocks_of(read_profile(deploy(), "u-ann", now))
    assert found == set(layout.names) - ON_REQUEST
    assert {"identity", "activity", "interests", "history", "recommendations"} <= found


@pytest.mark.parametrize("fields", ["activity", "interests, history", "identity", "activity,,"])
def test_only_the_blocks_that_are_named(deploy, now, fields: str) -> None:
    found = blocks_of(read_profile(deploy(), "u-ann", now, fields=fields))
    assert found == {name.strip() for name in fields.split(",")} - {""} | {"identity"}


def test_a_block_is_the_same_alone(deploy, now, layout) -> None:
    whole = read_profile(deploy(), "u-ann", now).model_dump()
    for name in set(layout.names) - ON_REQUEST - {"identity"}:
        alone = read_profile(deploy(), "u-ann", now, fields=name).model_dump()
        assert alone[name] == whole[name], name


def test_only_what_is_needed_is_read(deploy, store, now) -> None:
    read_profile(deploy(), "u-ann", now, fields="interests")
    assert [service for service, _ in store.asked] == ["profile_v1"]
    assert store.read == {"user_activity", "user_interests"}


def test_somebody_known_by_another_view_alone_is_known(deploy, store, now) -> None:
    store.put("u-new", "user_interests", {"categories": ["Drama"]})
    alone = read_profile(deploy(), "u-new", now, fields="activity")
    assert alone.activity.state == "missing"


@pytest.mark.parametrize("fields", ["activty", "activity,clock", "", " , ", "schema_version"])
def test_a_name_that_is_none_is_said_with_those_that_are(deploy, now, fields: str) -> None:
    with pytest.raises(InputError, match=r"fields: found .*identity, .*activity.*interests"):
        read_profile(deploy(), "u-ann", now, fields=fields)


def test_the_routes_take_them(client) -> None:
    assert set(client.get("/v1/profiles/u-ann?fields=activity").json()) == {
        *("schema_version", "asked_at", "as_of", "purpose", "clock", "identity", "activity"),
    }
    answer = client.get("/v1/profiles/u-ann?fields=nothing")
    assert (answer.status_code, answer.json()["title"]) == (422, "Invalid request")
    assert "interests" in answer.json()["detail"]


def test_a_view_that_dbt_adds_can_be_asked_for(client, store) -> None:
    feature = store.services["profile_v1"][0].__class__("user_rfm", "class", "user", "text")
    store.services["profile_v1"].append(feature)
    store.put("u-ann", "user_rfm", {"class": "champion"})
    answer = client.get("/v1/profiles/u-ann?fields=user_rfm").json()
    assert answer["user_rfm"]["fields"]["class"]["value"] == "champion"
