"""The short way answers as the usual way does, and leaves to it what is not plain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from serving_feast_repo import FEATURES

from profilestore.privacy.audit import AuditLog
from profilestore.settings import Settings
from serving import feast_routes
from serving.access.keys import digest
from serving.app import create_app

PATH = "/get-online-features"
# A client that takes gzip is answered the usual way, which may pack.
SHORT, USUAL = {"accept-encoding": "identity"}, {"accept-encoding": "gzip"}
USERS = ["ann", "nobody", "carl", "bob", "ann"]
PLAIN: list[dict[str, Any]] = [
    {"entities": {"user_id": USERS}, "features": FEATURES},
    {"entities": {"user_id": USERS[:1]}, "features": FEATURES, "full_feature_names": True},
    {"entities": {"user_id": ["ann"] * 200}, "features": FEATURES[:2]},
    {"entities": {"user_id": USERS}, "feature_service": "everything"},
]
NOT_PLAIN: list[Any] = [
    {"entities": {"user_id": ["ann"] * 201}, "features": FEATURES},
    {"entities": {"user_id": ["ann"]}, "features": FEATURES, "other": 1},
    {"entities": {"user_id": ["ann"]}, "features": FEATURES, "feature_service": None},
    {
        "entities": {"user_id": ["ann"]},
        "features": FEATURES,
        "include_feature_view_version_metadata": True,
    },
    {"entities": {"user_id": ["ann"]}, "features": ["doubled:twice"]},
    {"entities": {"user_id": ["ann"]}, "features": ["no_view:clicks"]},
    {"entities": {"user_id": ["ann"]}, "feature_service": "none_such"},
    {"entities": {"user_id": []}, "features": FEATURES},
    {"entities": {"user_id": ["ann"], "item_id": []}, "features": FEATURES},
    {"entities": {"user_id": "ann"}, "features": FEATURES},
    {"entities": {"user_id": [1, None]}, "features": FEATURES},
    {"entities": {}, "features": FEATURES},
    {"entities": {"user_id": ["ann"]}, "features": []},
    {"entities": {"user_id": ["ann"]}, "features": FEATURES, "full_feature_names": "perhaps"},
    {"entities": {"user_id": ["ann"]}},
    {"features": FEATURES},
    [],
    None,
]


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each request that went the usual way."""
    seen: list[str] = []
    read = feast_routes.read_json

    async def noted(request: Any) -> bytes:
        seen.append(request.url.path)
        return await read(request)

    monkeypatch.setattr(feast_routes, "read_json", noted)
    return seen


@pytest.fixture
def client(feast_home: Settings) -> TestClient:
    return TestClient(create_app(feast_home), raise_server_exceptions=False)


@pytest.mark.parametrize("asked", PLAIN)
def test_what_is_plain_goes_the_short_way_to_the_same_answer(
    client: TestClient, usual: list[str], asked: dict[str, Any]
) -> None:
    quick = client.post(PATH, json=asked, headers=SHORT)
    assert usual == []
    slow = client.post(PATH, json=asked, headers=USUAL)
    assert usual[-1:] == [PATH]
    assert quick.status_code == slow.status_code
    assert quick.json() == slow.json()
    assert quick.headers["content-type"] == slow.headers["content-type"]
    assert quick.headers["vary"] == slow.headers.get("vary", "Accept-Encoding")


@pytest.mark.parametrize("asked", NOT_PLAIN)
def test_what_is_not_plain_is_answered_or_refused_the_usual_way(
    client: TestClient, asked: Any
) -> None:
    content = json.dumps(asked)
    answers = [
        client.post(PATH, content=content, headers={"content-type": "application/json", **one})
        for one in (SHORT, USUAL)
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-type": "text/plain"}, b"{}"),
        ({"content-type": "application/json"}, b"{"),
        ({"content-type": "application/json"}, b"\xff"),
        ({"content-type": "application/json"}, b" " * (1 << 20) + b"{}"),
        ({}, b"{}"),
    ],
)
def test_a_body_that_is_none_is_refused_the_usual_way(
    client: TestClient, usual: list[str], headers: dict[str, str], content: bytes
) -> None:
    answer = client.post(PATH, content=content, headers={**headers, **SHORT})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert usual == [PATH]


def test_a_body_in_pieces(client: TestClient, usual: list[str]) -> None:
    body = json.dumps(PLAIN[0]).encode()

    def pieces() -> Any:
        yield body[:20]
        yield body[20:]

    headers = {"content-type": "application/json", **SHORT}
    answer = client.post(PATH, content=pieces(), headers=headers)
    assert answer.status_code == 200
    assert answer.json() == client.post(PATH, json=PLAIN[0], headers=SHORT).json()


@pytest.fixture
def declared(feast_home: Settings, tmp_path: Path) -> Callable[..., tuple[TestClient, Settings]]:
    def make(**about: Any) -> tuple[TestClient, Settings]:
        settings = replace(feast_home, access=tmp_path / "access.yaml")
        shop = {"keys": [digest("the key")], "scopes": ["features:read"], **about}
        settings.access_file.write_text(yaml.safe_dump({"clients": {"shop": shop}}))
        return TestClient(create_app(settings), raise_server_exceptions=False), settings

    return make


def test_who_asks_is_asked_for_and_noted(
    declared: Callable[..., tuple[TestClient, Settings]], usual: list[str]
) -> None:
    client, settings = declared()
    assert client.post(PATH, json=PLAIN[0], headers=SHORT).status_code == 401
    assert usual == []
    key = {"X-API-Key": "the key", **SHORT}
    log = AuditLog.of(settings)
    before = log.check().lines
    assert client.post(PATH, json=PLAIN[0], headers=key).status_code == 200
    assert usual == []
    line = list(log.lines())[before:][0]
    assert (line["client"], line["route"], line["status"]) == ("shop", PATH, 200)
    assert {log.audit_name(one) for one in USERS} == set(line["reads"][0]["people"])


def test_scopes_purposes_and_rates_hold(
    declared: Callable[..., tuple[TestClient, Settings]],
) -> None:
    key = {"X-API-Key": "the key", **SHORT}
    client, _ = declared(scopes=["models:read"])
    assert client.post(PATH, json=PLAIN[0], headers=key).status_code == 403
    client, _ = declared(purposes=["profile"])
    assert client.post(PATH, json=PLAIN[0], headers=key).status_code == 403
    client, _ = declared(requests_per_second=0.001)
    # It is answered the usual way after the short one, and pays once.
    assert client.post(PATH, json=NOT_PLAIN[5], headers=key).status_code == 404
    client, _ = declared(requests_per_second=0.001)
    assert client.post(PATH, json=PLAIN[0], headers=key).status_code == 200
    assert client.post(PATH, json=PLAIN[0], headers=key).status_code == 429


def test_it_is_counted_by_its_route(client: TestClient) -> None:
    client.post(PATH, json=PLAIN[0], headers=SHORT)
    said = client.get("/metrics").text
    assert f'route="{PATH}"' in said
