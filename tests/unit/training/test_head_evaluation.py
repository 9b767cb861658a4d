"""Metrics of heads beside slow and obvious ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.head_evaluation import (
    amount_metrics,
    auc,
    best_threshold,
    binary_metrics,
    category_metrics,
)

TOLD_AND_CAME = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.round(np.random.default_rng(seed).random(30), 1),
        (np.random.default_rng(seed + 1).random(30) < 0.4).astype(float),
    )
)


@settings(deadline=None)
@given(drawn=TOLD_AND_CAME)
def test_auc_is_how_often_a_yes_is_told_more_than_a_no(drawn) -> None:
    told, came = drawn
    pairs = [(yes > no) + 0.5 * (yes == no) for yes in told[came > 0] for no in told[came == 0]]
    if pairs:
        assert auc(told, came) == pytest.approx(np.mean(pairs))


@settings(deadline=None)
@given(drawn=TOLD_AND_CAME)
def test_no_threshold_is_better_than_the_best(drawn) -> None:
    told, came = drawn
    if not came.any():
        return
    best = binary_metrics(told, came, best_threshold(told, came))["f1"]
    tried = [binary_metrics(told, came, one)["f1"] for one in np.unique(told)]
    assert best == pytest.approx(max(tried))


def test_of_a_perfect_and_of_a_worthless_head() -> None:
    came = np.array([0.0, 1, 1, 0, 0])
    perfect = binary_metrics(came, came, 0.5)
    assert (perfect["auc"], perfect["f1"], perfect["brier"]) == (1, 1, 0)
    rate = binary_metrics(np.full(5, 0.4), came, 0.5)
    assert rate["auc"] == 0.5
    assert rate["log_loss"] == pytest.approx(rate["log_loss_of_the_rate"])
    assert rate["calibration_error"] == pytest.approx(0.4, abs=0.21)


def test_of_classes() -> None:
    told = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    found = category_metrics(told, np.array([0, 1, 1, 2]))
    assert found["accuracy"] == 0.75
    assert found["accuracy_of_the_most_frequent"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.7, 0.8, 0.3, 0.6])))


def test_of_amounts() -> None:
    came = np.array([0.0, 10, 0, 30, 5])
    assert amount_metrics(came, came)["gini"] == pytest.approx(1)
    assert amount_metrics(-came, came)["gini"] < 0
    assert amount_metrics(2 * came, came)["total_told_over_came"] == pytest.approx(2)
