"""Retrieve, filter, order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from profilestore.item_index import ItemIndex
from serving.deployment import SharedStore
from serving.popularity import Popularity
from serving.recommendations import (
    ask_model,
    best,
    is_known,
    recommend,
    retrieve,
    seen_items,
)

scores = arrays.arrays(
    np.float32,
    st.integers(0, 40),
    elements=st.one_of(st.sampled_from([0.0, 1.0, np.nan, np.inf]), st.floats(-5, 5, width=32)),
)


@given(scores, st.integers(0, 50), st.sets(st.integers(0, 45)))
def test_best_is_the_full_sort_cut_at_k(values: np.ndarray, k: int, excluded: set[int]) -> None:
    ids = [str(row) for row in range(len(values))]
    without = {str(row) for row in excluded}
    candidates = [
        row for row in range(len(values)) if np.isfinite(values[row]) and ids[row] not in without
    ]
    expected = sorted(candidates, key=lambda row: (-values[row], row))[:k]
    found = best(ids, values, k, without)
    assert [scored.item_id for scored in found] == [ids[row] for row in expected]
    assert [scored.score for scored in found] == [float(values[row]) for row in expected]


def test_retrieve_is_one_inner_product_for_each_item(bundle) -> None:
    three = replace(
        bundle, item_ids=list("abc"), item_vectors=np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    )
    ids, found = retrieve(three, np.array([1, 0.5], np.float32), 1)
    assert list(ids) == ["a", "b", "c"]
    np.testing.assert_array_equal(found, np.array([2, 5, 8], np.float32))


def test_an_index_gives_what_comparing_all_does(bundle, store, now) -> None:
    """Also where what the person has turned to already would have come first."""
    index = ItemIndex.of(bundle.item_vectors, by_angle=True, breadth=128)
    indexed = replace(bundle, item_index=index)
    ids, scores = retrieve(indexed, np.array([1, 0.5], np.float32), 4)
    assert list(ids) == ["i27", "i28", "i29", "i30"]
    assert scores.tolist() == [27, 28, 29, 30]
    found = ask_model(indexed, store, "u-ann", now).recommend(5, {"i28"})
    wanted = ask_model(bundle, store, "u-ann", now).recommend(5, {"i28"})
    assert found.items == wanted.items
    assert len(found.items) == 5


def test_the_tower_is_asked_with_the_values_under_view_and_feature(bundle, store, now) -> None:
    records = store.online("retrieval_v1", "user", ["u-ann"])[0]
    ask_model(bundle, store, "u-ann", now)
    inputs = bundle.query_tower.inputs[0]
    ids = inputs["user_history__item_ids"]
    assert ids.shape == (1, 50)
    assert [bundle.vocabularies["item_id"].values[i - 2] for i in ids[0, :2]] == ["i30", "i29"]
    assert inputs["user_interests__categories__weights"][0, :2].tolist() == [0.75, 0.25]
    age = (now - records["user_activity"].values["last_event_at"]) / timedelta(days=1)
    # events_7d first, then the age: each a value and whether it is there
    np.testing.assert_allclose(inputs["numbers"][0], [np.log1p(3), 1, np.log1p(age), 1], rtol=1e-6)


def test_seen_items_come_from_columns_with_the_vocabulary_of_items(store) -> None:
    records = store.online("profile_v1", "user", ["u-ann"])[0]
    assert seen_items(store.features("profile_v1"), records) == {"i30", "i29"}
    nobody = store.online("profile_v1", "user", ["u-x"])[0]
    assert seen_items(store.features("profile_v1"), nobody) == set()


def test_the_history_is_not_recommended(bundle, store, now) -> None:
    found = ask_model(bundle, store, "u-ann", now).recommend(3, {"i28"})
    assert [scored.item_id for scored in found.items] == ["i27", "i26", "i25"]
    assert found.items[0].score == 27.0
    assert (found.state, found.method) == ("fresh", "two_tower")


def test_the_history_is_recommended_where_people_turn_to_it_again(bundle, store, now) -> None:
    again = replace(bundle, manifest={**bundle.manifest, "seen_items": "kept"})
    found = ask_model(again, store, "u-ann", now).recommend(3, {"i28"})
    assert [scored.item_id for scored in found.items] == ["i30", "i29", "i28"]


def test_recommendations_are_stale_when_all_they_rest_on_is(bundle, store, now, as_of) -> None:
    for view in ("user_activity", "user_history", "user_interests"):
        store.put("u-ann", view, None, state="stale")
    found = ask_model(bundle, store, "u-ann", now).recommend(3, set())
    assert (found.state, found.as_of) == ("stale", as_of)
    assert found.reason


@pytest.mark.parametrize(("state", "known"), [("fresh", True), ("stale", True), ("missing", False)])
def test_a_person_is_known_by_what_there_is_or_was(store, state: str, known: bool) -> None:
    store.put("u-new", "user_activity", None, state=state)
    assert is_known(store.online("profile_v1", "user", ["u-new"])[0]) is known


def test_who_is_not_known_gets_what_most_turn_to(deploy, now, as_of) -> None:
    deployment = deploy()
    block = recommend(
        deployment, Popularity(deployment), "u-x", 2, profile_service="profile_v1", asked_at=now
    )
    assert block.method == "popular"
    assert [(item.item_id, item.title, item.score) for item in block.items] == [
        ("i1", "Film 1", 99.0),
        ("i2", "Film 2", 98.0),
    ]
    assert block.source.view == "item_popularity"
    assert block.as_of == as_of


def test_without_any_popularity_the_cold_start_says_so(deploy, store, now) -> None:
    for number in range(1, 31):
        store.put(f"i{number}", "item_popularity", None, state="missing")
    deployment = deploy()
    block = recommend(
        deployment, Popularity(deployment), "u-x", 2, profile_service="profile_v1", asked_at=now
    )
    assert (block.state, block.method, block.items) == ("missing", None, [])
    assert block.reason


def test_one_person_costs_three_reads_however_many_items(deploy, store, now) -> None:
    deployment = deploy()
    assert isinstance(deployment.store(), SharedStore)
    recommend(
        deployment, Popularity(deployment), "u-ann", 20, profile_service="profile_v1", asked_at=now
    )
    assert [service for service, _ in store.asked] == ["profile_v1", "retrieval_v1", "items_v1"]
