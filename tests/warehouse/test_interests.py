"""Contents, keywords and interests of simulated people: against brute force and the truth."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

HALF_LIFE = timedelta(days=90)
PEOPLE = 60  # asked for


def words_of(text: str) -> list[str]:
    """Letters, two at least, and nothing that has a figure in it."""
    kept = " ".join(piece for piece in text.lower().split() if not re.search(r"\d", piece))
    return [word for word in re.findall(r"[^\W\d_]+", kept) if len(word) > 1]


@pytest.fixture(scope="module")
def titles(scored: Any) -> dict[str, str | None]:
    return dict(scored.rows("SELECT item_id, title FROM lake.int_items"))


@pytest.fixture(scope="module")
def texts(scored: Any) -> dict[str, str]:
    """All that the catalogue says of an item."""
    return {
        item: ", ".join(piece for piece in (title, *categories, description) if piece)
        for item, title, categories, description in scored.rows(
            "SELECT item_id, title, categories, description FROM lake.int_items"
        )
    }


def test_what_a_person_is_about(scored: Any, texts: Any) -> None:
    """At random midnights: the means over all that was known of a person by then."""
    vectors = {
        text: np.array(vector)
        for text, vector in scored.rows("SELECT text, embedding FROM lake.int_text_embeddings")
    }
    rows = scored.rows(
        f"""
        SELECT user_id, event_timestamp, loaded_at, content_vector_mean, content_vector_recent
        FROM lake.user_content
        WHERE user_id IN (
            FROM (SELECT DISTINCT user_id FROM lake.user_content) ORDER BY hash(user_id)
            LIMIT {PEOPLE})
        """
    )
    events = defaultdict(list)
    for user, *event in scored.rows(
        """
        SELECT events.user_id, events.item_id, events.event_timestamp, events.loaded_at,
            canonical.text
        FROM lake.int_user_events AS events
        JOIN lake.int_events_canonical AS canonical USING (source, event_id)
        """
    ):
        events[user].append(event)
    written = 0
    for user, at, learned, mean, recent in rows:
        assert at == at.replace(hour=0, minute=0, second=0, microsecond=0)
        pieces: list[tuple[np.ndarray, datetime, float, datetime]] = []
        for item, happened, loaded, text in events[user]:
            if max(happened, loaded) > at:
                continue
            known = vectors.get(texts.get(item, ""))
            if known is not None:
                pieces.append((known, happened, 1.0, loaded))
            for word in words_of(text or ""):
                share = 1 / len(words_of(text))
                pieces.append((vectors[word], happened, share, loaded))
                written += 1
        matrix = np.array([vector for vector, *_ in pieces])
        amounts = np.array([amount for _, _, amount, _ in pieces])
        ages = np.array([(at - happened) / HALF_LIFE for _, happened, *_ in pieces])
        assert learned == max(loaded for *_, loaded in pieces)
        for found, weights in ((mean, amounts), (recent, amounts * 2.0**-ages)):
            wanted = np.average(matrix, axis=0, weights=weights)
            np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert len(rows) > PEOPLE
    assert written > 100


def test_keywords_of_items(scored: Any, titles: Any) -> None:
    words = {item: words_of(title or "") for item, title in titles.items()}
    titled = {item: own for item, own in words.items() if own}
    mean = np.mean([len(own) for own in titled.values()])
    found_in = Counter(word for own in titled.values() for word in set(own))
    rows = scored.rows("SELECT item_id, keywords, scores FROM lake.item_keywords")
    assert {item for item, *_ in rows} == set(titles)
    listed = 0
    for item, keywords, scores in rows:
        wanted = {}
        for word, times in Counter(words[item]).items():
            n = found_in[word]
            if 2 <= n <= 0.05 * len(titled):
                rarity = math.log(1 + (len(titled) - n + 0.5) / (n + 0.5))
                slowed = times + 1.2 * (0.25 + 0.75 * len(words[item]) / mean)
                wanted[word] = rarity * times * 2.2 / slowed
        assert dict(zip(keywords, scores, strict=True)) == pytest.approx(wanted)
        assert scores == sorted(scores, reverse=True)
        listed += len(keywords)
    assert listed > len(rows)


# Of which items' tags a mart tells, and how many it keeps.
TAGS = {
    "keywords": ("SELECT item_id, keywords FROM lake.item_keywords", 20),
    "brands": ("SELECT item_id, [brand] FROM lake.int_items WHERE brand IS NOT NULL", 10),
}


@pytest.mark.parametrize("tags", TAGS)
def test_tags_of_people(scored: Any, tags: str) -> None:
    """Everybody's last row: pieces of evidence and shares of each tag."""
    of_items, kept = TAGS[tags]
    tags_of = dict(scored.rows(of_items))
    evidence: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for user, item, happened in scored.rows(
        "SELECT user_id, item_id, event_timestamp FROM lake.int_user_events "
        "WHERE item_id IS NOT NULL"
    ):
        for tag in tags_of.get(item, []):
            evidence[user][tag].append(happened)
    last = scored.rows(
        f"SELECT user_id, arg_max(mart, event_timestamp) FROM lake.user_{tags} AS mart GROUP BY 1"
    )
    assert {user for user, _ in last} == set(evidence)
    for user, row in last:
        weights = {
            tag: sum(2.0 ** ((at - row["event_timestamp"]) / HALF_LIFE) for at in times)
            for tag, times in evidence[user].items()
        }
        whole = sum(weights.values())
        assert len(row[tags]) == min(kept, len(weights))
        for tag, share, count in zip(row[tags], row["shares"], row["event_counts"], strict=True):
            assert share == pytest.approx(weights[tag] / whole)
            assert count == len(evidence[user][tag])
        left_out = [weights[tag] / whole for tag in weights.keys() - set(row[tags])]
        assert max(left_out, default=0) <= row["shares"][-1] * (1 + 1e-9)


def owners_of(scored: Any) -> dict[str, set[int]]:
    """Whose accounts a person of the lake has."""
    key = scored.settings.pseudonym_key.encode()
    stitched = dict(scored.rows("SELECT id, user_id FROM lake.int_identities"))
    owners: dict[str, set[int]] = defaultdict(set)
    for person, raw in scored.rows(
        f"SELECT person, id FROM {scored.truth('people')} WHERE id_kind = 'account'"
    ):
        digest = hmac.new(key, f"user:{raw}".encode(), hashlib.sha256).hexdigest()
        name = f"u-{digest[:32]}"
        owners[stitched.get(name, name)].add(person)
    return owners


def test_the_tags_are_what_people_like(scored: Any) -> None:
    """Precision of the three heaviest categories against the three that the truth has.

    Measured on this simulation: 0.74 of everybody with an account, 0.81 of those with 50 pieces of
    evidence; three drawn by chance would have 0.125."""
    liked: dict[int, dict[str, float]] = defaultdict(dict)
    for person, category, weight in scored.rows(
        f"SELECT person, category, weight FROM {scored.truth('interests')}"
    ):
        liked[person][category] = weight
    owners = owners_of(scored)
    everybody, well_known = [], []
    for user, categories, counts in scored.rows(
        "SELECT user_id, arg_max(categories, event_timestamp), "
        "arg_max(event_counts, event_timestamp) FROM lake.user_interests GROUP BY 1"
    ):
        if len(owners[user]) != 1:
            continue
        (person,) = owners[user]
        top = sorted(liked[person], key=liked[person].__getitem__, reverse=True)[:3]
        precision = len(set(top) & set(categories[:3])) / 3
        everybody.append(precision)
        if sum(counts) >= 50:
            well_known.append(precision)
    assert len(everybody) > 400
    assert len(well_known) > 200
    assert np.mean(everybody) > 0.7
    assert np.mean(well_known) > 0.77


def test_the_heaviest_brand_is_a_favourite(scored: Any) -> None:
    """Of those with 50 pieces of evidence; by chance one in five."""
    liked: dict[int, set[str]] = defaultdict(set)
    for person, brand in scored.rows(f"SELECT person, brand FROM {scored.truth('brands')}"):
        liked[person].add(brand)
    owners = owners_of(scored)
    hits = []
    for user, brands, counts in scored.rows(
        "SELECT user_id, arg_max(brands, event_timestamp), "
        "arg_max(event_counts, event_timestamp) FROM lake.user_brands GROUP BY 1"
    ):
        if len(owners[user]) == 1 and sum(counts) >= 50:
            (person,) = owners[user]
            hits.append(brands[0] in liked[person])
    assert len(hits) > 200
    assert np.mean(hits) > 0.75


def test_confidence_says_how_far_a_share_can_be_relied_on(scored: Any) -> None:
    """The same share is surer with more evidence."""
    rows = scored.rows(
        """
        SELECT list_sum(event_counts), shares[1], confidences[1]
        FROM (SELECT unnest(arg_max(mart, event_timestamp)) FROM lake.user_interests AS mart
              GROUP BY user_id)
        """
    )
    gaps = [(count, share - confidence) for count, share, confidence in rows]
    few = [gap for count, gap in gaps if count < 10]
    many = [gap for count, gap in gaps if count > 100]
    assert min(len(few), len(many)) > 50
    assert np.mean(many) < 0.4 * np.mean(few)
