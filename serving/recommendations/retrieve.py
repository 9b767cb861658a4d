"""Retrieve: the items that may be recommended, by the towers, by content, or by what most do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import Bundle
from profilestore.encoding import Feature
from profilestore.feature_store import ViewRecord
from serving.deployment import Store
from serving.popularity import Ranking
from serving.reads import Reads
from serving.recommendations.candidates import Candidate

# The person's vector and the items', of what texts mean.
CONTENT_SERVICE = "content_v1"
_PERSON_VECTOR = "content_vector_recent"


def _is_content(feature: Feature) -> bool:
    return feature.name == (_PERSON_VECTOR if feature.entity == "user" else "content_vector")


READS = Reads(CONTENT_SERVICE, _is_content)


def by_towers(
    bundle: Bundle, query: npt.NDArray[np.float32], count: int, without: Iterable[str] = ()
) -> list[Candidate]:
    """The items whose vectors have the largest inner products with the person's, largest first.

    Args:
        without: items that are not wanted: they take nobody's place.
    """
    excluded = set(without)
    # What is left out stands among the nearest at worst.
    item_ids, scores = inner_products(bundle, query, count + len(excluded))
    return best(item_ids, scores, count, excluded)


def inner_products(
    bundle: Bundle, query: npt.NDArray[np.float32], count: int
) -> tuple[Sequence[str], npt.NDArray[np.float32]]:
    """Items, in the bundle's order, and the inner product of each with the query: all of them, or,
    of very many, those that the index finds nearest.

    Args:
        count: how many are needed at least, if there are so many.
    """
    if bundle.item_index is None:
        return bundle.item_ids, bundle.item_vectors @ query
    wanted = min(count, len(bundle.item_ids))
    rows = bundle.item_index.nearest(query, wanted)
    if len(rows) < wanted:  # a graph may have parts that no search reaches
        return bundle.item_ids, bundle.item_vectors @ query
    return [bundle.item_ids[row] for row in rows], bundle.item_vectors[rows] @ query


def best(
    item_ids: Sequence[str], scores: npt.NDArray[np.float32], k: int, without: Iterable[str] = ()
) -> list[Candidate]:
    """The k highest scores, highest first, of items that are not in `without`.

    Equal scores keep the order of `item_ids`; a score that is no number is no candidate.
    """
    excluded = set(without)
    wanted = min(k + len(excluded), len(item_ids))
    if not wanted or k < 1:
        return []
    comparable = np.where(np.isfinite(scores), scores, -np.inf)
    # Everything at least as good as the last one wanted: a plain cut would split equals at random.
    least = np.partition(comparable, len(item_ids) - wanted)[len(item_ids) - wanted]
    candidates = np.flatnonzero((comparable >= least) & np.isfinite(comparable))
    ordered = candidates[np.argsort(-comparable[candidates], kind="stable")]
    kept = (int(row) for row in ordered if item_ids[row] not in excluded)
    return [
        Candidate(item_ids[row], ("collaborative",), float(scores[row])) for row in islice(kept, k)
    ]


def by_content(
    bundle: Bundle,
    query: npt.NDArray[np.float32],
    store: Store,
    records: Mapping[str, ViewRecord],
    count: int,
) -> list[Candidate]:
    """The items whose texts are nearest to what the person read and wrote of late, nearest first.

    These may be items that came after the model was trained. None where nobody knows the person's
    texts, or no service of this deployment has texts.

    Args:
        query: of the query tower, for the scores of items that the model knows.
        records: of the person, by view.
    """
    vector = _content_vector(store, records) if count else None
    if vector is None:
        return []
    found = store.nearest(CONTENT_SERVICE, "item", vector, count)
    rows = [bundle.item_rows.get(one.key) for one in found]
    return [
        Candidate(
            one.key,
            ("content",),
            None if row is None else float(bundle.item_vectors[row] @ query),
        )
        for one, row in zip(found, rows, strict=True)
    ]


def _content_vector(store: Store, records: Mapping[str, ViewRecord]) -> Sequence[float] | None:
    if CONTENT_SERVICE not in store.purposes():
        return None
    for feature in store.features(CONTENT_SERVICE):
        if feature.entity == "user" and feature.name == _PERSON_VECTOR and feature.view in records:
            vector: Sequence[float] | None = records[feature.view].values.get(feature.name)
            return vector if vector is not None and any(vector) else None
    return None


def by_popularity(ranking: Ranking, count: int) -> list[Candidate]:
    """What most people turned to in the last 90 days."""
    return [
        Candidate(item_id, ("popular",), float(events)) for item_id, events in ranking.items[:count]
    ]
