"""One run: what it leaves, and that it leaves it whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from profilestore.encoding import Encoding, Feature
from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from training.dataset import TEST, TRAIN, VALIDATION
from training.people import People, Spine
from training.profiles import fit
from training.profiles.anomaly import Oddness
from training.profiles.config import ProfilesConfig
from training.profiles.fit import write_profiles
from training.profiles.segments import nearest

CONFIG = ProfilesConfig(dimension=2, hidden=16, epochs=20, learning_rate=5e-3, fewest_segments=2)
NAMES = tuple(f"v__c{n}" for n in range(6))


class Store:
    def lake_snapshot(self) -> int:
        return 17

    def registry_hash(self) -> str:
        return "abc"


def people(rows: int, seed: int) -> People:
    """Two kinds of people: those of one have about 1 of everything, of the other about 100."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 2, rows)
    count = random.poisson(np.where(kind, 100, 1)[:, None], (rows, 6))
    numbers = np.empty((rows, 12), np.float32)
    numbers[:, 0::2] = np.log1p(count)
    numbers[:, 1::2] = random.random((rows, 6)) < 0.9
    numbers[:, 0::2] *= numbers[:, 1::2]
    split = np.repeat([TRAIN, VALIDATION, TEST], [rows - 2 * (rows // 4), rows // 4, rows // 4])
    spine = Spine(np.arange(rows), np.arange(rows), split, np.zeros(rows, bool))
    return People(spine, Encoding("user", NAMES, (), {}, {}, {}, {}, {}), numbers)


def features() -> list[Feature]:
    return [Feature("v", name[3:], "user", "number", f"Events {name}.") for name in NAMES]


def run(home: Path, config: ProfilesConfig = CONFIG) -> Path:
    store = Store()
    everyone = people(100, 2)
    return write_profiles(
        Settings(home),
        store,
        config,
        features(),
        people(400, 1),
        everyone,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("home"))


def test_it_leaves_everything_and_nobody(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        *("encoding.json", "encoder.tflite", "oddness.npy", "segments.json", "results.json"),
        *("report.md", "curve.png", "silhouette.png", "map.png"),
    }
    assert [path.name for path in folder.parent.iterdir()] == ["profiles"]
    results = json.loads((folder / "results.json").read_text())
    assert results["columns"] == list(NAMES)
    assert results["rows"] == {"train": 200, "validation": 100, "test": 100}
    assert sum(one["people"] for one in results["segments"]["found"]) == 100
    assert results["representations"].keys() == {"autoencoder", "PCA"}
    report = (folder / "report.md").read_text()
    assert "high: events v__c" in report
    assert "low: events v__c" in report
    assert "lake snapshot 17" in report


def test_serving_can_place_a_person_without_tensorflow(folder: Path) -> None:
    """From the files alone: vector, segment, oddness."""
    runner = Interpreter(str(folder / "encoder.tflite")).get_signature_runner("serving_default")
    encoding = Encoding.from_json(json.loads((folder / "encoding.json").read_text()))
    segments = json.loads((folder / "segments.json").read_text())
    centres = np.array([segment["centre"] for segment in segments])
    oddness = Oddness(np.load(folder / "oddness.npy"))

    def placed(values: list[float]) -> tuple[str, float]:
        numbers = np.ones((1, encoding.floats), np.float32)
        numbers[0, 0::2] = np.log1p(values)
        found = runner(numbers=numbers)
        segment = segments[int(nearest(found["vector"], centres)[0])]["name"]
        return segment, float(oddness.percentile(found["error"])[0])

    one, hundred, both = placed([1] * 6), placed([100] * 6), placed([100, 1] * 3)
    assert one[0] != hundred[0]
    assert one[1] < 90 > hundred[1]
    assert both[1] > 99


def test_another_run_takes_its_place_and_one_that_fails_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(CONFIG, epochs=1)
    first = json.loads((run(tmp_path, short) / "results.json").read_text())
    second = json.loads((run(tmp_path, replace(short, seed=2)) / "results.json").read_text())
    assert (first["config"]["seed"], second["config"]["seed"]) == (1, 2)
    monkeypatch.setattr(fit, "difference", lambda *_: 1.0)
    with pytest.raises(ProfilestoreError, match="the exported encoder differs"):
        run(tmp_path, replace(short, seed=3))
    kept = json.loads((tmp_path / "data" / "profiles" / "results.json").read_text())
    assert kept == second
