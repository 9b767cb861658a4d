"""Rules held against everybody, as a plain reading of them would, one person at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from profilestore.encoding import Feature
from profilestore.errors import InputError
from serving.audiences import everybody
from serving.audiences.everybody import Everybody
from serving.audiences.matching import columns_of, matches
from serving.audiences.rules import Rule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RULE: TypeAdapter[Rule] = TypeAdapter(Rule)
FIFTHS = ("recency_score", "frequency_score", "spend_score")
FEATURES = [
    Feature("user_activity", "events_7d", "user", "number"),
    Feature("user_activity", "last_event_at", "user", "timestamp"),
    Feature("user_attributes", "region", "user", "text"),
    Feature("user_rhythm", "hours_90d", "user", "list_of_number"),
    *(
        Feature("user_interests", name, "user", kind)
        for name, kind in (
            ("categories", "list_of_text"),
            ("shares", "list_of_number"),
            ("event_counts", "list_of_number"),
        )
    ),
    *(Feature("user_value", name, "user", "number") for name in FIFTHS),
]
TYPES = {
    "number": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
    "list_of_number": pa.list_(pa.float64()),
    "list_of_text": pa.list_(pa.string()),
}
Person = Mapping[str, Any]


class Past:
    """An offline store that holds some people."""

    def __init__(self, people: list[Person]) -> None:
        self.rows = people
        self.read: list[set[str]] = []

    def features(self, service: str) -> list[Feature]:
        return FEATURES

    def people(self, service: str, at: datetime, columns: list[str], *, who=None) -> pa.Table:
        self.read.append(set(columns))
        kinds = {one.column: TYPES[one.kind] for one in FEATURES}
        named = {"user_id": pa.array([f"u{n}" for n in range(len(self.rows))], pa.string())}
        return pa.table(
            named | {c: pa.array([one.get(c) for one in self.rows], kinds[c]) for c in columns}
        )


class Deployed:
    def __init__(self, past: Past) -> None:
        self._past = past

    def past(self) -> Past:
        return self._past


def found(said: Any, people: list[Person]) -> list[bool]:
    rule = RULE.validate_json(json.dumps(said, default=str))
    past = Past(people)
    everyone = Everybody(Deployed(past), NOW, columns_of(rule, FEATURES))  # type: ignore[arg-type]
    return list(matches(rule, everyone, np.ones(len(people), bool)))


ANN: Person = {
    "user_activity__events_7d": 3.0,
    "user_activity__last_event_at": NOW,
    "user_attributes__region": "Berlin",
    "user_rhythm__hours_90d": [0.0, 2.0],
    "user_interests__categories": ["Drama", "War"],
    "user_interests__shares": [0.75, 0.25],
    "user_interests__event_counts": [3.0, 1.0],
    **{f"user_value__{name}": 5.0 for name in FIFTHS},
}
NOBODY: Person = {}


@pytest.mark.parametrize(
    ("said", "ann"),
    [
        ({"tag": "Drama"}, True),
        ({"tag": "drama"}, False),
        ({"tag": "War", "at_least": 0.25}, True),
        ({"tag": "War", "at_least": 0.2501}, False),
        ({"tag": "War", "kind": "categories"}, True),
        ({"segment": "champion"}, True),
        ({"segment": "asleep"}, False),
        ({"feature": "user_activity__events_7d", "at_least": 3}, True),
        ({"feature": "user_activity__events_7d", "at_most": 2.9}, False),
        ({"feature": "user_activity__events_7d", "equals": 3}, True),
        ({"feature": "user_activity__last_event_at", "after": NOW}, False),
        ({"feature": "user_activity__last_event_at", "before": NOW}, False),
        (
            {
                "feature": "user_activity__last_event_at",
                "after": NOW - timedelta(microseconds=1),
                "before": NOW + timedelta(microseconds=1),
            },
            True,
        ),
        ({"feature": "user_attributes__region", "equals": "Berlin"}, True),
        ({"feature": "user_rhythm__hours_90d", "equals": 2}, True),
        ({"feature": "user_rhythm__hours_90d", "equals": 3}, False),
        ({"feature": "user_interests__categories", "equals": "War"}, True),
    ],
    ids=str,
)
def test_each_rule_by_itself(said: Any, ann: bool) -> None:
    assert found(said, [ANN, NOBODY]) == [ann, False]
    assert found({"not": said}, [ANN, NOBODY]) == [not ann, True]
    assert found(said, []) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"feature": "user_activity__events", "at_least": 1}, "user_activity__events_7d"),
        ({"feature": "user_attributes__region", "at_least": 1}, "needed equals"),
        ({"feature": "user_attributes__region", "equals": 1}, "equals is 1"),
        ({"feature": "user_activity__events_7d", "equals": "many"}, "equals is 'many'"),
        ({"feature": "user_activity__events_7d", "after": NOW}, "found after"),
        ({"tag": "Drama", "kind": "brands"}, "needed one of: categories"),
        ({"segment": "champions"}, "needed one of: champion, loyal"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_said(said: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        found({"all": [{"not": said}]}, [ANN])


def test_only_what_a_rule_names_is_read() -> None:
    past = Past([ANN])
    rule = RULE.validate_python({"any": [{"tag": "a"}, {"segment": "new"}]})
    Everybody(Deployed(past), NOW, columns_of(rule, FEATURES))  # type: ignore[arg-type]
    assert past.read == [
        {"user_interests__categories", *(f"user_value__{name}" for name in FIFTHS)}
    ]


# --- a plain reading ------------------------------------------------------------------------------


def holds(said: Any, person: Person) -> bool:
    if "all" in said:
        return all(holds(one, person) for one in said["all"])
    if "any" in said:
        return any(holds(one, person) for one in said["any"])
    if "not" in said:
        return not holds(said["not"], person)
    if "tag" in said:
        tags = person.get("user_interests__categories") or []
        shares = person.get("user_interests__shares") or []
        return any(
            tag == said["tag"] and share >= said.get("at_least", -1)
            for tag, share in zip(tags, shares, strict=True)
        )
    if "score" in said:
        return said["at_least"] <= score_of(person)
    value = person.get(said["feature"])
    if value is None:
        return False
    if "equals" in said:
        return value == said["equals"]
    return said.get("at_least", value) <= value <= said.get("at_most", value)


def score_of(person: Person) -> float:
    return (person.get("user_activity__events_7d") or 0.0) / 10


numbers = st.integers(0, 5).map(float)
leaf = st.one_of(
    st.fixed_dictionaries(
        {"tag": st.sampled_from("abc")}, optional={"at_least": st.sampled_from([0.2, 0.5])}
    ),
    st.fixed_dictionaries(
        {"feature": st.just("user_activity__events_7d"), "at_least": numbers},
        optional={"at_most": numbers},
    ),
    st.fixed_dictionaries(
        {"feature": st.just("user_attributes__region"), "equals": st.sampled_from("xy")}
    ),
    st.fixed_dictionaries(
        {"score": st.just("returns_7d"), "at_least": st.sampled_from([0.1, 0.3])}
    ),
)
rules = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=6,
)


@st.composite
def persons(draw: Callable[..., Any]) -> Person:
    tags = draw(st.lists(st.sampled_from("abc"), unique=True))
    said: dict[str, Any] = {
        "user_interests__categories": tags,
        "user_interests__shares": [draw(st.sampled_from([0.1, 0.2, 0.5, 0.9])) for _ in tags],
        "user_activity__events_7d": draw(st.none() | numbers),
        "user_attributes__region": draw(st.none() | st.sampled_from("xy")),
    }
    return {name: value for name, value in said.items() if draw(st.integers(0, 9))} | (
        {}
        if draw(st.booleans())
        else {"user_interests__categories": [], "user_interests__shares": []}
    )


class Scored(Everybody):
    """Asks no model, and notes of whom it would have."""

    asked: list[int]

    def scores(self, name: str, among: np.ndarray) -> np.ndarray:
        self.asked.append(int(among.sum()))
        events = self.column("user_activity__events_7d").to_pylist()
        values = np.array([(one or 0.0) / 10 for one in events])
        return np.where(among, values, np.nan)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(rules, st.lists(persons(), max_size=8))
def test_any_rule_is_what_a_plain_reading_of_it_says(said: Any, people: list[Person]) -> None:
    people = [
        {**one, "user_interests__shares": one.get("user_interests__shares")}
        if "user_interests__categories" in one and "user_interests__shares" in one
        else {k: v for k, v in one.items() if not k.startswith("user_interests")}
        for one in people
    ]
    rule = RULE.validate_python(said)
    columns = columns_of(rule, FEATURES) | {"user_activity__events_7d"}
    everyone = Scored(Deployed(Past(people)), NOW, columns)  # type: ignore[arg-type]
    everyone.asked = []
    hit = matches(rule, everyone, np.ones(len(people), bool))
    assert list(hit) == [holds(said, one) for one in people]


def test_a_model_is_asked_of_those_alone_whom_the_rest_leaves() -> None:
    people = [{"user_activity__events_7d": float(n)} for n in range(10)]
    rule = RULE.validate_python(
        {
            "all": [
                {"score": "returns_7d", "at_least": 0.0},
                {"feature": "user_activity__events_7d", "at_least": 7},
                {
                    "any": [
                        {"score": "returns_7d", "at_least": 0.0},
                        {"feature": "user_activity__events_7d", "at_least": 8},
                    ]
                },
            ]
        }
    )
    everyone = Scored(Deployed(Past(people)), NOW, columns_of(rule, FEATURES))  # type: ignore[arg-type]
    everyone.asked = []
    assert matches(rule, everyone, np.ones(10, bool)).sum() == 3
    assert everyone.asked == [3, 1]


def test_too_many_to_ask_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everybody, "MOST_ASKED", 2)
    everyone = Everybody(Deployed(Past([ANN] * 3)), NOW, [])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="found 3 people"):
        everyone._not_yet(np.ones(3, bool), np.zeros(3, bool), "scores")
    assert list(everyone._not_yet(np.ones(3, bool), np.array([True, False, False]), "x")) == [1, 2]
