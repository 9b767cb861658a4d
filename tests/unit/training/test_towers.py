"""The towers' layers against plain numpy, and what an export must keep."""

from __future__ import annotations

import numpy as np
import pytest

from profilestore.artifacts import QueryTower
from profilestore.encoding import LIST_LENGTH, PAD, UNKNOWN, Feature, Vocabulary, plan
from training import towers
from training.config import TrainConfig
from training.export import _to_litert
from training.runtime import tf
from training.towers import (
    IdDropout,
    Moments,
    RecentItems,
    WeightedBag,
    embeddings,
    query_tower,
)

FEATURES = [
    Feature("user_activity", "events_7d", "user", "number"),
    Feature("user_history", "item_ids", "user", "list_of_text", tags={"vocabulary": "item_id"}),
    Feature("interests", "categories", "user", "list_of_text", tags={"vocabulary": "category"}),
    Feature("interests", "shares", "user", "list_of_number", tags={"weights_of": "categories"}),
]
VOCABULARIES = {
    "item_id": Vocabulary("item_id", [str(n) for n in range(30)]),
    "category": Vocabulary("category", ["a", "b", "c"]),
}


def test_a_history_is_the_softmax_weighted_mean() -> None:
    layer = RecentItems(0.0)
    random = np.random.default_rng(1)
    ids = np.zeros((3, LIST_LENGTH), np.int32)
    ids[0, :4] = [5, 3, 9, 2]
    ids[1, :1] = [7]
    embedded = random.standard_normal((3, LIST_LENGTH, 8)).astype(np.float32)
    layer(embedded, ids)
    names = ("place", "attention", "turn", "nobody")
    weights = {weight.name.partition(":")[0].rpartition("/")[2]: weight for weight in layer.weights}
    for name in names:
        weights[name].assign(random.standard_normal(weights[name].shape))
    place, attention, turn, nobody = (weights[name].numpy() for name in names)
    found = layer(embedded, ids).numpy()
    for row, length in enumerate((4, 1, 0)):
        if not length:
            assert found[row] == pytest.approx(nobody, abs=1e-5)
            continue
        items = embedded[row, :length]
        scores = place[:length] + items @ (embedded[row, 0] @ attention)
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        assert found[row] == pytest.approx((shares @ items) @ turn, abs=1e-3)


def test_padding_does_not_change_a_history() -> None:
    layer = RecentItems(0.0)
    ids = np.zeros((1, LIST_LENGTH), np.int32)
    ids[0, :2] = [4, 6]
    random = np.random.default_rng(2)
    embedded = random.standard_normal((1, LIST_LENGTH, 4)).astype(np.float32)
    before = layer(embedded, ids).numpy()
    embedded[0, 2:] = 1e3
    assert layer(embedded, ids).numpy() == pytest.approx(before, abs=1e-4)


def test_a_bag_without_weight_is_zero() -> None:
    embedded = np.ones((2, 3, 4), np.float32)
    weights = np.array([[0, 0, 0], [1, 3, 0]], np.float32)
    assert WeightedBag()(embedded, weights).numpy().tolist() == [[0.0] * 4, [1.0] * 4]


def test_ids_are_hidden_only_while_training() -> None:
    ids = tf.constant(np.full(2000, 9, np.int32))
    layer = IdDropout(0.25)
    assert set(layer(ids, training=False).numpy()) == {9}
    hidden = np.mean(layer(ids, training=True).numpy() == UNKNOWN)
    assert 0.2 < hidden < 0.3


def test_moments_are_those_of_the_rows_alone(monkeypatch) -> None:
    monkeypatch.setattr(towers, "_BATCH", 7)
    random = np.random.default_rng(6)
    numbers = (random.standard_normal((90, 4)) * [1, 5, 0, 100] + 3).astype(np.float32)
    rows = np.flatnonzero(random.random(90) < 0.5)
    found = Moments.of(numbers, rows)
    assert found.mean == pytest.approx(numbers[rows].mean(axis=0), rel=1e-5)
    assert found.variance == pytest.approx(numbers[rows].var(axis=0), rel=1e-4, abs=1e-9)


def test_the_exported_tower_answers_as_the_trained_one(tmp_path) -> None:
    config = TrainConfig(dimension=16, hidden=8)
    encoding = plan(FEATURES, "user")
    random = np.random.default_rng(4)
    numbers = random.standard_normal((50, encoding.floats)).astype(np.float32)
    known = Moments.of(numbers, np.arange(50))
    tower = query_tower(config, encoding, embeddings(config, VOCABULARIES, {}), known)
    # The last layer starts at zero: give it something to say.
    tower.get_layer("query_correction").kernel.assign(random.standard_normal((8, 16)))
    path = tmp_path / "query_tower.tflite"
    path.write_bytes(_to_litert(tower))
    exported = QueryTower(path)
    for _ in range(5):
        history = random.integers(PAD, 32, (1, LIST_LENGTH)).astype(np.int32)
        row = {
            "numbers": random.standard_normal((1, encoding.floats)).astype(np.float32),
            "user_history__item_ids": history,
            "interests__categories": random.integers(0, 5, (1, LIST_LENGTH)).astype(np.int32),
            "interests__categories__weights": random.random((1, LIST_LENGTH)).astype(np.float32),
        }
        assert exported(row) == pytest.approx(tower(row).numpy()[0], abs=1e-4)
