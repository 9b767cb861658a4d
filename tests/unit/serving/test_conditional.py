"""Who has a document already is told so."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from fastapi.testclient import TestClient

PROFILE = "/v1/profiles/u-ann"


def test_the_same_document_is_not_sent_again(client: TestClient) -> None:
    first = client.get(PROFILE)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.json()["asked_at"] != client.get(PROFILE).json()["asked_at"]
    for said in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get(PROFILE, headers={"If-None-Match": said})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
        assert "content-type" not in again.headers
    for other in ('"x"', "", tag[:-2] + '"'):
        assert client.get(PROFILE, headers={"If-None-Match": other}).status_code == 200


def test_a_change_is_another_document(client: TestClient, store: Any) -> None:
    tag = client.get(PROFILE).headers["etag"]
    assert client.get("/v1/profiles/u-bob").headers["etag"] != tag
    assert client.get(f"{PROFILE}?fields=activity").headers["etag"] != tag
    store.put("u-ann", "user_activity", {"events_7d": 4711})
    changed = client.get(PROFILE, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["activity"]["fields"]["events_7d"]["value"] == 4711


def test_a_value_that_looks_like_the_instant_counts(client: TestClient, store: Any) -> None:
    """Only the field itself is left out of the tag."""
    tags = set()
    for text in ('"asked_at":"1"', '"asked_at":"2"'):
        store.put("u-ann", "user_interests", {"categories": [text], "shares": [1.0]})
        tags.add(client.get(f"{PROFILE}?fields=interests").headers["etag"])
    assert len(tags) == 2


@pytest.mark.parametrize(
    "path", ["/v1/profiles/u-gone", "/", "/v1/recommendations/u-ann?k=0", "/metrics"]
)
def test_what_is_no_document_has_no_tag(client: TestClient, path: str) -> None:
    assert "etag" not in client.get(path).headers


def test_long_answers_are_packed_for_who_can_unpack(client: TestClient) -> None:
    with client.stream("GET", PROFILE, headers={"Accept-Encoding": "gzip"}) as packed:
        body = b"".join(packed.iter_raw())
        assert packed.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in packed.headers["vary"].lower()
    plain = client.get(PROFILE, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert len(body) < len(plain.content) / 3
    assert len(gzip.decompress(body)) == len(plain.content)
    assert packed.headers["etag"] == plain.headers["etag"]
    short = client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers
