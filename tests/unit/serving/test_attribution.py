"""Shapley values beside the average over all orders; rows that tell a part of what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.encoding import Encoding, Vocabulary
from serving.attribution import Part, parts_of, shapley_values, telling

ASKED_AT = datetime(2026, 3, 1, tzinfo=UTC)
VOCABULARIES = {
    "item_id": Vocabulary("item_id", ["a", "b", "c"]),
    "type": Vocabulary("type", ["buy", "view"]),
    "category": Vocabulary("category", ["Drama", "War"]),
}
ENCODING = Encoding(
    "user",
    numbers=("v__clicks", "v__mean"),
    ages=("v__seen_at",),
    ids={"v__region": "type"},
    id_lists={"v__items": "item_id", "v__types": "type", "v__categories": "category"},
    weights={"v__categories": "v__shares"},
    left_out={},
    defaults={"v__clicks": 4.0},
    along={"v__types": "v__items"},
    vectors={"v__content": 2},
)
HISTORY = ENCODING.histories("item_id")
VALUES = {
    "v__clicks": 7,
    "v__seen_at": ASKED_AT - timedelta(days=3),
    "v__region": "buy",
    "v__items": ["c", "a", "new"],
    "v__types": ["buy", "view", "view"],
    "v__categories": ["War"],
    "v__shares": [0.5],
    "v__content": [1.0, 0.0],
}
ROW = ENCODING.encode_row(VALUES, ASKED_AT, VOCABULARIES)
NOTHING = ENCODING.encode_row({}, ASKED_AT, VOCABULARIES)


def game(seed: int, parts: int) -> dict[frozenset[int], float]:
    random = np.random.default_rng(seed)
    sets = (frozenset(n for n in range(parts) if bits >> n & 1) for bits in range(2**parts))
    return {one: float(random.normal()) for one in sets}


@given(seed=st.integers(0, 99), parts=st.integers(1, 5), orders=st.integers(1, 3))
def test_values_add_up_to_the_whole_difference(seed: int, parts: int, orders: int) -> None:
    worth = game(seed, parts)
    found, _ = shapley_values(worth.__getitem__, parts, orders, seed)
    whole = worth[frozenset(range(parts))] - worth[frozenset()]
    assert found.sum() == pytest.approx(whole, abs=1e-9)


def test_they_are_the_average_over_all_orders() -> None:
    worth = game(3, 4)
    wanted = np.zeros(4)
    for order in permutations(range(4)):
        for n, part in enumerate(order):
            gain = worth[frozenset(order[: n + 1])] - worth[frozenset(order[:n])]
            wanted[part] += gain / factorial(4)
    found, error = shapley_values(worth.__getitem__, 4, 4000, 1)
    assert np.all(np.abs(found - wanted) < 4 * error)
    assert np.all(error < 0.05)


def test_a_part_without_influence_has_none_and_no_parts_are_no_values() -> None:
    found, _ = shapley_values(lambda told: 2.0 * (0 in told), 3, 5, 1)
    assert found.tolist() == [2.0, 0.0, 0.0]
    assert shapley_values(lambda _: 1.0, 0, 5, 1)[0].shape == (0,)


def test_the_parts_are_what_is_there() -> None:
    assert parts_of(ENCODING, ROW, HISTORY) == [
        *(Part("v__items", place) for place in range(3)),
        *(Part("v__clicks"), Part("v__seen_at"), Part("v__region")),
        *(Part("v__categories"), Part("v__content")),
    ]
    assert parts_of(ENCODING, NOTHING, HISTORY) == []


@settings(deadline=None)  # the first call of Arrow is slow
@given(st.sets(st.sampled_from(parts_of(ENCODING, ROW, HISTORY))))
def test_a_row_that_tells_a_part_is_that_of_somebody_of_whom_no_more_is_known(
    told: set[Part],
) -> None:
    places = sorted(part.place for part in told if part.place is not None)
    columns = {part.column for part in told if part.place is None}
    values = {name: value for name, value in VALUES.items() if name in columns}
    if "v__categories" in columns:
        values["v__shares"] = VALUES["v__shares"]
    for name in ("v__items", "v__types"):
        values[name] = [VALUES[name][place] for place in places]
    wanted = ENCODING.encode_row(values, ASKED_AT, VOCABULARIES)
    found = telling(ENCODING, ROW, NOTHING, HISTORY, told)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    np.testing.assert_array_equal(
        NOTHING["numbers"], telling(ENCODING, ROW, NOTHING, HISTORY, ())["numbers"]
    )
