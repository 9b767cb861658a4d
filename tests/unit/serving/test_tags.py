"""The dictionary of tags: pages, kinds, and numbers that are not told."""

from __future__ import annotations

from serving.documents import TagsDocument


def test_each_tag_has_definition_source_and_holders(client) -> None:
    answer = TagsDocument.model_validate_json(client.get("/v1/tags").content)
    assert (answer.total, answer.kinds) == (3, {"categories": 2, "brands": 1})
    first, second, _ = answer.tags
    assert (first.tag, first.kind, first.holders, first.holders_text) == (
        *("Drama", "categories", 1200),
        "1,200",
    )
    assert first.source.view == "user_interests"
    assert "“Drama”" in first.definition
    assert (second.holders, second.holders_text) == (None, "fewer than 5")


def test_pages_and_kinds(client) -> None:
    first = client.get("/v1/tags?limit=2").json()
    assert [tag["tag"] for tag in first["tags"]] == ["Drama", "Comedy"]
    second = client.get(f"/v1/tags?limit=2&after={first['next']}").json()
    assert ([tag["tag"] for tag in second["tags"]], second["next"]) == (["Zeta"], None)
    brands = client.get("/v1/tags?kind=brands").json()
    assert ([tag["tag"] for tag in brands["tags"]], brands["total"]) == (["Zeta"], 1)


def test_a_kind_that_is_none_is_said_with_those_that_are(client) -> None:
    answer = client.get("/v1/tags?kind=colours")
    assert answer.status_code == 422
    assert "brands, categories" in answer.json()["detail"]


def test_a_column_that_is_gone_has_no_tags(client, store) -> None:
    store.services["profile_v1"] = [
        feature for feature in store.services["profile_v1"] if feature.view != "user_brands"
    ]
    assert client.get("/v1/tags").json()["kinds"] == {"categories": 2}


def test_not_counted_yet_says_what_counts_them(deploy, client_of) -> None:
    answer = client_of(deploy("tags")).get("/v1/tags")
    assert answer.status_code == 503
    assert "make materialize" in answer.json()["detail"]


def test_the_page_shows_them(client) -> None:
    html = client.get("/tags").text
    for text in ("Drama", "1,200", "fewer than 5", "user_brands", 'href="/tags?kind=brands"'):
        assert text in html
    assert "Drama" not in client.get("/tags?kind=brands").text
