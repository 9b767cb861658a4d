"""Feast's own routes: answered as Feast's server answers, and known to Feast's own client."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import feast
import pytest
import uvicorn
from fastapi.testclient import TestClient
from feast import FeatureView
from feast.errors import FeatureViewNotFoundException
from feast.feature_server import get_app
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from serving_feast_repo import FEATURES, NOON, ROWS, USER, rows, write_repo

from profilestore.settings import Settings
from serving.app import create_app
from serving.feast_routes import MOST_ROWS


@pytest.fixture
def home(feast_home: Settings) -> Settings:
    return feast_home


@dataclass
class Servers:
    """Ours and Feast's own over the same registry and online store."""

    ours: TestClient
    theirs: TestClient

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """What both answer; and that it is the same."""
        mine, other = (one.post(path, json=body) for one in (self.ours, self.theirs))
        assert mine.status_code == other.status_code == 200, (mine.text, other.text)
        assert mine.json() == other.json()
        return mine.json()


@pytest.fixture
def servers(home: Settings) -> Servers:
    theirs = get_app(feast.FeatureStore(repo_path=str(home.feature_repo)))
    return Servers(
        TestClient(create_app(home), raise_server_exceptions=False),
        TestClient(theirs, raise_server_exceptions=False),
    )


@pytest.mark.parametrize("full", [False, True])
def test_features_are_answered_as_feast_answers(servers: Servers, full: bool) -> None:
    found = servers.ask(
        "/get-online-features",
        {
            "entities": {"user_id": ["ann", "nobody", "carl", "bob", "ann"]},
            "features": FEATURES,
            "full_feature_names": full,
        },
    )
    name = "activity__clicks" if full else "clicks"
    clicks = found["results"][found["metadata"]["feature_names"].index(name)]
    assert clicks["values"] == [1, None, 3, 2, 1]
    assert clicks["statuses"][:2] == ["PRESENT", "NOT_FOUND"]


def test_a_service_and_an_on_demand_view(servers: Servers) -> None:
    servers.ask(
        "/get-online-features",
        {"entities": {"user_id": ["ann", "bob"]}, "feature_service": "everything"},
    )
    found = servers.ask(
        "/get-online-features",
        {"entities": {"user_id": ["ann", "bob"]}, "features": ["doubled:twice"]},
    )
    assert [2, 4] in [one["values"] for one in found["results"]]


def test_versions_of_views(servers: Servers) -> None:
    servers.ask(
        "/get-online-features",
        {
            "entities": {"user_id": ["ann"]},
            "features": FEATURES,
            "include_feature_view_version_metadata": True,
        },
    )


@pytest.mark.parametrize("path", ["/search", "/retrieve-online-documents"])
def test_a_search(servers: Servers, path: str) -> None:
    found = servers.ask(
        path, {"features": ["places:vector"], "query": [1.0, 0.1], "top_k": 2, "api_version": 2}
    )
    assert len(found["results"][0]["values"]) == 2


def test_health(servers: Servers, tmp_path: Path) -> None:
    assert servers.ours.get("/health").status_code == 200
    empty = TestClient(create_app(Settings(home=tmp_path)))
    answered = empty.get("/health")
    assert answered.status_code == 503
    assert "make apply" in answered.json()["detail"]


def test_what_feast_refuses_is_refused_in_its_words(servers: Servers) -> None:
    """Feast's SDK makes its own exception of the body."""
    for body in (
        {"entities": {"user_id": ["ann"]}, "features": ["gone:clicks"]},
        {"entities": {"user_id": ["ann"]}, "feature_service": "gone"},
    ):
        mine, other = (
            one.post("/get-online-features", json=body) for one in (servers.ours, servers.theirs)
        )
        assert mine.json() == other.json()
        assert mine.status_code == other.status_code == 404
        assert json.loads(mine.json())["class"].endswith("NotFoundException")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/get-online-features", {"entities": {"user_id": ["ann"]}}, "feature_service"),
        ("/get-online-features", {"entities": {}, "features": FEATURES}, "entities"),
        ("/get-online-features", {"entities": {"user_id": []}, "features": FEATURES}, "0 rows"),
        (
            "/get-online-features",
            {"entities": {"user_id": ["ann"], "item_id": []}, "features": FEATURES},
            "as many in each",
        ),
        (
            "/get-online-features",
            {"entities": {"user_id": ["ann"] * (MOST_ROWS + 1)}, "features": FEATURES},
            f"1 to {MOST_ROWS}",
        ),
        ("/get-online-features", {"entities": {"user_id": [{}]}, "features": FEATURES}, "Feast"),
        ("/get-online-features", {"entities": {"user_id": [None]}, "features": FEATURES}, ""),
        ("/get-online-features", {"entities": {"x": ["ann"]}, "features": FEATURES}, "user"),
        ("/get-online-features", {"entities": {"user_id": ["a"]}, "features": ["clicks"]}, ""),
        ("/search", {"features": ["places:vector"], "query": [1.0], "top_k": 2}, ""),
        ("/search", {"features": ["activity:clicks"], "query": [1.0, 0.0], "top_k": 2}, ""),
        ("/search", {"features": ["places:vector"], "query": [1.0, 0.0], "top_k": 0}, "top_k"),
        ("/push", {"push_source_name": "clicks_push", "df": {"clicks": [1]}}, ""),
        ("/push", {"push_source_name": "clicks_push", "df": {"clicks": [1]}, "to": "x"}, "to"),
        ("/write-to-online-store", {"feature_view_name": "activity", "df": {"a": [1]}}, ""),
    ],
)
def test_a_mistake_is_said(servers: Servers, path: str, body: Any, said: str) -> None:
    answered = servers.ours.post(path, json=body)
    assert 400 <= answered.status_code < 500, answered.text
    assert said in answered.text
    assert "Traceback" not in answered.text


def test_a_body_that_is_no_json(servers: Servers) -> None:
    odd = servers.ours.post("/push", content=b"{", headers={"content-type": "application/json"})
    assert odd.status_code == 422
    assert servers.ours.post("/push", content=b"{}").status_code == 415


@pytest.fixture
def address(home: Settings) -> Iterator[str]:
    """Ours, on a port of its own."""
    server = uvicorn.Server(uvicorn.Config(create_app(home), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def sdk(home: Settings, address: str, tmp_path: Path) -> feast.FeatureStore:
    """Feast's SDK whose online store is this service."""
    repo = write_repo(tmp_path / "client", f"{{type: remote, path: {address}}}", home.registry)
    return feast.FeatureStore(repo_path=str(repo))


def values(store: feast.FeatureStore, *users: str) -> dict[str, list[Any]]:
    return store.get_online_features(
        features=FEATURES, entity_rows=[{"user_id": user} for user in users]
    ).to_dict()


def test_the_sdk_reads_pushes_and_searches(home: Settings, sdk: feast.FeatureStore) -> None:
    directly = feast.FeatureStore(repo_path=str(home.feature_repo))
    remotely, own = values(sdk, "ann", "bob", "nobody"), values(directly, "ann", "bob", "nobody")
    assert remotely["clicks"] == own["clicks"] == [1, 2, None]
    assert remotely["tags"] == own["tags"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sdk.push("clicks_push", rows(["dora"], [7]))
    assert values(sdk, "dora")["clicks"] == values(directly, "dora")["clicks"] == [7]
    near = sdk.retrieve_online_documents_v2(
        features=["places:vector"], query=[1.0, 0.1], top_k=2, distance_metric="cosine"
    ).to_dict()
    assert sorted(near["user_id"]) == ["ann", "bob"]
    with pytest.raises(FeatureViewNotFoundException, match="gone"):
        sdk._get_provider().online_read(
            sdk.config,
            FeatureView(name="gone", entities=[USER], source=ROWS),
            [EntityKey(join_keys=["user_id"], entity_values=[Value(string_val="ann")])],
            requested_features=["clicks"],
        )


def test_a_push_over_http(servers: Servers, home: Settings) -> None:
    df = rows(["emil"], [9], NOON + timedelta(days=1))
    df["event_timestamp"] = [at.isoformat() for at in df["event_timestamp"]]
    df["seen_at"] = [int(at.timestamp()) for at in df["seen_at"]]
    answered = servers.ours.post(
        "/push", json={"push_source_name": "clicks_push", "df": df.to_dict("list")}
    )
    assert answered.status_code == 200, answered.text
    found = servers.ask(
        "/get-online-features",
        {"entities": {"user_id": ["emil"]}, "features": ["activity:clicks"]},
    )
    assert found["results"][1]["values"] == [9]
    gone = servers.ours.post("/push", json={"push_source_name": "gone", "df": {"user_id": ["a"]}})
    assert gone.status_code == 422
    assert json.loads(gone.json())["class"] == "PushSourceNotFoundException"
