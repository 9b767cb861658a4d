"""The profile as it was known at an earlier instant."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from profilestore.errors import InputError
from serving.profile import UnknownUserError, read_profile


def test_views_are_read_offline_as_of_then_and_the_document_says_so(
    deploy, store, now, as_of
) -> None:
    then = as_of + timedelta(minutes=1)
    found = read_profile(deploy(), "u-ann", now, as_of=then)
    assert (found.as_of, found.asked_at) == (then, now)
    assert (found.activity.state, found.activity.as_of) == ("fresh", as_of)
    assert found.interests.tags[0].category == "Drama"
    assert found.segments.rfm.name == "champion"
    assert [(service, key, at) for service, key, at, _ in store.past] == [
        ("profile_v1", "u-ann", then)
    ]


def test_only_the_views_of_the_blocks_are_read(deploy, store, now, as_of) -> None:
    read_profile(deploy(), "u-ann", now, fields="interests", as_of=as_of)
    assert store.past[0][3] == {"user_activity", "user_interests"}


def test_a_model_of_today_says_nothing_of_then(deploy, bundle, store, now, as_of) -> None:
    found = read_profile(deploy(), "u-ann", now, as_of=as_of)
    for block in (
        found.recommendations,
        found.scores,
        found.segments.behaviour,
        found.segments.oddness,
    ):
        assert block.state == "missing"
        assert "not kept" in block.reason
    assert bundle.query_tower.inputs == []
    assert "retrieval_v1" not in {service for service, _ in store.asked}


def test_before_anything_was_known_there_was_nobody(deploy, now, as_of) -> None:
    with pytest.raises(UnknownUserError, match="at 2026-02-27"):
        read_profile(deploy(), "u-ann", now, as_of=as_of - timedelta(days=1))


def test_an_instant_without_a_zone_is_utc(deploy, now, as_of) -> None:
    found = read_profile(deploy(), "u-ann", now, as_of=as_of.replace(tzinfo=None))
    assert found.as_of == as_of
    assert found.as_of.tzinfo is UTC


@pytest.mark.parametrize("days", [1, -30_000])
def test_the_future_and_before_all_logs_are_refused(deploy, now, days: int) -> None:
    with pytest.raises(InputError, match="as_of: found"):
        read_profile(deploy(), "u-ann", now, as_of=now + timedelta(days=days))


def test_the_routes_take_it(client, as_of) -> None:
    then = as_of.isoformat().replace("+00:00", "Z")
    answer = client.get(f"/v1/profiles/u-ann?fields=activity&as_of={then}")
    assert (answer.status_code, answer.json()["as_of"]) == (200, then)
    assert (
        "As it was known at 2026-02-28 09:30 UTC" in client.get(f"/users/u-ann?as_of={then}").text
    )
    for odd in ("yesterday", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00+14:00", "1e300"):
        refused = client.get("/v1/profiles/u-ann", params={"as_of": odd})
        assert refused.status_code == 422, odd
