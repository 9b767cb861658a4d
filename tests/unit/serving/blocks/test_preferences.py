"""Preferences: lists of each kind, with evidence, source and age."""

from __future__ import annotations

import pytest

from serving.profile import read_profile


@pytest.fixture
def preferences(deploy, now):
    return read_profile(deploy(), "u-ann", now, fields="preferences").preferences


def test_items_turned_to_most_then_latest(deploy, store, now, as_of) -> None:
    record = store.rows["u-ann", "user_history"]
    times = record.values["event_at_us"]
    store.put(
        "u-ann",
        "user_history",
        {
            "item_ids": ["i1", "i2", "i3", "i2"],
            "event_at_us": [times[0], times[0] - 1, times[0] - 2, times[0] - 3],
        },
    )
    found = read_profile(deploy(), "u-ann", now, fields="preferences").preferences.items
    assert [(one.item_id, one.event_count) for one in found.values] == [
        ("i2", 2),
        ("i1", 1),
        ("i3", 1),
    ]
    assert found.values[1].last_seen_at == as_of
    assert found.values[0].title == "Film 2"
    assert found.source.view == "user_history"


def test_names_that_are_surely_preferred_come_first(preferences) -> None:
    assert [one.name for one in preferences.brands.values] == ["Zeta", "Acme"]
    first = preferences.categories.values[0]
    assert (first.name, first.share, first.lift, first.event_count) == ("Drama", 0.75, 2.5, 6)


def test_a_price_band_with_its_orders(preferences) -> None:
    band = preferences.price_band
    assert (band.low, band.median, band.high, band.unit) == (10.0, 20.0, 35.0, "money")
    assert (band.event_count, band.source.view) == (7, "user_value")


def test_hours_with_most_events(preferences) -> None:
    assert [(one.hour, one.share, one.event_count) for one in preferences.hours.values] == [
        (23, 0.5, 4),
        (9, 0.375, 3),
        (8, 0.125, 1),
    ]


def test_each_part_says_what_it_lacks_and_the_whole_is_as_fresh_as_its_best(
    deploy, store, now
) -> None:
    store.put("u-ann", "user_interests", None, state="stale")
    store.put("u-ann", "user_value", {"orders_365d": 0})
    store.put("u-ann", "user_rhythm", {"hours_90d": [0] * 24})
    found = read_profile(deploy(), "u-ann", now, fields="preferences").preferences
    assert (found.state, found.reason) == ("fresh", None)
    assert (found.categories.state, found.categories.values) == ("stale", [])
    assert (found.price_band.state, found.price_band.median) == ("missing", None)
    assert "No order" in found.price_band.reason
    assert (found.hours.state, found.hours.values) == ("missing", [])


def test_without_any_view_all_is_missing(deploy, now) -> None:
    found = read_profile(deploy(), "u-bob", now, fields="preferences").preferences
    assert (found.state, found.as_of) == ("missing", None)
    assert "each says why" in found.reason


def test_a_view_that_is_not_for_the_purpose_is_withheld_alone(deploy, now) -> None:
    found = read_profile(
        deploy(), "u-ann", now, fields="preferences", purpose="recommendation"
    ).preferences
    assert (found.state, found.categories.state) == ("fresh", "fresh")
    assert (found.brands.state, found.brands.values) == ("withheld", [])
    assert (found.price_band.state, found.price_band.median) == ("withheld", None)
