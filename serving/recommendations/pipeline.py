"""Ask, retrieve, filter, rank, order: from a person to a list of items."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import Bundle
from serving.deployment import Deployment
from serving.documents import Method, ModelSource, State, ViewSource
from serving.items import SERVICE, Item
from serving.popularity import VIEW, Popularity
from serving.reads import Reads
from serving.recommendations.candidates import Candidate, merged
from serving.recommendations.filters import allowed
from serving.recommendations.order import Listed, order
from serving.recommendations.person import Asked, ask_model, is_known, seen_items
from serving.recommendations.policy import HeadTerm
from serving.recommendations.rank import probabilities, worth
from serving.recommendations.retrieve import by_content, by_popularity, by_towers
from serving.telemetry import timed

# An item is as old as the catalogue says, or else as the first who turned to it.
_FIRST = f"{VIEW}__first_event_at"
FIRST_TURNED_TO = Reads(SERVICE, lambda feature: feature.column == _FIRST)


@dataclass(frozen=True)
class Recommended:
    """Items for a person, first to last, and where they come from.

    Attributes:
        items: every item that was read on the way, also those of the history.
        near: of a recommended item, the one of the history that is nearest to it.
    """

    state: State
    as_of: datetime | None
    source: ViewSource | ModelSource
    reason: str | None
    method: Method | None
    chosen: Sequence[Candidate]
    items: Mapping[str, Item]
    near: Mapping[str, str]


def recommend(
    deployment: Deployment,
    popularity: Popularity,
    user_id: str,
    k: int,
    *,
    profile_service: str,
    asked_at: datetime,
) -> Recommended:
    """k items for anybody: by the model when the person is known, else the popular ones.

    Raises:
        ProfilestoreError: no online store or no bundle, or the policy is broken.
    """
    bundle, store = deployment.bundle(), deployment.store()
    records = store.online(profile_service, "user", [user_id], now=asked_at)[0]
    if not is_known(records):
        return _recommend_popular(deployment, popularity, k, asked_at)
    seen = seen_items(store.features(profile_service), records)
    asked = ask_model(bundle, store, user_id, asked_at)
    return recommend_to(deployment, asked, k, seen, asked_at=asked_at)


def recommend_to(
    deployment: Deployment, asked: Asked, k: int, seen: Collection[str], *, asked_at: datetime
) -> Recommended:
    """k items for somebody of whom the model was asked.

    Args:
        seen: items that the person is known to have turned to, beside those that the model reads.
    """
    store, policy, bundle = deployment.store(), deployment.policy(), asked.bundle
    query = asked.answer["vector"]
    turned_to = asked.seen.union(seen)
    has = frozenset() if bundle.recommends_seen else turned_to
    wanted = max(policy.retrieve.collaborative, 3 * k)
    with timed("model", "retrieve"):
        found = by_towers(bundle, query, wanted, has)
    found = merged(
        [*found, *by_content(bundle, query, store, asked.records, policy.retrieve.content)]
    )
    raised_by = probabilities(bundle, asked.answer, policy.rank.heads)
    chosen, items = _listed(
        deployment, bundle, found, k, has=has, raised_by=raised_by, also=turned_to, now=asked_at
    )
    return Recommended(
        state=asked.state,
        as_of=asked.as_of,
        source=asked.source,
        reason=asked.reason,
        method="two_tower",
        chosen=chosen,
        items=items,
        near=_nearest(bundle, [one.item_id for one in chosen], sorted(turned_to)),
    )


def _recommend_popular(
    deployment: Deployment, popularity: Popularity, k: int, asked_at: datetime
) -> Recommended:
    """The answer for somebody who is not known: the items that most people turn to."""
    ranking, policy = popularity.ranking(), deployment.policy()
    found = by_popularity(ranking, max(policy.retrieve.collaborative, 3 * k))
    chosen, items = _listed(
        deployment, deployment.bundle(), found, k, has=(), raised_by={}, also=(), now=asked_at
    )
    return Recommended(
        state="fresh" if chosen else "missing",
        as_of=ranking.as_of,
        source=ViewSource(view=VIEW, feature_service=SERVICE),
        reason=None if chosen else "No item of the model has any popularity online.",
        method="popular" if chosen else None,
        chosen=chosen,
        items=items,
        near={},
    )


def _listed(
    deployment: Deployment,
    bundle: Bundle,
    found: Sequence[Candidate],
    k: int,
    *,
    has: Collection[str],
    raised_by: Mapping[HeadTerm, float],
    also: Iterable[str],
    now: datetime,
) -> tuple[list[Candidate], Mapping[str, Item]]:
    """Filter, rank and order; and the items that were read for it.

    Args:
        also: more items to be read, for whoever shows the list.
    """
    policy = deployment.policy()
    columns = policy.item_columns | ({_FIRST} if policy.order.freshness else set())
    wanted = [*(one.item_id for one in found), *sorted(also)]
    items = deployment.items().read(wanted, now=now, columns=columns)
    left = allowed(found, items, has=has, policy=policy.filter, now=now)
    listed = Listed(
        worth=worth(left, items, raised_by),
        vectors=_vectors(bundle, [one.item_id for one in left]),
        categories=[items[one.item_id].categories for one in left],
        since=[_since(items[one.item_id]) for one in left],
        by_content=np.array(["content" in one.found_by for one in left], bool),
    )
    return [left[row] for row in order(listed, policy.order, k, now)], items


def _since(item: Item) -> datetime | None:
    return item.available_from or item.values.get(_FIRST)


def _vectors(bundle: Bundle, item_ids: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [items, dimension]; zeros for an item that the model does not know."""
    found = np.zeros((len(item_ids), bundle.item_vectors.shape[1]), np.float32)
    known = [
        (n, bundle.item_rows[one]) for n, one in enumerate(item_ids) if one in bundle.item_rows
    ]
    if known:
        places, rows = zip(*known, strict=True)
        found[list(places)] = bundle.item_vectors[list(rows)]
    return found


def _nearest(bundle: Bundle, item_ids: Sequence[str], turned_to: Sequence[str]) -> dict[str, str]:
    """Of each item the one, of those that a person turned to, whose vector points most nearly
    where its own does."""
    known = [one for one in item_ids if one in bundle.item_rows]
    among = [one for one in turned_to if one in bundle.item_rows]
    if not known or not among:
        return {}
    theirs = _vectors(bundle, among)
    theirs /= np.maximum(np.linalg.norm(theirs, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    cosines = _vectors(bundle, known) @ theirs.T
    if bundle.recommends_seen:  # nothing is near to itself
        cosines[[[one == other for other in among] for one in known]] = -np.inf
    best = cosines.argmax(axis=1)
    return {
        one: among[row]
        for one, row, line in zip(known, best, cosines, strict=True)
        if np.isfinite(line[row])
    }
