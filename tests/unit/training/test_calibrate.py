"""Calibration: what is told comes true as often as it is told."""

from __future__ import annotations

import json

import numpy as np
import pytest

from profilestore.calibration import Calibration
from training.calibrate import calibrated
from training.head_evaluation import calibration_error

RANDOM = np.random.default_rng(3)


def test_a_head_that_is_too_sure_is_told_so() -> None:
    logit = RANDOM.normal(0, 1.5, 40_000)
    came = (RANDOM.random(40_000) < 1 / (1 + np.exp(-(logit - 1)))).astype("f")
    said = (3 * logit + 2)[:, None].astype("f")
    found = calibrated("binary", said, came)
    assert found.slope == pytest.approx(1 / 3, abs=0.02)
    assert found.offset == pytest.approx(-1 - 2 / 3, abs=0.08)
    before = 1 / (1 + np.exp(-said[:, 0].astype(float)))
    assert calibration_error(before, came) > 0.1
    assert calibration_error(found(said), came) < 0.01


def test_a_temperature_keeps_the_order_of_classes() -> None:
    logits = RANDOM.normal(0, 1, (30_000, 4))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    came = (RANDOM.random((30_000, 1)) > chance.cumsum(axis=1)).sum(axis=1).astype("f")
    said = (5 * logits).astype("f")
    found = calibrated("category", said, came)
    assert found.slope == pytest.approx(0.2, abs=0.01)
    assert (found(said).argmax(axis=1) == said.argmax(axis=1)).all()
    assert found(said).sum(axis=1) == pytest.approx(np.ones(30_000))


def test_amounts_add_up_to_what_came() -> None:
    came = RANDOM.lognormal(1, 1, 500).astype("f") * (RANDOM.random(500) < 0.3)
    said = (came * 0.5 + 1)[:, None].astype("f")
    assert calibrated("amount", said, came)(said).sum() == pytest.approx(came.sum(), rel=1e-5)


def test_a_percentile_is_the_share_that_was_told_less() -> None:
    logit = RANDOM.normal(0, 1, (5_000, 1)).astype("f")
    came = (RANDOM.random(5_000) < 0.5).astype("f")
    found = calibrated("binary", logit, came)
    told = found(logit)
    for one in told[:50]:
        wanted = 100 * np.mean(told < one)
        assert found.percentile(float(one)) == pytest.approx(wanted, abs=1.0)
    assert 0 <= found.percentile(-1.0) < 1
    assert 99 < found.percentile(2.0) <= 100


def test_it_is_the_same_from_a_file() -> None:
    made = Calibration("binary", 0.5, -1.0, tuple(np.linspace(0, 1, 101).tolist()))
    assert Calibration.from_json(json.loads(json.dumps(made.to_json()))) == made
