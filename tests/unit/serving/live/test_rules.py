"""Rules of live columns against what they mean, said slowly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from serving.live.event import Told
from serving.live.rules import ViewRules, view_rules

KEPT = 4
COLUMNS = {
    "events": "count",
    "first_at": "first",
    "last_at": "last",
    "visits": "visits 1 last_at",
    "item_ids": f"newest {KEPT} item_id",
    "event_types": f"newest {KEPT} event_type",
    "event_at_us": f"newest {KEPT} happened",
}


def rules_of(columns: dict[str, str]) -> ViewRules:
    features = [
        Feature("some_view", name, "user", "number", "", {"live": rule})
        for name, rule in columns.items()
    ]
    return view_rules([*features, Feature("some_view", "other", "user", "number")])["some_view"]


def told(number: int, happened: int, item_id: str | None) -> Told:
    kind = "login" if item_id is None else "view"
    # They are told in the order of their numbers, whenever they happened.
    return Told(f"e{number}", "u-1", kind, item_id, happened, 10**9 + number)


EVENTS = st.lists(
    st.tuples(st.integers(0, 10**8), st.sampled_from(["a", "b", None])),
    unique_by=lambda one: one[0],
    max_size=12,
).map(lambda some: [told(n, *one) for n, one in enumerate(some)])


def slowly(events: list[Told]) -> dict[str, Any]:
    about_items = sorted(
        (one for one in events if one.item_id is not None), key=lambda one: one.happened
    )
    newest = about_items[::-1][:KEPT]
    seconds = [one.happened // 10**6 for one in events]
    return {
        "visits": sum(n == 0 or second - max(seconds[:n]) > 60 for n, second in enumerate(seconds)),
        "events": len(events),
        "first_at": min((one.happened // 10**6 for one in events), default=None),
        "last_at": max((one.happened // 10**6 for one in events), default=None),
        "item_ids": [one.item_id for one in newest],
        "event_types": [one.event_type for one in newest],
        "event_at_us": [one.happened for one in newest],
    }


@given(EVENTS, st.integers(0, 12))
def test_what_came_is_as_if_it_had_always_been_there(events: list[Told], known: int) -> None:
    rules = rules_of(COLUMNS)
    before = {**slowly(events[:known]), "other": 7}
    after = rules.applied(before, events[known:])
    assert after == {**slowly(events), "other": 7}


def test_of_one_instant_the_later_id_is_the_newer() -> None:
    after = rules_of(COLUMNS).applied({}, [told(2, 5, "b"), told(1, 5, "a")])
    assert after["item_ids"] == ["b", "a"]


def test_a_view_without_the_tag_has_no_rules() -> None:
    assert view_rules([Feature("some_view", "events", "user", "number")]) == {}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"x": "total"}, "the rule 'total'"),
        ({"x": "newest 5"}, "the rule 'newest 5'"),
        ({"x": "newest five item_id"}, "the rule 'newest five item_id'"),
        ({"x": "newest 5 colour"}, "the rule 'newest 5 colour'"),
        ({"x": "visits 30"}, "the rule 'visits 30'"),
        ({"x": "visits 30 y", "y": "first"}, "the rule 'visits 30 y'"),
        ({"x": "newest 5 item_id"}, "one of them the field `happened`"),
        ({"x": "newest 5 item_id", "y": "newest 6 happened"}, "found 5, 6"),
    ],
)
def test_other_rules_are_refused_by_name(columns: dict[str, str], said: str) -> None:
    with pytest.raises(ProfilestoreError, match="mart some_view") as error:
        rules_of(columns)
    assert said in str(error.value)
