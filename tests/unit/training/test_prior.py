"""What numbers say of how often an item is turned to."""

from __future__ import annotations

import numpy as np
import pytest

from profilestore.encoding import LIST_LENGTH, Feature, Vocabulary, plan
from training.config import TrainConfig
from training.prior import popularity_weights
from training.towers import Moments, QueryTower, candidate_tower, embeddings

FEATURES = [
    Feature("user_history", "item_ids", "user", "list_of_text", tags={"vocabulary": "item_id"}),
    Feature("item_popularity", "events_7d", "item", "number"),
]


def drawn(spans: int, weights: np.ndarray, seed: int) -> tuple[list, list]:
    """Numbers of 60 items in each span, and how often each is turned to by 2,000 choices."""
    random = np.random.default_rng(seed)
    numbers = [random.normal(size=(60, len(weights))).astype(np.float32) for _ in range(spans)]
    counts = []
    for values in numbers:
        odds = np.exp(values @ weights)
        counts.append(random.multinomial(2000, odds / odds.sum()))
    return numbers, counts


def test_the_weights_that_made_the_choices_are_found() -> None:
    weights = np.array([1.3, -0.6, 0.0])
    found = popularity_weights(*drawn(12, weights, 1))
    assert found.dtype == np.float32
    assert found == pytest.approx(weights, abs=0.03)


def test_what_is_the_same_for_all_items_says_nothing() -> None:
    numbers, counts = drawn(6, np.array([0.8, 0.0]), 2)
    for n, values in enumerate(numbers):
        values[:, 1] = n
    assert popularity_weights(numbers, counts)[1] == pytest.approx(0.0, abs=1e-3)


def test_numbers_of_any_size_do_not_overflow() -> None:
    numbers, counts = drawn(3, np.array([0.5]), 3)
    found = popularity_weights([values * 1e4 for values in numbers], counts)
    assert found[0] * 1e4 == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("encoder", ["mean", "gru+gru"])
def test_scores_begin_with_what_the_numbers_say(encoder: str) -> None:
    """In every part of the vectors, for anybody."""
    config = TrainConfig(dimension=8, hidden=4, encoder=encoder, dropout=0.0)
    vocabularies = {"item_id": Vocabulary("item_id", ["a", "b", "c"])}
    shared = embeddings(config, vocabularies, {"item_id": np.zeros((5, 8), np.float32)})
    nothing = Moments(np.zeros(0), np.zeros(0))
    query = QueryTower(config, plan(FEATURES, "user"), shared, nothing, popularity=True)
    weights = np.array([0.7, -0.2], np.float32)
    moments = Moments(np.zeros(2), np.ones(2))
    candidate = candidate_tower(config, plan(FEATURES, "item"), shared, moments, weights)
    numbers = np.array([[2.0, 1.0], [-1.0, 1.0], [0.0, 0.0]], np.float32)
    items = candidate({"numbers": numbers, "item_id": np.array([2, 3, 1], np.int32)}).numpy()
    person = query({"user_history__item_ids": np.zeros((1, LIST_LENGTH), np.int32)}).numpy()
    for one, other in zip(
        np.split(person, config.parts, axis=1), np.split(items, config.parts, axis=1), strict=True
    ):
        assert (one @ other.T)[0] == pytest.approx(numbers @ weights, abs=1e-5)
