"""Segments: by rule, by nearest centre, and how odd."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from serving.blocks.segments import _CLASSES
from serving.profile import read_profile


def segments_of(deployment, now, user_id="u-ann", **asked):
    return read_profile(deployment, user_id, now, fields="segments", **asked).segments


@pytest.mark.parametrize(
    ("recency", "frequency", "spend", "name"),
    [
        (5, 4, 4, "champion"),
        (3, 5, 1, "loyal"),
        (3, 1, 5, "big spender"),
        (5, 1, 1, "new"),
        (4, 3, 3, "promising"),
        (1, 5, 1, "at risk"),
        (2, 1, 4, "at risk"),
        (1, 1, 1, "asleep"),
        (3, 3, 3, "regular"),
    ],
)
def test_the_class_of_purchases_with_its_rule(
    deploy, store, now, recency, frequency, spend, name
) -> None:
    scores = {"recency_score": recency, "frequency_score": frequency, "spend_score": spend}
    store.put("u-ann", "user_value", scores)
    rfm = segments_of(deploy(), now).rfm
    assert (rfm.name, rfm.state, rfm.source.view) == (name, "fresh", "user_value")
    assert rfm.rule == next(one.rule for one in _CLASSES if one.name == name)
    assert rfm.model_dump(include=set(scores)) == scores


def test_every_class_is_somebodys() -> None:
    found = {
        next(one.name for one in _CLASSES if one.holds(*fifths))
        for fifths in product(range(1, 6), repeat=3)
    }
    assert found == {one.name for one in _CLASSES}


def test_without_a_purchase_there_is_no_class(deploy, store, now) -> None:
    store.put("u-ann", "user_value", {"orders_365d": 0})
    rfm = segments_of(deploy(), now).rfm
    assert (rfm.state, rfm.name, rfm.reason) == ("missing", None, "No purchase is known.")


def test_the_nearest_centre_in_words(deploy, store, now, as_of, segmentation) -> None:
    found = segments_of(deploy(), now).behaviour
    assert (found.name, found.share, found.as_of) == ("busy", 0.25, as_of)  # log(1 + 3) = 1.39
    assert found.source.model == segmentation.version
    assert found.centre[0].text == (
        "Events of 7 days: 1.2 standard deviations above everybody's mean"
    )
    store.put("u-ann", "user_activity", {"events_7d": 1})
    assert segments_of(deploy(), now).behaviour.name == "quiet"


def test_words_leave_out_what_stands_for_a_missing_value(deploy, store, now) -> None:
    store.services["behaviour_v1"] = [
        replace(feature, description="Events of 7 days; null without any.")
        for feature in store.services["behaviour_v1"]
    ]
    (difference,) = segments_of(deploy(), now).behaviour.centre
    assert difference.text.startswith("Events of 7 days: 1.2")


def test_how_odd_somebody_is(deploy, now) -> None:
    oddness = segments_of(deploy(), now).oddness
    assert oddness.percentile == pytest.approx(100 * np.log1p(3) / 2, abs=1)


def test_never_made_is_missing_with_what_makes_it(deploy, now) -> None:
    found = segments_of(deploy("segments"), now)
    assert (found.state, found.rfm.state) == ("fresh", "fresh")
    assert (found.behaviour.state, found.oddness.state) == ("missing", "missing")
    assert "python -m training profiles" in found.behaviour.reason


def test_of_features_that_are_gone_they_are_missing(deploy, store, now) -> None:
    store.services["behaviour_v1"] = store.services["behaviour_v1"][1:]
    assert "does not have" in segments_of(deploy(), now).behaviour.reason


def test_a_value_that_cannot_be_read_costs_them_alone(deploy, store, now) -> None:
    store.put("u-ann", "user_activity", {"events_7d": "three"})
    found = segments_of(deploy(), now)
    assert "cannot read" in found.behaviour.reason
    assert found.rfm.state == "fresh"


def test_for_another_purpose_they_are_withheld(deploy, store, now) -> None:
    found = segments_of(deploy(), now, purpose="recommendation")
    assert (found.state, found.rfm.state, found.oddness.state) == ("withheld",) * 3
    assert (found.rfm.name, found.behaviour.name, found.oddness.percentile) == (None,) * 3
    assert "behaviour_v1" not in {service for service, _ in store.asked}
