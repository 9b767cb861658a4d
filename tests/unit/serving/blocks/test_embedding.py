"""The embedding: on request alone."""

from __future__ import annotations

from serving.profile import read_profile


def test_who_asks_for_it_gets_the_query_vector(deploy, bundle, now, as_of) -> None:
    block = read_profile(deploy(), "u-ann", now, fields="embedding").embedding
    assert (block.state, block.as_of) == ("fresh", as_of)
    assert (block.vector, block.dimension) == ([1.0, 0.0], 2)
    assert block.source.model == bundle.version


def test_who_does_not_ask_gets_none(client) -> None:
    assert "embedding" not in client.get("/v1/profiles/u-ann").json()
    assert client.get("/v1/profiles/u-ann?fields=embedding").json()["embedding"]["dimension"] == 2


def test_without_a_model_or_the_purpose_there_is_none(deploy, now) -> None:
    missing = read_profile(deploy("bundle"), "u-ann", now, fields="embedding").embedding
    assert (missing.state, missing.vector, missing.dimension) == ("missing", [], 0)
    withheld = read_profile(deploy(), "u-ann", now, fields="embedding", purpose="profile").embedding
    assert (withheld.state, withheld.vector) == ("withheld", [])
