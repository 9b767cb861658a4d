"""Scores of oddness, beside slow references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.profiles.anomaly import Oddness, auc, errors, planted
from training.profiles.standard import Table

FEW = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12)


class Zero:
    """Reconstructs every row by zeros."""

    name = "zero"

    def vectors(self, table: Table) -> np.ndarray:
        return np.zeros((len(table), 1), np.float32)

    def reconstruction(self, vectors: np.ndarray) -> np.ndarray:
        return np.zeros((len(vectors), 3), np.float32)


def test_an_error_is_the_mean_over_what_is_known() -> None:
    values = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3]], np.float32)
    known = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0]], bool)
    assert errors(Zero(), Table(values, known)).tolist() == [14 / 3, 4.0, 0.0]


@settings(deadline=None)
@given(FEW, FEW)
def test_auc_is_the_share_of_pairs(odd: list[float], usual: list[float]) -> None:
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in odd for b in usual]
    assert auc(np.array(odd), np.array(usual)) == pytest.approx(np.mean(pairs))


@settings(deadline=None)
@given(st.integers(0, 99))
def test_a_percentile_is_the_share_that_is_less_odd(seed: int) -> None:
    random = np.random.default_rng(seed)
    training = random.exponential(size=4000)
    asked = random.exponential(size=50)
    found = Oddness.of(training).percentile(asked)
    for value, said in zip(asked, found, strict=True):
        assert said == pytest.approx(100 * np.mean(training < value), abs=0.2)


def test_ties_stand_in_their_middle_and_beyond_all_is_the_end() -> None:
    training = np.concatenate([np.zeros(500), np.arange(1, 501)])
    found = Oddness.of(training).percentile(np.array([-1.0, 0.0, 500.0, 9e9]))
    assert found == pytest.approx([0.0, 25.0, 100.0, 100.0], abs=0.2)


def test_planted_rows_are_made_of_what_is_there_and_of_two_people(
    tables: tuple[Table, Table, Table],
) -> None:
    test = tables[2]
    odd = planted(test, 3)
    changed = (odd.values != test.values) | (odd.known != test.known)
    assert (changed.sum(axis=1) <= 6).all()
    assert changed.any(axis=1).mean() > 0.99
    for column in range(12):
        assert set(odd.values[:, column]) <= set(test.values[:, column])
    assert ((odd.values == 0) | odd.known).all()
