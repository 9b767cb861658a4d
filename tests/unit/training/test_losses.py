"""Losses beside their formulas in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from training.losses import GBCE, Softmax

RANDOM = np.random.default_rng(1)
SCORES = RANDOM.standard_normal((5, 7)).astype(np.float32)
LABEL = np.array([0, 3, 3, 6, 1], np.int32)
EVEN = np.zeros(7, np.float32)
ALL = np.ones(7, bool)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def test_softmax_takes_off_how_likely_a_candidate_was() -> None:
    log_share = np.log(RANDOM.random(7)).astype(np.float32)
    wanted = -log_softmax(SCORES - log_share)[np.arange(5), LABEL]
    assert Softmax()(SCORES, LABEL, log_share=log_share, drawn=ALL).numpy() == pytest.approx(
        wanted, abs=1e-5
    )


def test_smoothing_spreads_the_target() -> None:
    target = np.full((5, 7), 0.2 / 7)
    target[np.arange(5), LABEL] += 0.8
    wanted = -(target * log_softmax(SCORES)).sum(axis=1)
    found = Softmax(0.2)(SCORES, LABEL, log_share=EVEN, drawn=ALL)
    assert found.numpy() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_is_its_formula(calibration: float) -> None:
    drawn = np.array([1, 0, 1, 1, 0, 0, 1], bool)
    items = 40
    share = drawn.sum() / items
    power = share * (calibration * (1 - 1 / share) + 1 / share)
    found = GBCE(items, calibration)(SCORES, LABEL, log_share=EVEN, drawn=drawn).numpy()
    chance = 1 / (1 + np.exp(-SCORES.astype(float)))
    for position in range(5):
        wanted = -power * np.log(chance[position, LABEL[position]])
        for candidate in np.flatnonzero(drawn):
            if candidate != LABEL[position]:
                wanted -= np.log(1 - chance[position, candidate])
        assert found[position] == pytest.approx(wanted, abs=1e-4)


def test_plain_binary_cross_entropy_has_no_power() -> None:
    found = GBCE(7, 0.0)(SCORES, LABEL, log_share=EVEN, drawn=ALL).numpy()
    signed = np.where(np.arange(7) == LABEL[:, None], -SCORES, SCORES)
    assert found == pytest.approx(np.log1p(np.exp(signed)).sum(axis=1), abs=1e-4)
