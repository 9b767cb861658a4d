"""One number for each candidate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.items import Item
from serving.recommendations.candidates import Candidate
from serving.recommendations.policy import HeadTerm
from serving.recommendations.rank import probabilities, worth

RATE = "item_statistics__buy_rate_30d"
TERM = HeadTerm(head="returns_7d", feature=RATE, weight=0.5)


def items(candidates, rates=()) -> dict[str, Item]:
    values = dict(zip((one.item_id for one in candidates), rates, strict=False))
    return {
        one.item_id: Item(
            one.item_id,
            values={} if values.get(one.item_id) is None else {RATE: values[one.item_id]},
        )
        for one in candidates
    }


def candidate(item_id: str, score: float | None, *found_by: str) -> Candidate:
    return Candidate(item_id, found_by or ("collaborative",), score)  # type: ignore[arg-type]


def test_the_best_is_one_and_the_least_is_zero() -> None:
    candidates = [candidate("a", 3.0), candidate("b", -1.0), candidate("c", 1.0)]
    assert worth(candidates, items(candidates), {}).tolist() == [1.0, 0.0, 0.5]
    assert worth(candidates[:1], items(candidates), {}).tolist() == [1.0]
    assert worth([], {}, {}).tolist() == []


def test_popular_items_are_worth_the_logarithm_of_their_events() -> None:
    candidates = [candidate(n, e, "popular") for n, e in (("a", 7.0), ("b", 1.0), ("c", 0.0))]
    np.testing.assert_allclose(worth(candidates, items(candidates), {}), [1, 1 / 3, 0])


def test_a_new_item_is_as_good_as_what_content_finds_of_the_known_ones() -> None:
    candidates = [
        candidate("best", 10.0),
        candidate("least", 0.0),
        candidate("new", None, "content"),
        *(candidate(f"c{n}", s, "content") for n, s in enumerate((2.0, 4.0, 9.0))),
    ]
    assert worth(candidates, items(candidates), {})[2] == 0.4
    # Where content found none of the known ones: as good as the middle of all.
    assert worth(candidates[:3], items(candidates), {})[2] == 0.5
    assert worth(candidates[2:3], items(candidates), {}).tolist() == [1.0]


def test_a_head_raises_items_by_their_place_and_its_probability() -> None:
    candidates = [candidate(n, 1.0) for n in "abcde"]
    rates = [0.1, 0.9, None, 0.1, 0.4]
    found = worth(candidates, items(candidates, rates), {TERM: 0.8})
    # Two share the lowest place, which is then half of a step; nobody knows the third.
    places = [1 / 6, 1.0, 0.5, 1 / 6, 2 / 3]
    np.testing.assert_allclose(found, [1 + 0.5 * 0.8 * place for place in places])
    one = worth(candidates[:1], items(candidates[:1], [0.3]), {TERM: 1.0})
    assert one.tolist() == [1.25]


numbers = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(numbers, st.floats(0, 1))
def test_the_order_by_score_alone_is_kept_without_heads(scores, probability) -> None:
    candidates = [candidate(str(n), score) for n, score in enumerate(scores)]
    found = worth(candidates, items(candidates), {})
    assert ((found >= 0) & (found <= 1)).all()
    known = [
        (score, value) for score, value in zip(scores, found, strict=True) if score is not None
    ]
    for score, value in known:
        for other, against in known:
            if score > other:
                assert value >= against
    # A head whose feature nobody knows lifts all alike.
    lifted = worth(candidates, items(candidates), {TERM: probability})
    np.testing.assert_allclose(lifted - found, 0.25 * probability, atol=1e-9)


def test_heads_that_the_bundle_has_not_or_that_are_no_probability_raise_nothing(bundle) -> None:
    answer = bundle.query_tower.answer({})
    terms = [
        TERM,
        HeadTerm(head="buys_7d", feature=RATE, weight=1),
        HeadTerm(head="spend_30d", feature=RATE, weight=1),
    ]
    assert probabilities(bundle, answer, terms) == {TERM: pytest.approx(0.5)}
