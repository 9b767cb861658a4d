"""Candidates: by the towers, by content, by popularity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from profilestore.item_index import ItemIndex
from serving.popularity import Ranking
from serving.recommendations.candidates import Candidate, merged
from serving.recommendations.retrieve import (
    best,
    by_content,
    by_popularity,
    by_towers,
    inner_products,
)

scores = arrays.arrays(
    np.float32,
    st.integers(0, 40),
    elements=st.one_of(st.sampled_from([0.0, 1.0, np.nan, np.inf]), st.floats(-5, 5, width=32)),
)
QUERY = np.array([1, 0.5], np.float32)


@given(scores, st.integers(0, 50), st.sets(st.integers(0, 45)))
def test_best_is_the_full_sort_cut_at_k(values: np.ndarray, k: int, excluded: set[int]) -> None:
    ids = [str(row) for row in range(len(values))]
    without = {str(row) for row in excluded}
    candidates = [
        row for row in range(len(values)) if np.isfinite(values[row]) and ids[row] not in without
    ]
    expected = sorted(candidates, key=lambda row: (-values[row], row))[:k]
    found = best(ids, values, k, without)
    assert [one.item_id for one in found] == [ids[row] for row in expected]
    assert [one.score for one in found] == [float(values[row]) for row in expected]


def test_one_inner_product_for_each_item(bundle) -> None:
    three = replace(
        bundle, item_ids=list("abc"), item_vectors=np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    )
    ids, found = inner_products(three, QUERY, 1)
    assert list(ids) == ["a", "b", "c"]
    np.testing.assert_array_equal(found, np.array([2, 5, 8], np.float32))


def test_an_index_gives_what_comparing_all_does(bundle) -> None:
    """Also where what is not wanted would have come first."""
    index = ItemIndex.of(bundle.item_vectors, by_angle=True, breadth=128)
    indexed = replace(bundle, item_index=index)
    ids, found = inner_products(indexed, QUERY, 4)
    assert list(ids) == ["i27", "i28", "i29", "i30"]
    assert found.tolist() == [27, 28, 29, 30]
    without = {"i28", "i30", "i29"}
    assert by_towers(indexed, QUERY, 5, without) == by_towers(bundle, QUERY, 5, without)
    assert len(by_towers(indexed, QUERY, 5, without)) == 5


def test_where_an_index_finds_too_few_all_are_compared(bundle) -> None:
    class Torn:
        def nearest(self, query: np.ndarray, count: int) -> np.ndarray:
            return np.arange(count - 1)

    ids, found = inner_products(replace(bundle, item_index=Torn()), np.array([1, 0], np.float32), 4)
    assert list(ids) == bundle.item_ids
    assert found.tolist() == bundle.item_vectors[:, 0].tolist()


def test_content_finds_what_the_model_knows_and_what_it_does_not(bundle, texts) -> None:
    records = texts.online("retrieval_v1", "user", ["u-ann"])[0]
    found = by_content(bundle, QUERY, texts, records, 20)
    assert found == [
        Candidate("i3", ("content",), 3.0),
        Candidate("i-new", ("content",), None),
        Candidate("i9", ("content",), 9.0),
    ]
    assert texts.searched == [("item", [0.0, 2.0], 20)]


@pytest.mark.parametrize("vector", [None, [0.0, 0.0]], ids=["nothing read", "words nobody knows"])
def test_without_texts_content_finds_nothing(bundle, texts, vector) -> None:
    texts.put("u-ann", "user_content", {"content_vector_recent": vector})
    records = texts.online("retrieval_v1", "user", ["u-ann"])[0]
    assert by_content(bundle, QUERY, texts, records, 20) == []
    assert by_content(bundle, QUERY, texts, {}, 20) == []
    assert texts.searched == []


def test_a_deployment_without_texts_is_not_asked_for_them(bundle, store) -> None:
    assert by_content(bundle, QUERY, store, {}, 20) == []


def test_the_popular_ones_come_with_their_events() -> None:
    found = by_popularity(Ranking([("a", 9), ("b", 4), ("c", 0)], None), 2)
    assert found == [Candidate("a", ("popular",), 9.0), Candidate("b", ("popular",), 4.0)]


def test_an_item_that_two_ways_found_says_both() -> None:
    found = merged(
        [
            Candidate("a", ("content",), None),
            Candidate("b", ("collaborative",), 2.0),
            Candidate("a", ("collaborative",), 1.0),
            Candidate("b", ("content",), 2.0),
        ]
    )
    assert found == [
        Candidate("a", ("content", "collaborative"), 1.0),
        Candidate("b", ("collaborative", "content"), 2.0),
    ]
