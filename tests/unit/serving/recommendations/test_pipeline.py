"""From a person to a list of items."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from profilestore.encoding import Feature
from profilestore.feature_store import Neighbour
from serving.deployment import SharedStore
from serving.popularity import Popularity
from serving.recommendations.person import ask_model, is_known, seen_items
from serving.recommendations.pipeline import Recommended, recommend, recommend_to


@pytest.fixture
def to_ann(deploy, store, bundle, now):
    """Recommends to Ann, by the bundle that is given."""

    def ask(k: int, seen: set[str], of=bundle) -> Recommended:
        deployment = deploy()
        asked = ask_model(of, deployment.store(), "u-ann", now)
        return recommend_to(deployment, asked, k, seen, asked_at=now)

    return ask


def ids(found: Recommended) -> list[str]:
    return [one.item_id for one in found.chosen]


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


def test_the_history_is_not_recommended(to_ann) -> None:
    found = to_ann(3, {"i28"})
    assert ids(found) == ["i27", "i26", "i25"]
    assert found.chosen[0].score == 27.0
    assert found.chosen[0].found_by == ("collaborative",)
    assert (found.state, found.method) == ("fresh", "two_tower")
    assert {found.items[item_id].title for item_id in ("i27", "i28", "i30")} == {
        *("Film 27", "Film 28", "Film 30")
    }


def test_the_history_is_recommended_where_people_turn_to_it_again(to_ann, bundle) -> None:
    again = replace(bundle, manifest={**bundle.manifest, "seen_items": "kept"})
    assert ids(to_ann(3, {"i28"}, again)) == ["i30", "i29", "i28"]


def test_each_says_which_of_the_history_is_nearest_to_it(to_ann, bundle) -> None:
    turned = np.array(bundle.item_vectors)
    turned[:, 1] = [n % 2 * n for n in range(1, 31)]  # the odd ones point elsewhere
    found = to_ann(4, set(), replace(bundle, item_vectors=turned))
    assert {one: found.near[one] for one in ids(found)} == {
        one: "i29" if int(one[1:]) % 2 else "i30" for one in ids(found)
    }
    again = replace(bundle, item_vectors=turned, manifest={**bundle.manifest, "seen_items": "kept"})
    found = to_ann(2, set(), again)
    assert found.near == {"i30": "i29", "i29": "i30"}


def test_an_item_that_came_after_the_model_is_found_by_its_text(texts, to_ann, settings) -> None:
    # All films of the model lie in one direction, and a new one in none.
    settings.recommendations_file.write_text("order: {diversity: 0}")
    texts.nearest = lambda *_: [Neighbour("i-new", 0.1, {}), Neighbour("i30", 0.2, {})]
    found = to_ann(10, set())
    assert ids(found)[:9] == [f"i{n}" for n in range(28, 19, -1)]
    last = found.chosen[9]
    assert (last.item_id, last.found_by, last.score) == ("i-new", ("content",), None)
    assert found.items["i-new"].title == "New"
    assert "i-new" not in found.near
    settings.recommendations_file.write_text("order: {diversity: 0, content_share: 0}")
    assert "i-new" not in ids(to_ann(10, set()))


def test_policy_and_availability_are_kept_for_the_popular_ones_too(
    deploy, store, settings, now
) -> None:
    settings.recommendations_file.write_text("filter: {items: [i1]}")
    store.services["items_v1"].append(
        Feature("item_availability", "available_from", "item", "instant")
    )
    store.put("i2", "item_availability", {"available_from": now + timedelta(days=1)})
    deployment = deploy()
    found = recommend(
        deployment, Popularity(deployment), "u-x", 2, profile_service="profile_v1", asked_at=now
    )
    assert ids(found) == ["i3", "i4"]


def test_a_head_moves_what_it_is_told_to_move(settings, store, to_ann) -> None:
    """Ann comes back with one half; films of a low number are bought."""
    store.services["items_v1"].append(Feature("item_statistics", "rate", "item", "number"))
    for n in range(1, 31):
        store.put(f"i{n}", "item_statistics", {"rate": 1 / n})
    before = ids(to_ann(5, set()))
    settings.recommendations_file.write_text(
        "rank: {heads: [{head: returns_7d, feature: item_statistics__rate, weight: 4}]}"
    )
    assert before == ["i28", "i27", "i26", "i25", "i24"]
    assert ids(to_ann(5, set())) == ["i1", "i2", "i3", "i4", "i5"]


def test_many_are_given_to_whoever_wants_many(to_ann) -> None:
    assert len(ids(to_ann(28, set()))) == 28
    assert ids(to_ann(0, set())) == []


def test_recommendations_are_stale_when_all_they_rest_on_is(bundle, store, now, as_of) -> None:
    for view in ("user_activity", "user_history", "user_interests"):
        store.put("u-ann", view, None, state="stale")
    found = ask_model(bundle, store, "u-ann", now)
    assert (found.state, found.as_of) == ("stale", as_of)
    assert found.reason


@pytest.mark.parametrize(("state", "known"), [("fresh", True), ("stale", True), ("missing", False)])
def test_a_person_is_known_by_what_there_is_or_was(store, state: str, known: bool) -> None:
    store.put("u-new", "user_activity", None, state=state)
    assert is_known(store.online("profile_v1", "user", ["u-new"])[0]) is known


def test_who_is_not_known_gets_what_most_turn_to(deploy, now, as_of) -> None:
    deployment = deploy()
    found = recommend(
        deployment, Popularity(deployment), "u-x", 2, profile_service="profile_v1", asked_at=now
    )
    assert found.method == "popular"
    assert [(one.item_id, found.items[one.item_id].title, one.score) for one in found.chosen] == [
        ("i1", "Film 1", 99.0),
        ("i2", "Film 2", 98.0),
    ]
    assert found.source.view == "item_popularity"
    assert found.as_of == as_of


def test_without_any_popularity_the_cold_start_says_so(deploy, store, now) -> None:
    for number in range(1, 31):
        store.put(f"i{number}", "item_popularity", None, state="missing")
    deployment = deploy()
    found = recommend(
        deployment, Popularity(deployment), "u-x", 2, profile_service="profile_v1", asked_at=now
    )
    assert (found.state, found.method, found.chosen) == ("missing", None, [])
    assert found.reason


def test_one_person_costs_three_reads_however_many_items(deploy, store, now) -> None:
    deployment = deploy()
    assert isinstance(deployment.store(), SharedStore)
    recommend(
        deployment, Popularity(deployment), "u-ann", 20, profile_service="profile_v1", asked_at=now
    )
    assert [service for service, _ in store.asked] == ["profile_v1", "retrieval_v1", "items_v1"]
