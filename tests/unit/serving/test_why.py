"""Why an item has its score: in words, and adding up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from profilestore.encoding import Arrays
from serving.why import why


class Tower:
    """Likes people with many events, and items as their history has them, the newest most."""

    def __call__(self, inputs: Arrays) -> np.ndarray:
        ids = inputs["user_history__item_ids"][0]
        liked = float((ids * 0.5 ** np.arange(len(ids))).sum())
        return np.array([1.0 + liked + 10 * inputs["numbers"][0, 0], 0.0], np.float32)


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
