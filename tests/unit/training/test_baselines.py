"""Baselines and the start of the item embedding, beside slow references."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from profilestore.encoding import Vocabulary
from training.baselines import ItemKNN, Popularity
from training.pretrain import co_occurrence, spectral_embedding

DAY_US = 86_400_000_000


@dataclass
class Log:
    item: np.ndarray
    asked_at_us: np.ndarray
    item_ids: list[str] = field(default_factory=lambda: [str(n) for n in range(6)])
    user: np.ndarray = field(default_factory=lambda: np.zeros(0))
    query: dict[str, np.ndarray] = field(default_factory=dict)
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    split: np.ndarray = field(default_factory=lambda: np.zeros(0))
    history_column = "history"

    def rows(self, split: int) -> np.ndarray:
        return np.flatnonzero(self.split == split)


@pytest.mark.parametrize("days", [None, 1, 30])
def test_popularity_counts_what_happened_before_the_row(days: int | None) -> None:
    random = np.random.default_rng(1)
    log = Log(random.integers(0, 6, 300), np.sort(random.integers(0, 60 * DAY_US, 300)))
    scorer = Popularity(log, days)  # type: ignore[arg-type]
    rows = np.arange(3, 300, 7)
    found = np.concatenate([scorer.scores(rows[:1]), scorer.scores(rows[1:20])])
    found = np.concatenate([found, scorer.scores(rows[20:])])
    for row, counts in zip(rows, found, strict=True):
        now = log.asked_at_us[row]
        start = -np.inf if days is None else now - days * DAY_US
        known = (log.asked_at_us < now) & (log.asked_at_us >= start)
        assert counts.tolist() == np.bincount(log.item[known], minlength=6).tolist()


def test_item_knn_sums_similarities_to_the_newest_items() -> None:
    random = np.random.default_rng(8)
    log = Log(random.integers(0, 6, 200), np.sort(random.integers(0, 90, 200)))
    log.user = random.integers(0, 15, 200)
    # Ids are the places in the catalogue plus two; 1 is an item that training never saw.
    log.query = {"history": random.integers(0, 8, (200, 5)).astype(np.int32)}
    log.vocabularies = {"item_id": Vocabulary("item_id", [str(n) for n in range(6)])}
    log.split = np.repeat([0, 1, 2], [150, 25, 25])
    scorer = ItemKNN(log, newest=3, shrink=2.0)  # type: ignore[arg-type]
    similarity = co_occurrence(log.user[:150], log.item[:150], 6, 2.0).toarray()
    rows = np.arange(150, 200)
    popularity = Popularity(log, None).scores(rows)  # type: ignore[arg-type]
    for place, (row, found) in enumerate(zip(rows, scorer.scores(rows), strict=True)):
        newest = [id_ - 2 for id_ in log.query["history"][row][:3] if id_ >= 2]
        wanted = sum((similarity[item] for item in newest), np.zeros(6))
        assert found == pytest.approx(wanted + 1e-9 * popularity[place], abs=1e-6)


def test_co_occurrence_is_the_shrunk_cosine() -> None:
    random = np.random.default_rng(2)
    user, item = random.integers(0, 9, 80), random.integers(0, 7, 80)
    found = co_occurrence(user, item, 8, 5.0).toarray()
    people = [set(user[item == n]) for n in range(8)]
    for one in range(8):
        for other in range(8):
            both = len(people[one] & people[other])
            norm = np.sqrt(len(people[one]) * len(people[other])) + 5.0
            wanted = 0.0 if one == other else both / norm
            assert found[one, other] == pytest.approx(wanted, abs=1e-6)


def test_without_shrinkage_an_unseen_item_is_no_trouble() -> None:
    found = co_occurrence(np.array([0, 0]), np.array([0, 1]), 4, 0.0).toarray()
    assert np.isfinite(found).all()
    assert found[0, 1] == pytest.approx(1.0)


def test_dot_products_come_near_the_similarity() -> None:
    random = np.random.default_rng(3)
    similarity = co_occurrence(random.integers(0, 30, 400), random.integers(0, 20, 400), 20, 1.0)
    vectors = spectral_embedding(similarity, 18, 4.0, seed=1)
    values = np.linalg.eigvalsh(similarity.toarray())
    # The best positive semi-definite approximation misses what the negative eigenvalues hold.
    missed = np.linalg.norm(np.minimum(values, 0.0)) * 4.0
    error = np.linalg.norm(vectors @ vectors.T - 4.0 * similarity.toarray())
    assert error == pytest.approx(missed, rel=1e-3)


def test_fewer_items_than_dimensions_leave_zeros() -> None:
    similarity = co_occurrence(np.arange(10) % 4, np.arange(10) % 6, 6, 1.0)
    vectors = spectral_embedding(similarity, 16, 1.0, seed=1)
    assert vectors.shape == (6, 16)
    assert not vectors[:, 4:].any()
