"""Intervals by drawing people, beside a plain loop and what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from training import bootstrap
from training.bootstrap import interval_of_mean
from training.metrics import standard_error


def crowd(random: np.random.Generator, people: int, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows of people who differ, some with many rows and some with few."""
    person = np.repeat(np.arange(people), random.integers(1, 20, people))
    return mean + random.normal(size=people)[person] + random.normal(size=len(person)), person


def test_the_interval_is_that_of_a_loop_over_drawn_people(monkeypatch: pytest.MonkeyPatch) -> None:
    values, person = crowd(np.random.default_rng(1), 25, 0.0)
    monkeypatch.setattr(bootstrap, "_MOST_DRAWN", 700)  # in several parts
    low, high = interval_of_mean(values, person, draws=4000)
    random = np.random.default_rng(2)
    rows_of = [np.flatnonzero(person == one) for one in range(25)]
    means = [
        values[np.concatenate([rows_of[one] for one in random.integers(0, 25, 25)])].mean()
        for _ in range(4000)
    ]
    wanted = np.quantile(means, (0.025, 0.975))
    assert (low, high) == pytest.approx(wanted, abs=0.05 * (wanted[1] - wanted[0]))


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    held = 0
    for seed in range(300):
        values, person = crowd(random, 60, 0.4)
        low, high = interval_of_mean(values, person, draws=400, seed=seed)
        held += low <= 0.4 <= high
    # Of rows drawn instead of people it would be about half of the times.
    assert 0.89 <= held / 300 <= 0.99


def test_it_is_as_wide_as_the_standard_error_says() -> None:
    values, person = crowd(np.random.default_rng(4), 200, 0.0)
    low, high = interval_of_mean(values, person)
    assert (high - low) / 2 == pytest.approx(1.96 * standard_error(values, person), rel=0.1)


def test_the_same_seed_gives_the_same_interval() -> None:
    values, person = crowd(np.random.default_rng(5), 30, 0.0)
    assert interval_of_mean(values, person, draws=50) == interval_of_mean(values, person, draws=50)
