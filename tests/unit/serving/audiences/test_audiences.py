"""Audiences over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from serving.audiences import audience
from serving.audiences.audience import Audiences
from serving.documents import AskAudience


def ask(client: Any, rule: Any, **more: Any) -> Any:
    return client.post("/v1/audiences", json={"rule": rule, **more})


def test_who_matches_is_counted_and_listed(store: Any, client: Any) -> None:
    answered = ask(client, {"tag": "Drama", "at_least": 0.5})
    assert answered.status_code == 200, answered.text
    said = answered.json()
    assert (said["users"], said["total"], said["among"]) == (["u-ann"], 1, 2)
    assert said["next"] is None
    assert said["source"] == {"view": None, "feature_service": "profile_v1"}
    assert ask(client, {"segment": "champion"}).json()["users"] == ["u-ann"]
    assert ask(client, {"not": {"tag": "Drama"}}).json()["users"] == ["u-bob"]


def test_scores_and_clusters_are_those_of_the_profile(store: Any, client: Any) -> None:
    profile = client.get("/v1/profiles/u-ann").json()
    churn = profile["scores"]["scores"]["churn_7d"]["value"]
    cluster = profile["segments"]["behaviour"]["name"]
    assert ask(client, {"score": "churn_7d", "at_most": churn}).json()["total"] == 2
    assert ask(client, {"score": "churn_7d", "at_least": churn + 1e-6}).json()["total"] == 0
    rule = {"segment": cluster, "of": "behaviour"}
    assert "u-ann" in ask(client, rule).json()["users"]
    asked = [who for service, who in store.read_people if service == "behaviour_v1"]
    assert asked == [["u-ann", "u-bob"]]


def test_pages_follow_one_another(store: Any, client: Any) -> None:
    everyone = {"any": [{"tag": "Drama"}, {"not": {"tag": "Drama"}}]}
    first = ask(client, everyone, limit=1).json()
    assert (first["users"], first["total"], first["next"]) == (["u-ann"], 2, "u-ann")
    second = ask(client, everyone, limit=1, after=first["next"]).json()
    assert (second["users"], second["next"]) == (["u-bob"], None)
    assert len(store.read_people) == 1, "the second page is of the first one's answer"


def test_an_answer_is_kept_for_a_minute(store: Any, deploy: Any) -> None:
    at = 100.0
    audiences = Audiences(deploy(), clock=lambda: at)
    asked = AskAudience.model_validate({"rule": {"tag": "Drama"}})
    audiences.document(asked)
    at += 59
    audiences.document(asked)
    assert len(store.read_people) == 1
    at += 1
    audiences.document(asked)
    assert len(store.read_people) == 2
    for n in range(audience._MOST_KEPT + 3):
        audiences.document(AskAudience.model_validate({"rule": {"tag": str(n)}}))
    assert len(audiences._kept) == audience._MOST_KEPT


def nested(depth: int) -> Any:
    return {"tag": "a"} if depth == 0 else {"not": nested(depth - 1)}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, "rule"),
        ({"tag": ""}, "rule"),
        ({"tag": "a", "score": "b"}, "rule"),
        ({"score": "churn_7d"}, "rule"),
        ({"all": []}, "rule"),
        (nested(9), "deep"),
        ({"all": [{"any": [{"tag": "a"}] * 60}] * 2}, "120 rules"),
        ({"score": "churn_9d", "at_most": 1}, "churn_7d"),
        ({"feature": "user_activity__nothing", "at_least": 1}, "user_activity__"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_rule_that_cannot_be_held_is_refused(
    store: Any, client: Any, rule: Any, told: str
) -> None:
    refused = ask(client, rule)
    assert refused.status_code in (400, 422), refused.text
    assert told in refused.text


def test_without_a_model_rules_without_scores_are_answered(
    store: Any, deploy: Any, client_of: Any
) -> None:
    client = client_of(deploy("bundle", "segments"))
    assert ask(client, {"tag": "Drama"}).json()["total"] == 1
    assert ask(client, {"score": "churn_7d", "at_most": 1}).status_code == 503
    assert ask(client, {"segment": "busy", "of": "behaviour"}).status_code == 503
