"""Scores of the heads: calibrated, with percentile and meaning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.profile import read_profile


@pytest.fixture
def scores(deploy, now):
    return read_profile(deploy(), "u-ann", now, fields="scores").scores.scores


def test_a_probability_with_its_place_and_meaning(scores) -> None:
    score = scores["returns_7d"]
    assert (score.kind, score.unit, score.head) == ("binary", "fraction", "returns_7d")
    assert score.value == pytest.approx(0.5)  # a logit of 0
    assert score.percentile == pytest.approx(80, abs=1)  # of 0.1 to 0.6
    assert "“Events of 7 days” (`user_activity__events_7d`)" in score.meaning
    assert "8 days from now" in score.meaning
    assert score.calibration.reached == {"auc": 0.75}


def test_churn_is_what_returns_leave(scores, bundle, deploy, now) -> None:
    bundle.query_tower.scores["head_returns_7d"] = np.array([-1.0], np.float32)
    found = read_profile(deploy(), "u-ann", now, fields="scores").scores.scores
    returns, churn = found["returns_7d"], found["churn_7d"]
    assert returns.value + churn.value == pytest.approx(1)
    assert churn.value == pytest.approx(1 / (1 + np.exp(-1)))
    assert returns.percentile + churn.percentile == pytest.approx(100)
    assert churn.head == "returns_7d"
    assert "not be above" in churn.meaning


def test_an_amount(scores) -> None:
    assert (scores["spend_30d"].kind, scores["spend_30d"].value) == ("amount", 10.0)
    assert scores["spend_30d"].percentile == pytest.approx(10, abs=1)


def test_the_most_likely_class(scores) -> None:
    score = scores["next_event_type"]
    assert score.category == "buy"
    assert score.value == pytest.approx(np.e / (1 + np.e))


def test_an_amount_that_is_none_is_null(deploy, bundle, now) -> None:
    bundle.query_tower.scores["head_spend_30d"] = np.array([np.nan], np.float32)
    score = read_profile(deploy(), "u-ann", now, fields="scores").scores.scores["spend_30d"]
    assert (score.value, score.percentile) == (None, None)


def test_scores_say_model_and_age(deploy, bundle, now, as_of) -> None:
    block = read_profile(deploy(), "u-ann", now, fields="scores").scores
    assert (block.state, block.as_of) == ("fresh", as_of)
    assert block.source.model == bundle.version


def test_the_model_is_asked_once_for_all_blocks(deploy, bundle, now) -> None:
    read_profile(deploy(), "u-ann", now)
    assert len(bundle.query_tower.inputs) == 1


def test_a_model_without_heads_foretells_nothing(deploy, bundle, now) -> None:
    deployment = deploy()
    deployment.bundle = lambda: replace(bundle, heads={})
    block = read_profile(deployment, "u-ann", now, fields="scores").scores
    assert (block.state, block.scores) == ("missing", {})
    assert "no heads" in block.reason


def test_without_a_model_there_are_none(deploy, now) -> None:
    block = read_profile(deploy("bundle"), "u-ann", now, fields="scores").scores
    assert (block.state, block.scores) == ("missing", {})
    assert "make train" in block.reason


def test_for_another_purpose_they_are_withheld(deploy, bundle, now) -> None:
    block = read_profile(deploy(), "u-ann", now, fields="scores", purpose="profile").scores
    assert (block.state, block.scores) == ("withheld", {})
    assert bundle.query_tower.inputs == []
