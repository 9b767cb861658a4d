"""The routes: status, documents, documentation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving.documents import (
    PeopleDocument,
    ProfileDocument,
    Ready,
    RecommendationsDocument,
)

# One client serves all examples: it holds nothing that an example changes.
shared_client = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)


def test_a_profile_is_the_document_that_is_documented(client) -> None:
    answer = client.get("/v1/profiles/u-ann")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = ProfileDocument.model_validate_json(answer.content)
    assert document.identity.user_id == "u-ann"
    assert document.model_dump(mode="json") == answer.json()


def test_blocks_of_views_nobody_knew_are_in_the_json(client, store) -> None:
    store.services["profile_v1"].append(
        store.services["profile_v1"][0].__class__("user_segments", "rfm_class", "user", "text")
    )
    store.tags["user_segments"] = {"block": "classes"}
    store.put("u-ann", "user_segments", {"rfm_class": "champion"})
    answer = client.get("/v1/profiles/u-ann").json()
    assert answer["classes"]["fields"]["rfm_class"]["value"] == "champion"


@pytest.mark.parametrize("k", [1, 7, 28])
def test_k_recommendations(client, k: int) -> None:
    answer = client.get("/v1/recommendations/u-ann", params={"k": k})
    document = RecommendationsDocument.model_validate_json(answer.content)
    assert len(document.recommendations.items) == k
    assert document.recommendations.method == "two_tower"


def test_no_more_recommendations_than_there_are_items(client) -> None:
    items = client.get("/v1/recommendations/u-ann?k=100").json()["recommendations"]["items"]
    assert len(items) == 28  # 30 less the two of the history


def test_cold_start_answers_with_what_is_popular(client) -> None:
    answer = client.get("/v1/recommendations/u-unknown?k=3")
    assert answer.status_code == 200
    block = answer.json()["recommendations"]
    assert block["method"] == "popular"
    assert [item["item_id"] for item in block["items"]] == ["i1", "i2", "i3"]


def test_people_in_pages(client) -> None:
    first = PeopleDocument.model_validate_json(client.get("/v1/users?limit=1").content)
    assert ([p.user_id for p in first.users], first.total) == (["u-ann"], 2)
    second = client.get("/v1/users", params={"limit": 1, "after": first.next}).json()
    assert [p["user_id"] for p in second["users"]] == ["u-bob"]
    assert second["next"] is None


class TestHealth:
    @pytest.mark.parametrize("without", [[], ["registry", "people", "bundle", "clock"]])
    def test_alive_whatever_is_loaded(self, deploy, client_of, without) -> None:
        answer = client_of(deploy(*without)).get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "alive"})

    def test_ready_when_all_is_loaded(self, client, bundle) -> None:
        ready = Ready.model_validate_json(client.get("/readyz").content)
        assert (ready.model, ready.users) == (bundle.version, 2)

    @pytest.mark.parametrize("without", ["registry", "people", "bundle"])
    def test_not_ready_without_any_of_them(self, deploy, client_of, without) -> None:
        answer = client_of(deploy(without)).get("/readyz")
        assert answer.status_code == 503
        assert [part["run"][:5] for part in answer.json()["missing"]] == ["make "]

    def test_the_service_starts_with_nothing_and_with_everything(self, deploy, client_of) -> None:
        for deployment in (deploy(), deploy("registry", "people", "bundle", "clock")):
            with client_of(deployment) as client:
                assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/profiles/a%2Fb",
        "/v1/profiles/..%2F..%2Fetc",
        "/v1/profiles/%00",
        "/v1/profiles/u-ann%0A",
        "/v1/profiles/%ff%fe",
        "/v1/profiles/%ED%A0%80",
        "/v1/profiles/" + "x" * 129,
        "/v1/profiles/" + "x" * 60_000,
        "/v1/profiles/",
        "/v1/profiles/u-ann/",
        "/v1/profiles/ ",
        "/v1/recommendations/u-ann?k=0",
        "/v1/recommendations/u-ann?k=101",
        "/v1/recommendations/u-ann?k=1e3",
        "/v1/recommendations/u-ann?k=" + "9" * 5000,
        "/v1/recommendations/u-ann?k=",
        "/v1/users?limit=0",
        "/v1/users?limit=501",
        "/v1/users?after=nonsense",
        "/v1/users?after=%00",
        "/v1/nothing",
        "/?q=" + "x" * 129,
        "/users/a%00b",
        "/static/../app.py",
        "/static/nothing.css",
    ],
)
def test_a_bad_request_is_a_problem_of_the_asker(client, path: str) -> None:
    answer = client.get(path)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code


@shared_client
@given(st.text())
@example("\ud800")
@example("\x00")
@example("..")
@example("u-ann")
def test_no_user_id_is_a_fault_of_ours(client, user_id: str) -> None:
    escaped = quote(user_id.encode("utf-8", "surrogatepass"), safe="")
    for path in (f"/v1/profiles/{escaped}", f"/v1/recommendations/{escaped}", f"/users/{escaped}"):
        assert client.get(path).status_code < 500


@shared_client
@given(st.text(), st.text())
def test_no_parameter_is_a_fault_of_ours(client, text: str, other: str) -> None:
    escaped, more = (quote(t.encode("utf-8", "surrogatepass")) for t in (text, other))
    for path in (
        f"/v1/users?after={escaped}&limit={more}",
        f"/v1/recommendations/u-ann?k={escaped}",
        f"/?q={escaped}",
        f"/people?q={escaped}",
        f"/v1/tags?kind={escaped}&after={more}",
        f"/tags?kind={escaped}",
        f"/v1/profiles/u-ann?fields={escaped}&purpose={more}",
    ):
        assert client.get(path).status_code < 500


def test_eight_threads_of_fifty_requests_each_get_their_own_answer(client) -> None:
    def ask(number: int) -> tuple[int, Any]:
        user_id = ("u-ann", "u-bob", "u-x")[number % 3]
        answer = client.get(f"/v1/profiles/{user_id}")
        return number, (answer.status_code, answer.json().get("identity", {}).get("user_id"))

    expected = [(200, "u-ann"), (200, "u-bob"), (404, None)]
    with ThreadPoolExecutor(8) as pool:
        for number, found in pool.map(ask, range(400)):
            assert found == expected[number % 3]


class TestOpenApi:
    @pytest.fixture
    def schema(self, client) -> dict[str, Any]:
        return client.get("/openapi.json").json()

    def test_every_reference_leads_somewhere(self, schema) -> None:
        def references(part: Any):
            if isinstance(part, dict):
                yield from [part["$ref"]] if "$ref" in part else []
                part = list(part.values())
            for child in part if isinstance(part, list) else []:
                yield from references(child)

        found = set(references(schema))
        assert "#/components/schemas/Problem" in found
        for reference in found:
            assert reference.rsplit("/", 1)[-1] in schema["components"]["schemas"]

    def test_errors_are_documented_as_problems_alone(self, schema) -> None:
        for path, methods in schema["paths"].items():
            document = "text/plain" if path == "/metrics" else "application/json"
            for operation in methods.values():
                for status, answer in operation["responses"].items():
                    media = set(answer.get("content", {}))
                    if operation["tags"] == ["feast"] and status in ("200", "404", "422"):
                        assert media <= {"application/json", "application/problem+json"}
                        continue
                    wanted = document if status == "200" else "application/problem+json"
                    assert media == {wanted}
        assert "HTTPValidationError" not in schema["components"]["schemas"]

    def test_every_operation_and_parameter_is_described(self, schema) -> None:
        assert set(schema["paths"]) == {
            "/v1/profiles/{user_id}",
            "/v1/recommendations/{user_id}",
            "/v1/recommendations/{user_id}/{item_id}/why",
            "/v1/scores/{user_id}/{score}/why",
            "/v1/profiles/{user_id}/interests/{category}/why",
            "/v1/similar/items",
            "/v1/similar/users",
            "/v1/audiences",
            "/v1/profiles",
            "/v1/tags",
            "/v1/users",
            "/v1/events",
            "/v1/models",
            "/v1/models/current",
            "/get-online-features",
            "/search",
            "/retrieve-online-documents",
            "/push",
            "/write-to-online-store",
            "/health",
            "/metrics",
            "/healthz",
            "/readyz",
        }
        for methods in schema["paths"].values():
            for operation in methods.values():
                assert operation["summary"]
                assert operation["description"]
                for parameter in operation.get("parameters", []):
                    assert parameter["description"]

    def test_every_document_is_described(self, schema) -> None:
        for name, model in schema["components"]["schemas"].items():
            assert model.get("description"), name

    def test_the_profile_allows_blocks_under_other_names(self, schema) -> None:
        more = schema["components"]["schemas"]["ProfileDocument"]["additionalProperties"]
        assert more == {"$ref": "#/components/schemas/FieldsBlock"}
