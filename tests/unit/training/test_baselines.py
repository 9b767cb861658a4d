"""Baselines and the start of the item embedding, beside slow references."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from profilestore.encoding import Vocabulary
from training.baselines import tuned
from training.baselines.als import ALS, als_model
from training.baselines.ease import EASE, ease_weights
from training.baselines.item_knn import ItemKNN
from training.baselines.popularity import Popularity
from training.baselines.tuned import tuned_baselines
from training.pretrain import co_occurrence, spectral_embedding
from training.ranking import rank_all

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


@pytest.mark.parametrize(
    ("hours", "name"),
    [(None, "all time"), (1, "last hour"), (24, "last day"), (24 * 30, "last 30 days")],
)
def test_popularity_counts_what_happened_before_the_row(hours: int | None, name: str) -> None:
    random = np.random.default_rng(1)
    until = 60 * DAY_US if hours != 1 else DAY_US
    log = Log(random.integers(0, 6, 300), np.sort(random.integers(0, until, 300)))
    scorer = Popularity(log, hours)  # type: ignore[arg-type]
    assert scorer.name == f"popularity, {name}"
    rows = np.arange(3, 300, 7)
    found = np.concatenate([scorer.scores(rows[:1]), scorer.scores(rows[1:20])])
    found = np.concatenate([found, scorer.scores(rows[20:])])
    for row, counts in zip(rows, found, strict=True):
        now = log.asked_at_us[row]
        start = -np.inf if hours is None else now - hours * DAY_US // 24
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


@pytest.fixture
def three_windows() -> Log:
    """Histories that hold an item that training never saw, and one item twice."""
    random = np.random.default_rng(8)
    log = Log(random.integers(0, 5, 200), np.sort(random.integers(0, 90, 200)))
    log.user = random.integers(0, 15, 200)
    log.query = {"history": random.integers(0, 7, (200, 5)).astype(np.int32)}
    log.vocabularies = {"item_id": Vocabulary("item_id", [str(n) for n in range(5)])}
    log.split = np.repeat([0, 1, 2], [150, 25, 25])
    return log


def turned_to(log: Log, row: int, newest: int) -> np.ndarray:
    ids = log.query["history"][row][:newest]
    return np.isin(np.arange(6), ids[ids >= 2] - 2).astype(float)


def people_by_items(log: Log) -> np.ndarray:
    """What the training window saw: 1 where a person turned to an item."""
    matrix = np.zeros((15, 6))
    matrix[log.user[:150], log.item[:150]] = 1.0
    return matrix


def test_each_weight_of_ease_is_of_a_ridge_regression_on_the_other_items(
    three_windows: Log,
) -> None:
    found = ease_weights(three_windows, 3.0)  # type: ignore[arg-type]
    assert found.items.tolist() == [0, 1, 2, 3, 4]
    matrix = people_by_items(three_windows)
    for item in found.items:
        others = [other for other in found.items if other != item]
        x, y = matrix[:, others], matrix[:, item]
        wanted = np.linalg.solve(x.T @ x + 3.0 * np.eye(len(others)), x.T @ y)
        assert found.matrix[others, item] == pytest.approx(wanted, abs=1e-5)
        assert found.matrix[item, item] == 0.0


def test_ease_adds_up_the_weights_of_the_newest_items(three_windows: Log) -> None:
    log, rows = three_windows, np.arange(150, 200)
    weights = ease_weights(log, 3.0)  # type: ignore[arg-type]
    whole = np.zeros((6, 6))
    whole[:5, :5] = weights.matrix
    popularity = Popularity(log, None).scores(rows)  # type: ignore[arg-type]
    found = EASE(log, weights, newest=3).scores(rows)  # type: ignore[arg-type]
    for place, row in enumerate(rows):
        wanted = turned_to(log, row, 3) @ whole + 1e-9 * popularity[place]
        assert found[place] == pytest.approx(wanted, abs=1e-6)


def test_als_solves_for_each_person_anew(three_windows: Log) -> None:
    log, rows = three_windows, np.arange(150, 200)
    model = als_model(log, confidence=5.0, penalty=0.5)  # type: ignore[arg-type]
    factors = model.item_factors.astype(float)
    popularity = Popularity(log, None).scores(rows)  # type: ignore[arg-type]
    found = ALS(log, model, newest=3).scores(rows)  # type: ignore[arg-type]
    for place, row in enumerate(rows):
        wants = turned_to(log, row, 3)
        weight = np.diag(np.where(wants > 0, 5.0, 1.0))
        left = factors.T @ weight @ factors + 0.5 * np.eye(factors.shape[1])
        person = np.linalg.solve(left, factors.T @ weight @ wants)
        assert found[place] == pytest.approx(factors @ person + 1e-9 * popularity[place], abs=1e-3)


def test_als_comes_near_what_it_minimises(three_windows: Log) -> None:
    model = als_model(three_windows, confidence=5.0, penalty=0.01)  # type: ignore[arg-type]
    # 64 factors for 6 items: nothing but the penalty is in the way.
    found = model.user_factors @ model.item_factors.T
    assert found == pytest.approx(people_by_items(three_windows), abs=0.05)
    again = als_model(three_windows, confidence=5.0, penalty=0.01)  # type: ignore[arg-type]
    assert (again.item_factors == model.item_factors).all()


@pytest.mark.parametrize("later", ["item", "user"])
def test_what_is_learned_ends_with_the_training_window(three_windows: Log, later: str) -> None:
    log = three_windows

    def learned() -> tuple[np.ndarray, np.ndarray]:
        return (
            ease_weights(log, 3.0).matrix,  # type: ignore[arg-type]
            als_model(log, confidence=1.0, penalty=0.1).item_factors,  # type: ignore[arg-type]
        )

    before = learned()
    getattr(log, later)[150:] = 2
    assert all((one == other).all() for one, other in zip(before, learned(), strict=True))


def test_a_catalogue_too_large_for_ease_leaves_it_out(
    three_windows: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, left_out = tuned_baselines(three_windows, None)  # type: ignore[arg-type]
    assert left_out == []
    assert [scorer.name.split(",")[0] for scorer in found][-3:] == ["item-kNN", "ALS", "EASE"]
    monkeypatch.setattr(tuned, "MOST_ITEMS", 4)
    found, left_out = tuned_baselines(three_windows, None)  # type: ignore[arg-type]
    assert [scorer.name.split(",")[0] for scorer in found][-2:] == ["item-kNN", "ALS"]
    assert "EASE: it needs a weight for each pair of the 5 items" in left_out[0]


def test_the_popularity_of_all_time_and_of_a_week_are_always_there(three_windows: Log) -> None:
    names = [scorer.name for scorer in tuned_baselines(three_windows, None)[0]]  # type: ignore[arg-type]
    assert names[:2] == ["popularity, all time", "popularity, last 7 days"]
    assert len(names) == len(set(names))


def test_the_setting_that_does_best_on_the_validation_window_is_taken(
    three_windows: Log,
) -> None:
    log = three_windows
    rows = np.flatnonzero(log.split == 1)
    (knn,) = (one for one in tuned_baselines(log, None)[0] if isinstance(one, ItemKNN))  # type: ignore[arg-type]
    reached = {
        scorer.name: rank_all(log, rows, scorer, None).metrics()["ndcg@10"]  # type: ignore[arg-type]
        for newest in (1, 3, 10, 50)
        for shrink in (0.0, 20.0)
        for scorer in [ItemKNN(log, newest=newest, shrink=shrink)]  # type: ignore[arg-type]
    }
    assert reached[knn.name] == max(reached.values())


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
