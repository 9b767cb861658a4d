"""Recommendations: retrieve, filter, order. Each stage is a small function of arrays and ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import Bundle
from profilestore.encoding import Arrays, Feature
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import ViewRecord
from serving.deployment import Deployment, Store
from serving.documents import (
    Method,
    ModelSource,
    Recommendation,
    RecommendationsBlock,
    State,
    ViewSource,
)
from serving.items import SERVICE, Item, read_items
from serving.popularity import VIEW, Popularity, Ranking
from serving.reads import Reads
from serving.telemetry import timed

Records = Mapping[str, ViewRecord]


def names_items(feature: Feature) -> bool:
    """Whether a feature's values are items that the person turned to."""
    return feature.tags.get("vocabulary") == "item_id"


# The bundle's own columns, and those that say what not to recommend.
READS = Reads(None, names_items)


@dataclass(frozen=True)
class Scored:
    """An item and how well it fits; scores compare within one list only."""

    item_id: str
    score: float


@dataclass(frozen=True)
class Recommended:
    """Items for a person and where they come from, before titles are read."""

    state: State
    as_of: datetime | None
    source: ViewSource | ModelSource
    reason: str | None
    method: Method | None
    items: list[Scored]


def query_inputs(bundle: Bundle, records: Records, asked_at: datetime) -> Arrays:
    """What the query tower takes of a person, one row.

    Raises:
        ProfilestoreError: a value is not of the type that the bundle was trained with.
    """
    values: dict[str, Any] = {
        f"{record.view}__{name}": value
        for record in records.values()
        for name, value in record.values.items()
    }
    with _readable(bundle):
        return bundle.encoding.encode_row(values, asked_at, bundle.vocabularies)


@contextmanager
def _readable(bundle: Bundle) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:  # Arrow's errors and LiteRT's are of these
        raise ProfilestoreError(
            f"model {bundle.version} cannot read the features that are online ({error}). "
            "Run `make train`."
        ) from error


def retrieve(
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
) -> list[Scored]:
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
    return [Scored(item_ids[row], float(scores[row])) for row in islice(kept, k)]


def seen_items(features: Iterable[Feature], records: Records) -> set[str]:
    """Items that a person's features name: values of columns with the vocabulary `item_id`."""
    seen: set[str] = set()
    for feature in features:
        if names_items(feature) and feature.view in records:
            value = records[feature.view].values.get(feature.name) or ()
            seen.update([value] if isinstance(value, str) else value)
    return seen


def is_known(records: Records) -> bool:
    """Whether there is, or was before its time to live ran out, anything about the person."""
    return any(record.state != "missing" for record in records.values())


@dataclass(frozen=True)
class Asked:
    """What the model said when it was asked of a person, once for all that is made of it.

    Attributes:
        seen: the items that the model itself reads as the person's recent ones.
        answer: the query vector float32 [dimension], and each head's scores float32 [outputs].
    """

    bundle: Bundle
    state: State
    as_of: datetime | None
    reason: str | None
    seen: set[str]
    answer: Mapping[str, npt.NDArray[np.float32]]

    @property
    def source(self) -> ModelSource:
        return ModelSource(model=self.bundle.version, feature_service=self.bundle.feature_service)

    def recommend(self, k: int, without: set[str]) -> Recommended:
        """The k items nearest to the person, without those in `without` and the person's recent
        ones; with them if the model was trained where people turn to one item again and again."""
        seen = set() if self.bundle.recommends_seen else without | self.seen
        # What is left out stands among the nearest at worst.
        item_ids, scores = retrieve(self.bundle, self.answer["vector"], k + len(seen))
        return Recommended(
            state=self.state,
            as_of=self.as_of,
            source=self.source,
            reason=self.reason,
            method="two_tower",
            items=best(item_ids, scores, k, seen),
        )


def ask_model(bundle: Bundle, store: Store, user_id: str, asked_at: datetime) -> Asked:
    """Ask the model of a person.

    Raises:
        ProfilestoreError: a value is not of the type that the bundle was trained with.
    """
    service = bundle.feature_service
    records = store.online(service, "user", [user_id], now=asked_at)[0]
    fresh = any(record.state == "fresh" for record in records.values())
    with _readable(bundle), timed("model", "query"):
        answer = bundle.query_tower.answer(query_inputs(bundle, records, asked_at))
    return Asked(
        bundle=bundle,
        state="fresh" if fresh else "stale",
        as_of=max((r.as_of for r in records.values() if r.as_of), default=None),
        reason=None if fresh else "All that the model knows of the person is past its time.",
        seen=seen_items(store.features(service), records),
        answer=answer,
    )


def recommend_popular(ranking: Ranking, k: int) -> Recommended:
    """The answer for somebody who is not known: the items that most people turn to."""
    chosen = [Scored(item_id, float(events)) for item_id, events in ranking.items[:k]]
    return Recommended(
        state="fresh" if chosen else "missing",
        as_of=ranking.as_of,
        source=ViewSource(view=VIEW, feature_service=SERVICE),
        reason=None if chosen else "No item of the model has any popularity online.",
        method="popular" if chosen else None,
        items=chosen,
    )


def recommend(
    deployment: Deployment,
    popularity: Popularity,
    user_id: str,
    k: int,
    *,
    profile_service: str,
    asked_at: datetime,
) -> RecommendationsBlock:
    """k items for anybody: by the model when the person is known, else the popular ones.

    Raises:
        ProfilestoreError: no online store or no bundle.
    """
    bundle, store = deployment.bundle(), deployment.store()
    records = store.online(profile_service, "user", [user_id], now=asked_at)[0]
    if is_known(records):
        seen = seen_items(store.features(profile_service), records)
        recommended = ask_model(bundle, store, user_id, asked_at).recommend(k, seen)
    else:
        recommended = recommend_popular(popularity.ranking(), k)
    items = read_items(store, (scored.item_id for scored in recommended.items), now=asked_at)
    return recommendations_block(recommended, items)


def recommendations_block(
    recommended: Recommended, items: Mapping[str, Item]
) -> RecommendationsBlock:
    """The block as it is served: titles and categories beside each item."""
    return RecommendationsBlock(
        state=recommended.state,
        as_of=recommended.as_of,
        source=recommended.source,
        reason=recommended.reason,
        method=recommended.method,
        items=[
            _recommendation(scored, items.get(scored.item_id, Item(scored.item_id)))
            for scored in recommended.items
        ],
    )


def _recommendation(scored: Scored, item: Item) -> Recommendation:
    return Recommendation(
        item_id=item.item_id,
        title=item.title,
        categories=list(item.categories),
        score=scored.score,
    )
