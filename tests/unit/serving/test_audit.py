"""Whoever is told something of somebody stands in the audit log, before they are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from serving_feast_repo import FEATURES

from profilestore.privacy.audit import AuditError, AuditLog
from profilestore.settings import Settings
from serving.access import SCOPES
from serving.access.keys import digest
from serving.app import create_app

# Each route that tells of somebody: who that is, and views that are read of all of them. None where
# it depends on what is looked through.
TOLD: dict[str, tuple[Any, set[str], set[str]]] = {
    "GET /v1/profiles/{user_id}": (None, {"u-ann"}, {"user_activity", "user_history"}),
    "POST /v1/profiles": ({"user_ids": ["u-ann", "u-bob"]}, {"u-ann", "u-bob"}, {"user_activity"}),
    "GET /v1/recommendations/{user_id}": (None, {"u-ann"}, {"user_history"}),
    "GET /v1/recommendations/{user_id}/{item_id}/why": (None, {"u-ann"}, {"user_history"}),
    "GET /v1/scores/{user_id}/{score}/why": (None, {"u-ann"}, {"user_history"}),
    "GET /v1/profiles/{user_id}/interests/{category}/why": (None, {"u-ann"}, {"user_interests"}),
    "POST /v1/similar/users": (
        *({"user_id": "u-ann", "k": 2}, {"u-ann", "u-bob", "u-eve", "u-old"}),
        {"service:vectors_v1"},  # u-old too, who is looked at and left out
    ),
    "GET /v1/users": (None, {"u-ann", "u-bob"}, {"people"}),
    "GET /": (None, {"u-ann", "u-bob"}, {"people"}),
    "GET /people": (None, {"u-ann", "u-bob"}, {"people"}),
    "GET /users/{user_id}": (None, {"u-ann"}, {"user_activity", "user_history"}),
    "GET /compare": (None, {"u-ann", "u-bob"}, {"user_activity", "user_history"}),
    "GET /users/{user_id}/why/{item_id}": (None, {"u-ann"}, {"user_history"}),
    "GET /users/{user_id}/scores/{score}/why": (None, {"u-ann"}, {"user_history"}),
    "GET /users/{user_id}/interests/{category}/why": (None, {"u-ann"}, {"user_interests"}),
}
# They tell of nobody, write, or are tested below.
OF_NOBODY = {
    *("GET /v1/tags", "GET /tags", "POST /v1/similar/items", "GET /metrics"),
    *("GET /v1/models", "GET /models", "GET /models/{version}/report/{name}", "GET /data"),
    *("POST /v1/models/current", "POST /models/current"),
    *("POST /v1/events", "POST /users/{user_id}/events", "POST /push"),
    "POST /write-to-online-store",
}
BELOW = {
    *("POST /v1/audiences", "POST /get-online-features", "POST /search"),
    "POST /retrieve-online-documents",
}
FREE = {"/healthz", "/readyz", "/health", "/docs", "/openapi.json", "/favicon.ico"}
KEY = {"X-API-Key": "the key", "sec-fetch-site": "same-origin"}


def declare(settings: Settings, **about: Any) -> None:
    shop = {"keys": [digest("the key")], "scopes": list(SCOPES), **about}
    settings.access_file.write_text(yaml.safe_dump({"clients": {"shop": shop}}))


def log_of(settings: Settings) -> AuditLog:
    return AuditLog.of(settings)


def ask(client: TestClient, name: str, body: Any) -> Any:
    method, path = name.split()
    path += "?a=u-ann&b=u-bob" if path == "/compare" else ""
    for part, value in {
        **{"user_id": "u-ann", "item_id": "i7", "score": "churn_7d", "category": "Drama"},
    }.items():
        path = path.replace(f"{{{part}}}", value)
    return client.request(method, path, headers=KEY, **({} if body is None else {"json": body}))


@pytest.fixture
def asked(settings: Settings, placed: Any, deploy: Any) -> Callable[..., TestClient]:
    def make(**about: Any) -> TestClient:
        declare(settings, **about)
        return TestClient(
            create_app(settings, deployment=deploy()),
            raise_server_exceptions=False,
            follow_redirects=False,
        )

    return make


def reads_in(line: dict[str, Any], log: AuditLog, people: set[str]) -> dict[str, set[str]]:
    """Person -> views of a line; every person of it is one of `people`."""
    names = {log.audit_name(one): one for one in people}
    found: dict[str, set[str]] = {}
    for read in line["reads"]:
        for name in read["people"]:
            found.setdefault(names[name], set()).update(read["views"])
    return found


def test_every_route_is_named_here(settings: Settings) -> None:
    routes = {
        f"{method} {route.path_format}"
        for route in create_app(settings).routes
        if isinstance(route, APIRoute) and route.path not in FREE
        for method in route.methods
    }
    assert routes == TOLD.keys() | OF_NOBODY | BELOW


@pytest.mark.parametrize("name", TOLD)
def test_whose_what_was_read_stands_in_the_log(
    name: str, asked: Callable[..., TestClient], settings: Settings
) -> None:
    body, people, views = TOLD[name]
    client = asked()
    answer = ask(client, name, body)
    assert answer.status_code == 200, answer.text
    log = log_of(settings)
    (line,) = log.lines()
    assert (line["client"], line["status"]) == ("shop", 200)
    assert line["route"].replace(":path", "") == name.split()[1]
    assert line["request"] == answer.headers["x-request-id"]
    found = reads_in(line, log, people)
    assert found.keys() == people
    assert all(views <= of_one for of_one in found.values())


@pytest.mark.parametrize("name", ["GET /v1/tags", "GET /v1/models", "GET /metrics"])
def test_what_tells_of_nobody_leaves_no_line(
    name: str, asked: Callable[..., TestClient], settings: Settings
) -> None:
    assert ask(asked(), name, None).status_code == 200
    assert list(log_of(settings).lines()) == []


def test_an_audience_is_everybody_looked_through_and_those_who_are_told(
    asked: Callable[..., TestClient], settings: Settings
) -> None:
    client = asked()
    rule = {"rule": {"feature": "user_activity__events_7d", "at_least": 1}}
    told = [ask(client, "POST /v1/audiences", rule) for _ in range(2)]
    assert [one.status_code for one in told] == [200, 200], told[0].text
    log = log_of(settings)
    first, again = log.lines()
    assert {"views": ["user_activity"], "people": "everybody"} in first["reads"]
    users = set(told[0].json()["users"])
    assert users
    # The second is told what the first was looked for.
    assert reads_in(again, log, users).keys() == users


def test_what_it_was_read_for_and_what_was_refused(
    asked: Callable[..., TestClient], settings: Settings
) -> None:
    client = asked(purposes=["recommendation"])
    assert client.get("/v1/profiles/u-ann?purpose=other", headers=KEY).status_code == 403
    assert client.get("/v1/profiles/u-ann", headers=KEY).status_code == 200
    assert client.get("/v1/profiles/u-nobody", headers=KEY).status_code == 404
    lines = list(log_of(settings).lines())
    assert [(line["purpose"], line["status"]) for line in lines] == [
        *(("recommendation", 200), ("recommendation", 404)),
    ]


def test_where_it_cannot_be_noted_nothing_is_told(
    asked: Callable[..., TestClient], settings: Settings
) -> None:
    client = asked()
    settings.audit.parent.mkdir(parents=True, exist_ok=True)
    settings.audit.write_text("a file in the way")
    answer = client.get("/v1/profiles/u-ann", headers=KEY)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "cannot be noted" in answer.json()["detail"]
    assert "user_activity" not in answer.text
    assert client.get("/v1/models", headers=KEY).status_code == 200


def test_without_declared_clients_there_is_no_log(settings: Settings, client: TestClient) -> None:
    assert client.get("/v1/profiles/u-ann").status_code == 200
    assert not settings.audit.exists()


def test_features_by_name_are_noted_too(feast_home: Settings, tmp_path: Path) -> None:
    settings = replace(feast_home, access=tmp_path / "access.yaml")
    declare(settings)
    client = TestClient(create_app(settings))
    by_name = {"entities": {"user_id": ["ann", "carl"]}, "features": FEATURES}
    of_service = {"entities": {"user_id": ["ann"]}, "feature_service": "everything"}
    near = {"features": ["places:vector"], "query": [1.0, 0.0], "top_k": 2}
    asked_for = {
        "/get-online-features": [by_name, of_service],
        "/search": [near],
        "/retrieve-online-documents": [near],
    }
    log = log_of(settings)
    before = log.check().lines
    told = [
        client.post(path, json=body, headers=KEY)
        for path, bodies in asked_for.items()
        for body in bodies
    ]
    assert [one.status_code for one in told] == [200] * 4, told[-1].text
    names, service, *searches = list(log.lines())[before:]
    assert reads_in(names, log, {"ann", "carl"}) == {"ann": {"activity"}, "carl": {"activity"}}
    assert reads_in(service, log, {"ann"}) == {"ann": {"service:everything"}}
    for line in searches:
        found = reads_in(line, log, {"ann", "bob", "carl"})
        assert len(found) == 2
        assert all(views == {"places"} for views in found.values())


def test_the_command_shows_and_checks(
    asked: Callable[..., TestClient],
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from profilestore.cli import main

    client = asked()
    for user_id in ("u-ann", "u-bob"):
        assert client.get(f"/v1/recommendations/{user_id}", headers=KEY).status_code == 200
    monkeypatch.setenv("PROFILESTORE_HOME", str(settings.home))
    assert main(["audit", "--user", "u-bob"]) == 0
    said = capsys.readouterr()
    (line,) = map(json.loads, said.out.splitlines())
    assert (line["client"], line["route"]) == ("shop", "/v1/recommendations/{user_id}")
    assert "user_history" in line["views"]
    head = said.err.split("The last: ")[1].strip()
    assert main(["audit", "--head", head]) == 0
    (path,) = settings.audit.glob("*.jsonl")
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    capsys.readouterr()
    assert main(["audit"]) == 0
    assert main(["audit", "--head", head]) == 1
    assert "there is no line 2:" in capsys.readouterr().err
    path.write_text(path.read_text().replace("shop", "shed"))
    assert main(["audit"]) == 1
    assert "line 1" in capsys.readouterr().err
    with pytest.raises(AuditError):
        log_of(settings).check()
