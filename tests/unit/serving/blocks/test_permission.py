"""What is told for a purpose: what a feature service of that purpose reads."""

from __future__ import annotations

import pytest

from profilestore.encoding import Feature
from profilestore.errors import InputError
from serving.profile import UnknownUserError, read_profile


@pytest.fixture
def brands(store) -> None:
    """A view that only the profile may read."""
    store.services["profile_v1"].append(Feature("user_gifts", "gifts", "user", "list_of_text"))
    store.put("u-ann", "user_gifts", {"gifts": ["Acme"]})


def test_without_a_purpose_nothing_is_withheld(deploy, now, brands) -> None:
    document = read_profile(deploy(), "u-ann", now)
    assert document.purpose is None
    assert document.more["user_gifts"].state == "fresh"
    assert document.recommendations.state == "fresh"


def test_what_no_service_of_the_purpose_reads_is_withheld_and_not_read(
    deploy, store, now, brands
) -> None:
    document = read_profile(deploy(), "u-ann", now, purpose="recommendation")
    block = document.more["user_gifts"]
    assert (block.state, block.as_of, block.fields) == ("withheld", None, {})
    assert "`recommendation`" in block.reason
    assert "user_gifts" not in store.read
    assert "Acme" not in document.model_dump_json()


def test_what_another_service_of_the_purpose_reads_is_told_through_it(deploy, now) -> None:
    document = read_profile(deploy(), "u-ann", now, purpose="recommendation")
    assert (document.purpose, document.activity.state) == ("recommendation", "fresh")
    assert document.activity.source.feature_service == "retrieval_v1"
    assert document.recommendations.state == "fresh"


def test_a_model_of_another_purpose_says_nothing(deploy, bundle, now) -> None:
    document = read_profile(deploy(), "u-ann", now, purpose="profile")
    assert document.activity.state == "fresh"
    block = document.recommendations
    assert (block.state, block.items) == ("withheld", [])
    assert "retrieval_v1" in block.reason
    assert bundle.query_tower.inputs == []


def test_who_is_not_known_is_not_known_for_any_purpose(deploy, now) -> None:
    with pytest.raises(UnknownUserError):
        read_profile(deploy(), "u-x", now, purpose="recommendation")


@pytest.mark.parametrize("purpose", ["marketing", "", "profile,recommendation"])
def test_a_purpose_that_no_service_has_is_said_with_those_there_are(
    deploy, now, purpose: str
) -> None:
    with pytest.raises(InputError, match=r"purpose: found .*profile, recommendation"):
        read_profile(deploy(), "u-ann", now, purpose=purpose)


def test_the_route_takes_it(client) -> None:
    answer = client.get("/v1/profiles/u-ann?purpose=recommendation").json()
    assert answer["purpose"] == "recommendation"
    refused = client.get("/v1/profiles/u-ann?purpose=fun")
    assert refused.status_code == 422
    assert "profile, recommendation" in refused.json()["detail"]
