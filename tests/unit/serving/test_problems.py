"""Problem documents: one for every way to fail."""

from __future__ import annotations

import logging

import pytest

from serving.documents import Problem

PAGE = {"accept": "text/html,application/xhtml+xml"}


def problem_of(answer) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate_json(answer.content)
    assert found.status == answer.status_code
    return found


def test_unknown_user(client) -> None:
    found = problem_of(client.get("/v1/profiles/u-x"))
    assert (found.status, found.type) == (404, "/docs#unknown-user")
    assert found.instance == "/v1/profiles/u-x"
    assert "u-x" in found.detail


def test_no_such_address(client) -> None:
    found = problem_of(client.get("/v1/nothing"))
    assert (found.status, found.type) == (404, "/docs#not-found")


def test_no_such_method(client) -> None:
    answer = client.delete("/v1/profiles/u-ann")
    assert problem_of(answer).type == "/docs#method-not-allowed"
    assert answer.headers["allow"] == "GET"


def test_an_invalid_parameter_is_named_and_not_repeated(client) -> None:
    answer = client.get("/v1/recommendations/u-ann?k=secret")
    found = problem_of(answer)
    assert (found.status, found.type) == (422, "/docs#invalid-request")
    assert [error.where for error in found.errors] == ["query.k"]
    assert "secret" not in answer.text


def test_an_invalid_cursor(client) -> None:
    found = problem_of(client.get("/v1/users?after=x"))
    assert found.status == 422
    assert "next" in found.detail


@pytest.mark.parametrize("path", ["/v1/profiles/u-ann", "/v1/users", "/v1/recommendations/u-x"])
def test_what_is_not_built_is_named(deploy, client_of, path) -> None:
    found = problem_of(client_of(deploy("registry", "people", "bundle")).get(path))
    assert (found.status, found.type) == (503, "/docs#not-ready")
    assert [part.run for part in found.missing] == ["make apply", "make materialize", "make train"]


def test_without_a_model_there_are_no_recommendations_for_anybody(deploy, client_of) -> None:
    client = client_of(deploy("bundle"))
    for user_id in ("u-ann", "u-x"):
        found = problem_of(client.get(f"/v1/recommendations/{user_id}"))
        assert [part.run for part in found.missing] == ["make train"]
    assert client.get("/v1/profiles/u-ann").status_code == 200


def test_a_fault_of_ours_tells_the_log_all_and_the_asker_nothing(client, store, caplog) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret of the house")

    store.online = broken
    with caplog.at_level(logging.ERROR):
        answer = client.get("/v1/profiles/u-ann")
    found = problem_of(answer)
    assert (found.status, found.type) == (500, "/docs#internal-error")
    assert "secret" not in answer.text
    assert "the secret of the house" in caplog.text


def test_a_browser_gets_a_page(client) -> None:
    answer = client.get("/users/u-x", headers=PAGE)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Unknown user" in answer.text


def test_a_browser_that_asks_for_data_gets_data(client) -> None:
    assert problem_of(client.get("/v1/profiles/u-x", headers=PAGE)).status == 404


def test_the_page_names_what_is_not_built(deploy, client_of) -> None:
    answer = client_of(deploy("registry", "people")).get("/", headers=PAGE)
    assert answer.status_code == 503
    assert "make apply" in answer.text
    assert "make materialize" in answer.text


def test_every_type_is_explained_in_the_documentation(client) -> None:
    documentation = client.get("/docs").text
    for path in ("/v1/profiles/u-x", "/v1/nothing", "/v1/users?limit=0"):
        anchor = problem_of(client.get(path)).type.removeprefix("/docs#")
        assert f'id="{anchor}"' in documentation
