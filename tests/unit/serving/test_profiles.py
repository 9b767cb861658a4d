"""Profiles of several people in one request."""

from __future__ import annotations

from typing import Any

import pytest


def without_instants(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "asked_at"}


@pytest.mark.parametrize(
    "asked", [{}, {"fields": "activity,interests"}, {"purpose": "recommendation"}], ids=str
)
def test_each_is_what_it_is_alone(client: Any, asked: dict[str, str]) -> None:
    found = client.post("/v1/profiles", json={"user_ids": ["u-bob", "u-ann", "u-bob"], **asked})
    assert found.status_code == 200, found.text
    alone = [client.get(f"/v1/profiles/{one}", params=asked).json() for one in ("u-bob", "u-ann")]
    assert [without_instants(one) for one in found.json()["profiles"]] == [
        without_instants(one) for one in alone
    ]
    assert found.json()["unknown"] == []


def test_who_is_not_known_is_listed(client: Any, store: Any) -> None:
    """Also where the views that are read say nothing of somebody of whom others do."""
    found = client.post(
        "/v1/profiles", json={"user_ids": ["u-x", "u-ann", "u-bob"], "fields": "interests"}
    ).json()
    assert [one["identity"]["user_id"] for one in found["profiles"]] == ["u-ann", "u-bob"]
    assert found["profiles"][1]["interests"]["state"] == "missing"
    assert found["unknown"] == ["u-x"]


def test_the_views_of_all_are_one_read(client: Any, store: Any) -> None:
    client.post("/v1/profiles", json={"user_ids": ["u-ann", "u-bob"], "fields": "activity"})
    assert [ids for service, ids in store.asked if service == "profile_v1"] == [["u-ann", "u-bob"]]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"user_ids": []},
        {"user_ids": ["u-ann"] * 101},
        {"user_ids": ["a b"]},
        {"user_ids": ["u-ann"], "fields": "nothing"},
        {"user_ids": ["u-ann"], "purpose": "spying"},
        {"user_ids": ["u-ann"], "as_of": "2026-01-01"},
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_asked_is_refused(client: Any, asked: dict[str, Any]) -> None:
    assert client.post("/v1/profiles", json=asked).status_code in (400, 422)
