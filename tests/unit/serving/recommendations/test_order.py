"""A list that is good as a whole, held against a slow and plain one."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.recommendations.order import Listed, freshness, order
from serving.recommendations.policy import Order

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BARE = {"diversity": 0.0, "content_share": 0.0}


def listed(worth, vectors=None, categories=None, since=None, by_content=None) -> Listed:
    n = len(worth)
    return Listed(
        worth=np.array(worth, float),
        vectors=np.array(vectors if vectors is not None else np.zeros((n, 2)), np.float32),
        categories=categories or [()] * n,
        since=since or [None] * n,
        by_content=np.array(by_content or [False] * n, bool),
    )


def test_without_anything_else_worth_orders_and_equals_keep_their_place() -> None:
    found = order(listed([0.2, 0.9, 0.2, 1.0]), Order(**BARE), 10, NOW)
    assert found == [3, 1, 0, 2]
    assert order(listed([]), Order(), 10, NOW) == []


def test_what_is_like_the_first_waits() -> None:
    alike = listed([1.0, 0.99, 0.9], [[1, 0], [2, 0.01], [0, 5]])
    assert order(alike, Order(**BARE), 3, NOW) == [0, 1, 2]
    assert order(alike, Order(**{**BARE, "diversity": 0.2}), 3, NOW) == [0, 2, 1]


def test_a_category_has_no_more_than_its_places_while_others_are_there() -> None:
    categories = [("Drama",), ("Drama", "War"), ("Drama",), ("Comedy",), ("War",)]
    capped = Order(**BARE, most_of_a_category=2)
    found = order(listed([5, 4, 3, 2, 1], categories=categories), capped, 5, NOW)
    # The third drama stands last: nothing else is left, and the list is rather full than pure.
    assert found == [0, 1, 3, 4, 2]


def test_fresh_items_come_forward() -> None:
    since = [NOW - timedelta(days=60), NOW, None]
    fresh = Order(**BARE, freshness=0.5)
    assert order(listed([0.6, 0.2, 0.65], since=since), fresh, 3, NOW) == [0, 1, 2]
    assert order(listed([0.5, 0.2, 0.65], since=since), fresh, 3, NOW) == [1, 2, 0]
    ahead = NOW + timedelta(days=9)
    np.testing.assert_allclose(freshness([*since, ahead], 30.0, NOW), [0.25, 1.0, 0.0, 1.0])


def test_content_has_its_share_of_the_places() -> None:
    worth = [1 - n / 100 for n in range(40)]
    by_content = [n >= 30 for n in range(40)]
    found = order(
        listed(worth, by_content=by_content), Order(diversity=0, content_share=0.25), 12, NOW
    )
    assert [place for place, row in enumerate(found, start=1) if row >= 30] == [4, 8, 12]
    # What comes forward on its own is counted.
    own = [n in (0, 30) for n in range(40)]
    found = order(listed(worth, by_content=own), Order(diversity=0, content_share=0.1), 10, NOW)
    assert found == list(range(10))


def plain(given: Listed, policy: Order, k: int, now: datetime) -> list[int]:
    """The same, one place and one item at a time."""

    def cosine(a, b) -> float:
        lengths = math.hypot(*a) * math.hypot(*b)
        return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0

    def value(row: int) -> float:
        since = given.since[row]
        fresh = 0.0
        if since is not None:
            age = max((now - since) / timedelta(days=1), 0.0)
            fresh = 0.5 ** (age / policy.freshness_half_life_days)
        vectors = given.vectors.astype(float).tolist()
        like = max((cosine(vectors[row], vectors[one]) for one in chosen), default=0.0)
        worth = given.worth[row] + policy.freshness * fresh
        return (1 - policy.diversity) * worth - policy.diversity * like

    def fits(row: int) -> bool:
        if policy.most_of_a_category is None:
            return True
        most = policy.most_of_a_category * (1 + len(chosen) // 10)
        counts = Counter(c for one in chosen for c in set(given.categories[one]))
        return all(counts[category] < most for category in given.categories[row])

    chosen: list[int] = []
    while len(chosen) < k:
        left = [row for row in range(len(given.worth)) if row not in chosen]
        if not left:
            break
        pool = [row for row in left if fits(row)] or left
        had = sum(bool(given.by_content[row]) for row in chosen)
        if had < int((len(chosen) + 1) * policy.content_share):
            pool = [row for row in pool if given.by_content[row]] or pool
        values = {row: round(value(row), 9) for row in pool}
        chosen.append(max(pool, key=lambda row: (values[row], -row)))
    return chosen


@st.composite
def cases(draw) -> tuple[Listed, Order, int]:
    n = draw(st.integers(0, 25))
    grid = st.integers(-4, 4).map(float)
    return (
        listed(
            draw(st.lists(st.integers(0, 1000).map(lambda x: x / 997), min_size=n, max_size=n)),
            np.array(
                draw(st.lists(st.tuples(grid, grid, grid), min_size=n, max_size=n)), np.float32
            ).reshape(n, 3),
            draw(
                st.lists(
                    st.lists(st.sampled_from("abc"), max_size=2).map(tuple), min_size=n, max_size=n
                )
            ),
            draw(
                st.lists(
                    st.none() | st.integers(-2, 90).map(lambda d: NOW - timedelta(days=d)),
                    min_size=n,
                    max_size=n,
                )
            ),
            draw(st.lists(st.booleans(), min_size=n, max_size=n)),
        ),
        Order(
            diversity=draw(st.sampled_from([0.0, 0.13, 0.5, 1.0])),
            freshness=draw(st.sampled_from([0.0, 0.31])),
            freshness_half_life_days=draw(st.sampled_from([1.0, 30.0])),
            most_of_a_category=draw(st.none() | st.integers(1, 4)),
            content_share=draw(st.sampled_from([0.0, 0.1, 0.4, 1.0])),
        ),
        draw(st.integers(0, 30)),
    )


@settings(deadline=None, max_examples=300)
@given(cases())
def test_it_is_what_choosing_one_by_one_gives(case: tuple[Listed, Order, int]) -> None:
    given_, policy, k = case
    found = order(given_, policy, k, NOW)
    wanted = plain(given_, policy, k, NOW)
    if found != wanted:
        # Two that are worth the same to nine digits may change places.
        first = next(n for n, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b)
        assert value_of(given_, policy, wanted[:first], found[first]) == pytest.approx(
            value_of(given_, policy, wanted[:first], wanted[first]), abs=1e-8
        )
    assert len(found) == len(set(found)) == min(k, len(given_.worth))


def value_of(given_: Listed, policy: Order, chosen: list[int], row: int) -> float:
    vectors = given_.vectors.astype(float)
    lengths = np.linalg.norm(vectors, axis=1)
    likes = [
        float(vectors[row] @ vectors[one] / (lengths[row] * lengths[one]))
        if lengths[row] * lengths[one]
        else 0.0
        for one in chosen
    ]
    (fresh,) = freshness([given_.since[row]], policy.freshness_half_life_days, NOW)
    worth = given_.worth[row] + policy.freshness * fresh
    return float((1 - policy.diversity) * worth - policy.diversity * max(likes, default=0.0))
