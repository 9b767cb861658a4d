"""Who and what is alike, by vectors that are online."""

from __future__ import annotations

import pytest


@pytest.fixture
def client(placed, deploy, client_of):
    return client_of(deploy())


def test_people_who_are_alike_and_placed_by_the_same_model(client, store) -> None:
    answer = client.post("/v1/similar/users", json={"user_id": "u-ann", "k": 1})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["source"] == {"model": "v2", "feature_service": "vectors_v1"}
    assert found["users"] == [{"user_id": "u-bob", "similarity": pytest.approx(0.6)}]
    assert {service for service, _ in store.asked} == {"vectors_v1"}
    everybody = client.post("/v1/similar/users", json={"user_id": "u-ann", "k": 9}).json()["users"]
    assert [one["user_id"] for one in everybody] == ["u-bob", "u-eve"]


def test_items_that_are_alike_with_their_titles(client, store) -> None:
    found = client.post("/v1/similar/items", json={"item_id": "i30", "k": 2}).json()["items"]
    assert [one["item"]["title"] for one in found] == ["Film 29", "Film 28"]
    assert 1 > found[0]["similarity"] > found[1]["similarity"] > 0.9
    assert {service for service, _ in store.asked} == {"vectors_v1", "items_v1"}


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("users", {"user_id": "u-x"}, 404, "unknown-user"),
        ("items", {"item_id": "i99"}, 404, "unknown-item"),
        ("items", {"item_id": "i9", "k": 0}, 422, "invalid-request"),
        ("items", {"item_id": "i9", "more": 1}, 422, "invalid-request"),
        ("users", {"user_id": "a/b"}, 422, "invalid-request"),
        ("users", [], 422, "invalid-request"),
    ],
)
def test_what_cannot_be_answered_says_why(client, path, body, status, kind) -> None:
    answer = client.post(f"/v1/similar/{path}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/docs#{kind}")
