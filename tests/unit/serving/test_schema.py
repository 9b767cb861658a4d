"""What is served is what the schema says."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from serving.schema import profile_schema


@pytest.mark.parametrize(
    "path",
    [
        "/v1/profiles/u-ann",
        "/v1/profiles/u-bob",
        "/v1/profiles/u-ann?fields=identity",
        "/v1/profiles/u-ann?fields=embedding",
        "/v1/profiles/u-ann?as_of=2026-02-28T12:00:00Z",
        "/v1/profiles/u-ann?purpose=profile",
        "/v1/profiles/u-ann?purpose=recommendation&fields=activity,recommendations",
    ],
)
def test_an_answer_is_of_the_schema(client, path: str) -> None:
    answer = client.get(path).json()
    validator = Draft202012Validator(profile_schema())
    assert [error.message for error in validator.iter_errors(answer)] == []


def test_another_answer_is_not(client) -> None:
    answer = client.get("/v1/profiles/u-ann").json()
    answer["activity"]["state"] = "good"
    del answer["identity"]
    validator = Draft202012Validator(profile_schema())
    assert len(list(validator.iter_errors(answer))) == 2
