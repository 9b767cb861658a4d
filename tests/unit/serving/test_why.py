"""Why an item has its score: in words, and adding up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from profilestore.encoding import Arrays
from serving.profile import read_profile
from serving.why import why, why_score


class Tower:
    """Likes people with many events, and items as their history has them, the newest most."""

    def __call__(self, inputs: Arrays) -> np.ndarray:
        ids = inputs["user_history__item_ids"][0]
        liked = float((ids * 0.5 ** np.arange(len(ids))).sum())
        return np.array([1.0 + liked + 10 * inputs["numbers"][0, 0], 0.0], np.float32)

    def answer(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Whose scores are half of what the items say, and twice what the number says."""
        ids, number = inputs["user_history__item_ids"][0], inputs["numbers"][0, 0]
        said = np.array([0.5 * float(ids.sum()) / 61 + 2 * number - 1], np.float32)
        return {
            "vector": self(inputs),
            "head_returns_7d": said,
            "head_spend_30d": 10 * said,
            "head_next_event_type": np.array([0.0, said[0]], np.float32),
        }


@pytest.fixture
def explained(deploy, bundle, client_of):
    deployment = deploy()
    asked = replace(bundle, query_tower=Tower())
    deployment.bundle = lambda: asked
    return deployment


def test_the_points_add_up_to_what_is_known_of_the_person(explained, now) -> None:
    found = why(explained, "u-ann", "i7", asked_at=now)
    points = {one.text: one.points for one in found.contributions}
    whole = found.lead - found.lead_of_nobody
    assert whole != 0
    assert sum(points.values()) == pytest.approx(whole, rel=1e-6)
    # Item 7 lies 8.5 behind the mean of items 1 to 30.
    assert found.lead_of_nobody == -8.5
    assert found.score == pytest.approx(-found.lead * 7 / 8.5, rel=1e-6)
    assert points["Events, 7 d: 3 events"] == pytest.approx(-85 * np.log1p(3), rel=1e-5)
    # i30 has id 31 and i29 has 30; each stands first or second, as the other is told or not.
    assert points["turned to Film 30"] == pytest.approx(-8.5 * (31 - 30 / 4), rel=1e-5)
    assert points["turned to Film 29"] == pytest.approx(-8.5 * (30 * 3 / 4), rel=1e-5)
    assert [abs(one.points) for one in found.contributions] == sorted(
        (abs(one.points) for one in found.contributions), reverse=True
    )


def test_each_says_where_it_comes_from(explained, now, as_of) -> None:
    found = why(explained, "u-ann", "i7", asked_at=now)
    assert found.item.title == "Film 7"
    (events,) = [one for one in found.contributions if one.feature == "events_7d"]
    assert (events.view, events.description) == ("user_activity", "Events of 7 days.")
    assert events.as_of == as_of
    assert events.item is None
    turned_to = [one.item.item_id for one in found.contributions if one.item]
    assert sorted(turned_to) == ["i29", "i30"]


def test_it_is_the_same_when_asked_again(explained, now) -> None:
    first, again = (why(explained, "u-ann", "i7", asked_at=now) for _ in range(2))
    assert first == again


def test_over_http(explained, client_of) -> None:
    client = client_of(explained)
    answer = client.get("/v1/recommendations/u-ann/i7/why")
    assert answer.status_code == 200
    assert answer.json()["contributions"][0]["text"]
    for path, kind in (("u-ann/i99", "unknown-item"), ("u-x/i7", "unknown-user")):
        refused = client.get(f"/v1/recommendations/{path}/why")
        assert refused.status_code == 404
        assert refused.json()["type"] == f"/docs#{kind}"
    odd = client.get("/v1/recommendations/u-ann/a%2Fb/why")
    assert odd.json()["type"] == "/docs#unknown-item"


def test_who_has_only_a_feature_has_no_history_to_name(explained, now) -> None:
    found = why(explained, "u-bob", "i7", asked_at=now)
    assert {one.feature for one in found.contributions} == {"events_7d", "last_event_at"}


@pytest.mark.parametrize("name", ["returns_7d", "churn_7d", "spend_30d", "next_event_type"])
def test_the_points_of_a_score_add_up(explained, now, name: str) -> None:
    found = why_score(explained, "u-ann", name, asked_at=now)
    whole = found.on_scale - found.on_scale_of_nobody
    assert whole != 0
    assert sum(one.points for one in found.contributions) == pytest.approx(whole, rel=1e-5)
    profile = read_profile(explained, "u-ann", now, fields="scores")
    assert found.value == pytest.approx(profile.scores.scores[name].value, rel=1e-6)
    if found.scale == "log-odds":
        assert found.value == pytest.approx(1 / (1 + np.exp(-found.on_scale)), rel=1e-5)
    else:
        assert found.value == pytest.approx(found.on_scale, rel=1e-6)


def test_what_brings_back_keeps_from_leaving(explained, now) -> None:
    stays = why_score(explained, "u-ann", "returns_7d", asked_at=now)
    leaves = why_score(explained, "u-ann", "churn_7d", asked_at=now)
    points = {one.text: one.points for one in stays.contributions}
    assert {one.text: -one.points for one in leaves.contributions} == points
    # Calibrated with slope 1: two for the logarithm of one and three events.
    assert points["Events, 7 d: 3 events"] == pytest.approx(2 * np.log1p(3), rel=1e-5)


def test_a_score_that_is_none_is_said(explained, client_of) -> None:
    client = client_of(explained)
    missing = client.get("/v1/scores/u-ann/gone/why")
    assert (missing.status_code, missing.json()["type"]) == (404, "/docs#unknown-score")
    assert "returns_7d" in missing.json()["detail"]
    assert client.get("/v1/scores/u-ann/churn_gone/why").status_code == 404
    assert client.get("/v1/scores/u-nobody/churn_7d/why").status_code == 404
    assert client.get("/v1/scores/u-ann/churn_7d/why").json()["scale"] == "log-odds"


def test_a_tag_names_its_events(client, store) -> None:
    store.put("i29", "item_attributes", {"title": "Film 29", "categories": ["Comedy"]})
    found = client.get("/v1/profiles/u-ann/interests/Drama/why").json()
    assert found["tag"]["category"] == "Drama"
    assert (found["tag"]["event_count"], found["tag"]["score"]) == (6, 0.75)
    assert [one["item_id"] for one in found["events"]] == ["i30"]
    assert found["events"][0]["event_type"] == "rating"
    assert found["source"]["view"] == "user_interests"
    missing = client.get("/v1/profiles/u-ann/interests/Western/why")
    assert (missing.status_code, missing.json()["type"]) == (404, "/docs#unknown-tag")
    assert "Drama, Comedy" in missing.json()["detail"]
    assert client.get("/v1/profiles/u-nobody/interests/Drama/why").status_code == 404
