"""Baselines and the start of the item embedding, beside slow references."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from training.baselines import Popularity
from training.pretrain import co_occurrence, spectral_embedding

DAY_US = 86_400_000_000


@dataclass
class Log:
    item: np.ndarray
    asked_at_us: np.ndarray
    item_ids: list[str] = field(default_factory=lambda: [str(n) for n in range(6)])


@pytest.mark.parametrize("days", [None, 1, 30])
def test_popularity_counts_what_happened_before_the_row(days: int | None) -> None:
    random = np.random.default_rng(1)
    log = Log(random.integers(0, 6, 300), np.sort(random.integers(0, 60 * DAY_US, 300)))
    scorer = Popularity(log, days)  # type: ignore[arg-type]
    for row in range(0, 300, 7):
        now = log.asked_at_us[row]
        start = -np.inf if days is None else now - days * DAY_US
        known = (log.asked_at_us < now) & (log.asked_at_us >= start)
        wanted = np.bincount(log.item[known], minlength=6)
        assert scorer.scores(row).tolist() == wanted.tolist()


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
