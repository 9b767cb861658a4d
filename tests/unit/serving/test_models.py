"""The models that were trained, and the choice of the one that serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from profilestore.errors import ProfilestoreError

VERSIONS = {"20260301T000000Z": 0.05, "20260201T000000Z": 0.04, "20260101T000000Z": None}
CURRENT = "20260301T000000Z"


@pytest.fixture
def models(settings: Any, monkeypatch: pytest.MonkeyPatch, bundle: Any) -> Path:
    """Three models, one of them not measured, and what is none."""
    for version, reached in VERSIONS.items():
        folder = settings.models / version
        folder.mkdir()
        manifest = {
            "version": version,
            "created_at": f"{version[:4]}-{version[4:6]}-{version[6:8]}T00:00:00+00:00",
            "feature_service": "retrieval_v1",
            "config": {"encoder": "gru"},
            "lake_snapshot": 42,
        }
        (folder / "bundle.json").write_text(json.dumps(manifest))
        (folder / "report.html").write_text(f"<h1>{version}</h1>")
        (folder / "ndcg.png").write_bytes(b"PNG")
        if reached is not None:
            scorer = {"ndcg@10": reached, "ndcg@10_standard_error": 0.001, "recall@10": 0.1}
            test = {
                "two-tower": scorer,
                "popularity": {**scorer, "ndcg@10": 0.02},
                "EASE": {**scorer, "ndcg@10": 0.045},
            }
            (folder / "metrics.json").write_text(json.dumps({"test": test}))
    (settings.models / "20260102T000000Z").mkdir()
    (settings.models / "20260103T000000Z").mkdir()
    (settings.models / "20260103T000000Z" / "bundle.json").write_text("{")
    (settings.models / ".20260104T000000Z.7").mkdir()
    (settings.models / ".20260104T000000Z.7" / "bundle.json").write_text("{}")
    (settings.models / "current.json").write_text(json.dumps({"version": CURRENT}))

    def load(folder: Path) -> Any:
        if folder.name == "20260101T000000Z":
            raise ProfilestoreError(f"bundle {folder.name}: item_vectors.npy is torn")
        return replace(bundle, path=folder, manifest={**bundle.manifest, "version": folder.name})

    monkeypatch.setattr("serving.models.load", load)
    return settings.models


def serving_now(models: Path) -> str:
    return json.loads((models / "current.json").read_text())["version"]


def test_all_that_are_whole_are_listed(client: TestClient, models: Path) -> None:
    said = client.get("/v1/models").json()
    assert said["current"] == CURRENT
    assert [one["version"] for one in said["models"]] == list(VERSIONS)
    first, second, third = said["models"]
    assert (first["is_current"], second["is_current"]) == (True, False)
    assert (second["ndcg_at_10"], second["best_baseline"]) == (0.04, "EASE")
    assert second["best_baseline_ndcg_at_10"] == 0.045
    assert third["ndcg_at_10"] is None
    assert third["best_baseline"] is None


def test_nothing_was_trained(client: TestClient) -> None:
    said = client.get("/v1/models").json()
    assert said["models"] == []
    assert "None yet." in client.get("/models").text


def test_a_roll_back_is_one_call(client: TestClient, models: Path) -> None:
    answer = client.post("/v1/models/current", json={"version": "20260201T000000Z"})
    assert answer.status_code == 200
    assert answer.json()["current"] == "20260201T000000Z" == serving_now(models)


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("20250101T000000Z", 404),
        ("20260102T000000Z", 404),
        ("../models/20260201T000000Z", 404),
        (".20260104T000000Z.7", 404),
        ("", 422),
        ("20260101T000000Z", 503),
    ],
)
def test_another_leaves_the_one_that_serves(
    client: TestClient, models: Path, version: str, status: int
) -> None:
    answer = client.post("/v1/models/current", json={"version": version})
    assert answer.status_code == status
    assert serving_now(models) == CURRENT
    if status == 404:
        assert "20260201T000000Z" in answer.json()["detail"], "those that there are"


def test_one_that_reads_what_is_not_registered_is_refused(
    client: TestClient, models: Path, store: Any
) -> None:
    store.services["retrieval_v1"] = [
        feature for feature in store.services["retrieval_v1"] if feature.name != "events_7d"
    ]
    answer = client.post("/v1/models/current", json={"version": "20260201T000000Z"})
    assert answer.status_code == 503
    assert "reads user_activity__events_7d" in answer.json()["detail"]
    assert serving_now(models) == CURRENT


class TestPage:
    def test_what_serves_stands_beside_its_baselines(
        self, client: TestClient, models: Path
    ) -> None:
        html = client.get("/models").text
        assert html.index(">two-tower<") < html.index(">EASE<") < html.index(">popularity<")
        assert html.count('name="version"') == 2, "one button for each of the others"
        assert f"/models/{CURRENT}/report/report.html" in html

    def test_a_button_chooses(self, client: TestClient, models: Path) -> None:
        form = {"version": "20260201T000000Z"}
        foreign = client.post("/models/current", data=form, headers={"origin": "https://x.example"})
        assert foreign.status_code == 403
        assert serving_now(models) == CURRENT
        ours = {"sec-fetch-site": "same-origin"}
        chosen = client.post("/models/current", data=form, headers=ours)
        assert (chosen.status_code, chosen.headers["location"]) == (303, "/models")
        assert serving_now(models) == "20260201T000000Z"

    def test_the_report_and_its_plots_alone(self, client: TestClient, models: Path) -> None:
        base = f"/models/{CURRENT}/report"
        report = client.get(f"{base}/report.html")
        assert report.text == f"<h1>{CURRENT}</h1>"
        assert "default-src 'none'" in report.headers["content-security-policy"]
        assert client.get(f"{base}/ndcg.png").headers["content-type"] == "image/png"
        assert client.get(f"{base}/recall.png").status_code == 404
        for name in ("bundle.json", "metrics.json", "..%2Fcurrent.json", "item_vectors.npy"):
            assert client.get(f"{base}/{name}").status_code in (404, 422)
        assert client.get("/models/..%2F../report/report.html").status_code in (404, 422)
