"""What serving runs: compared with what was trained, and left out where it loses too much."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from profilestore.encoding import LIST_LENGTH, Feature, Vocabulary, plan
from profilestore.errors import ProfilestoreError
from training import litert
from training.config import TrainConfig
from training.evaluate import predict
from training.litert import by_rows, file_of, to_litert, write_towers
from training.towers import Moments, QueryTower, embeddings

FEATURES = [
    Feature("user_activity", "events_7d", "user", "number"),
    Feature("user_history", "item_ids", "user", "list_of_text", tags={"vocabulary": "item_id"}),
]
ENCODING = plan(FEATURES, "user")
VOCABULARIES = {"item_id": Vocabulary("item_id", [str(n) for n in range(300)])}


@pytest.fixture(scope="module")
def dataset() -> SimpleNamespace:
    random = np.random.default_rng(1)
    return SimpleNamespace(
        split=np.zeros(60, np.int8),
        query={
            "numbers": random.standard_normal((60, 2)).astype(np.float32),
            "user_history__item_ids": random.integers(2, 302, (60, LIST_LENGTH)).astype(np.int32),
        },
    )


@pytest.fixture(scope="module")
def tower(dataset: SimpleNamespace) -> QueryTower:
    config = TrainConfig(dimension=32, hidden=64)
    known = Moments.of(dataset.query["numbers"], np.arange(60))
    made = QueryTower(config, ENCODING, embeddings(config, VOCABULARIES, {}), known)
    made(dataset.query)
    random = np.random.default_rng(2)
    for weight in made.trainable_weights:
        weight.assign(weight + 0.1 * random.standard_normal(weight.shape))
    return made


def test_each_kind_says_nearly_the_same_in_fewer_bytes(
    dataset: SimpleNamespace, tower: QueryTower, tmp_path: Path
) -> None:
    wanted = tower(dataset.query).numpy()
    lengths = np.linalg.norm(wanted, axis=1)
    sizes = []
    for kind, most in (("float32", 1e-5), ("float16", 2e-3), ("int8", 5e-2)):
        path = tmp_path / file_of(kind)
        path.write_bytes(to_litert(tower, kind))
        off = np.linalg.norm(by_rows(path)(dataset.query) - wanted, axis=1) / lengths
        assert off.max() < most, kind
        sizes.append(path.stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < sizes[0] / 2


def test_a_tower_of_ids_alone_takes_numbers_without_columns(tmp_path: Path) -> None:
    """Serving gives `numbers` whatever the model learns from, and so do the trainer's rows."""
    encoding = plan([feature for feature in FEATURES if feature.kind != "number"], "user")
    config = TrainConfig(dimension=8, hidden=16)
    nothing = Moments(np.zeros(0), np.zeros(0))
    tower = QueryTower(config, encoding, embeddings(config, VOCABULARIES, {}), nothing)
    inputs = {
        "numbers": np.zeros((5, 0), np.float32),
        "user_history__item_ids": np.arange(2, 2 + 5 * LIST_LENGTH, dtype=np.int32).reshape(5, -1),
    }
    rows = np.arange(5)
    wanted = predict(tower, inputs, rows)
    assert len(np.unique(wanted, axis=0)) == 5
    path = tmp_path / file_of("float32")
    path.write_bytes(to_litert(tower))
    np.testing.assert_allclose(predict(by_rows(path), inputs, rows), wanted, atol=1e-5)


def test_one_that_loses_too_much_is_left_out(
    dataset: SimpleNamespace, tower: QueryTower, tmp_path: Path
) -> None:
    reached = iter([0.5, 0.496, 0.494])
    found = write_towers(tmp_path, tower, dataset, lambda _: next(reached))  # type: ignore[arg-type]
    assert {kind: one["kept"] for kind, one in found.items()} == {
        **{"float32": True, "float16": True, "int8": False},
    }
    assert found["float16"]["lost"] == pytest.approx(0.008)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("query_tower.tflite", "query_tower.float16.tflite"),
    }
    assert found["float32"]["bytes"] == (tmp_path / "query_tower.tflite").stat().st_size


def test_one_that_answers_otherwise_is_refused(
    dataset: SimpleNamespace,
    tower: QueryTower,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    eight_bits = to_litert(tower, "int8")
    monkeypatch.setattr(litert, "to_litert", lambda *_: eight_bits)
    with pytest.raises(ProfilestoreError, match=r"differs from the trained one by .* last good"):
        write_towers(tmp_path, tower, dataset, lambda _: 1.0)  # type: ignore[arg-type]
