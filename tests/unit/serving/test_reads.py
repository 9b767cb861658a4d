"""What a route says that it reads is what makes a difference to its answer: no more, no less."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute

from profilestore import feature_store
from profilestore.encoding import Feature
from profilestore.tags import tag_columns
from serving.app import create_app
from serving.reads import Endpoint, endpoints_of

READ_NO_FEATURE = {
    *("/v1/events", "/users/{user_id}/events", "/data"),
    *("/v1/models", "/v1/models/current", "/models", "/models/current"),
    "/models/{version}/report/{name}",
    *("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/favicon.ico"),
}
# They read what whoever asks names.
READ_ANYTHING = {
    *("/get-online-features", "/search", "/retrieve-online-documents", "/health"),
    *("/push", "/write-to-online-store"),
}
# Somebody of whom everything is known, and somebody of whom nothing is.
ASKED = {
    "GET /v1/profiles/{user_id}": ["/v1/profiles/u-ann"],
    "GET /users/{user_id}": ["/users/u-ann"],
    "GET /v1/recommendations/{user_id}": [
        "/v1/recommendations/u-ann?k=30",
        "/v1/recommendations/u-new?k=30",
    ],
    "GET /v1/recommendations/{user_id}/{item_id}/why": ["/v1/recommendations/u-ann/i7/why"],
    "GET /users/{user_id}/why/{item_id}": ["/users/u-ann/why/i7"],
    "GET /v1/scores/{user_id}/{score}/why": ["/v1/scores/u-ann/churn_7d/why"],
    "GET /users/{user_id}/scores/{score}/why": ["/users/u-ann/scores/churn_7d/why"],
    "GET /compare": ["/compare?a=u-ann&b=u-bob"],
}
PAGES = {
    *("GET /users/{user_id}", "GET /compare"),
    "GET /users/{user_id}/scores/{score}/why",
}
# What they read differs with the tag, whose name is among it.
BY_TAG = {
    "GET /v1/profiles/{user_id}/interests/{category}/why",
    "GET /users/{user_id}/interests/{category}/why",
}
# Several of what `GET` with one of them gives.
OF_SEVERAL = {"POST /v1/profiles": "GET /v1/profiles/{user_id}"}
# What they read differs with the rule: audiences/test_matching.py.
BY_RULE = {"POST /v1/audiences"}
# In test_similar.py.
BY_VECTOR = {"POST /v1/similar/items", "POST /v1/similar/users"}
FROM_THE_TAGS = {"GET /v1/tags": "/v1/tags", "GET /tags": "/tags"}
FROM_THE_NOTE = {"GET /": "/", "GET /people": "/people", "GET /v1/users": "/v1/users"}


def altered(value: Any, row: int) -> Any:
    """Another value of the same kind; not the same for every row, so that an order changes too."""
    if isinstance(value, datetime):
        return value + timedelta(days=400)
    if isinstance(value, (int, float)):
        return value + 3 * row
    if isinstance(value, list):
        return [altered(one, row + 1) for one in reversed(value)]
    return None if value is None else f"{value}, altered"


@pytest.fixture
def endpoints(settings: Any) -> dict[str, Endpoint]:
    return {one.name: one for one in endpoints_of(create_app(settings))}


@pytest.fixture
def answer(deploy: Any, client_of: Any, bundle: Any) -> Callable[[list[str]], Any]:
    """What a new process answers, without the instant it was asked at, and what its model saw."""

    def ask(paths: list[str]) -> Any:
        client = client_of(deploy())
        bundle.query_tower.inputs.clear()
        said = []
        for path in paths:
            answered = client.get(path)
            assert answered.status_code == 200, answered.text
            if "json" in answered.headers["content-type"]:
                said.append({k: v for k, v in answered.json().items() if k != "asked_at"})
            else:
                # A form has an event's id, which is another each time.
                said.append(re.sub(r'"event_id" value="\w+"', "", answered.text))
        # Ages come after the numbers, a value and a presence each, and are never the same twice.
        fixed = 2 * len(bundle.encoding.numbers)
        seen = [
            {k: (v[:, :fixed] if k == "numbers" else v).tolist() for k, v in one.items()}
            for one in bundle.query_tower.inputs
        ]
        return said, seen

    return ask


def uses(endpoint: Endpoint, features: list[Feature], bundle: Any) -> set[str]:
    said = {
        feature.column for reads in endpoint.reads for feature in features if reads.uses(feature)
    }
    reads_the_model = any(reads.service is None for reads in endpoint.reads)
    return said | (set(bundle.encoding.columns) if reads_the_model else set())


def test_every_route_says_what_it_reads(settings: Any, endpoints: dict[str, Endpoint]) -> None:
    routes = {
        f"{method} {route.path_format}"
        for route in create_app(settings).routes
        if isinstance(route, APIRoute) and route.path not in READ_NO_FEATURE | READ_ANYTHING
        for method in route.methods
    }
    assert (
        endpoints.keys()
        == routes
        == {*(*ASKED, *FROM_THE_NOTE, *FROM_THE_TAGS, *BY_VECTOR, *BY_TAG, *BY_RULE, *OF_SEVERAL)}
    )


@pytest.mark.parametrize(("name", "one"), OF_SEVERAL.items())
def test_several_are_read_as_one_is(name: str, one: str, endpoints: dict[str, Endpoint]) -> None:
    assert endpoints[name].reads == endpoints[one].reads


@pytest.mark.parametrize(("name", "path"), FROM_THE_TAGS.items())
def test_tags_are_counted_when_the_online_store_is_filled(
    name: str, path: str, endpoints: dict[str, Endpoint], store: Any, client: Any
) -> None:
    assert client.get(path).status_code == 200
    assert store.asked == []
    (reads,) = endpoints[name].reads
    assert reads.service == feature_store.PEOPLE_SERVICE
    features = store.services["profile_v1"]
    tagged = set(tag_columns(features))
    assert {"user_interests__categories", "user_brands__brands"} == tagged
    assert tagged <= {feature.column for feature in features if reads.uses(feature)}


@pytest.mark.parametrize("name", ASKED)
def test_a_route_uses_what_it_says_and_nothing_else(
    name: str, endpoints: dict[str, Endpoint], store: Any, bundle: Any, answer: Any
) -> None:
    for (_, view), record in store.rows.items():
        if view == "item_popularity":  # equals, so that the second count decides
            record.values["events_90d"] = 50
    features = store.services["retrieval_v1"]
    before = answer(ASKED[name])
    assert answer(ASKED[name]) == before
    kept = dict(store.rows)
    differ = set()
    for feature in features:
        store.rows = {
            (key, view): replace(
                record,
                values={
                    column: altered(value, number) if column == feature.name else value
                    for column, value in record.values.items()
                },
            )
            if view == feature.view
            else record
            for number, ((key, view), record) in enumerate(kept.items(), start=1)
        }
        if answer(ASKED[name]) != before:
            differ.add(feature.column)
    said = uses(endpoints[name], features, bundle)
    assert differ <= said
    if name not in PAGES:  # which leave out some of the document that they are made of
        assert said - set(bundle.encoding.ages) <= differ


@pytest.mark.parametrize("name", ASKED)
def test_a_route_asks_for_the_services_that_it_names(
    name: str, endpoints: dict[str, Endpoint], texts: Any, bundle: Any, answer: Any
) -> None:
    answer(ASKED[name])
    named = {reads.service or bundle.feature_service for reads in endpoints[name].reads}
    assert {service for service, _ in texts.asked} == named


@pytest.mark.parametrize(("name", "path"), FROM_THE_NOTE.items())
def test_people_are_read_when_the_online_store_is_filled(
    name: str, path: str, endpoints: dict[str, Endpoint], store: Any, client: Any
) -> None:
    assert client.get(path).status_code == 200
    assert store.asked == []
    (reads,) = endpoints[name].reads
    assert reads.service == feature_store.PEOPLE_SERVICE
    for column in feature_store.PEOPLE_COLUMNS:
        view, feature = column.split("__")
        assert reads.uses(Feature(view, feature, "user", "number"))
    assert not reads.uses(Feature("user_activity", "events_1d", "user", "number"))
