"""Who is like somebody, and what is like something: neighbours among the model's vectors."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from profilestore.errors import ProfilestoreError
from profilestore.feature_store import Neighbour
from serving.deployment import Deployment, Store
from serving.documents import (
    ModelSource,
    SimilarItem,
    SimilarItemsDocument,
    SimilarUser,
    SimilarUsersDocument,
)
from serving.profile import UnknownUserError
from serving.reads import Reads
from serving.why import UnknownItemError

SERVICE = "vectors_v1"
USERS = Reads(SERVICE, lambda feature: feature.entity == "user")
ITEMS = Reads(SERVICE, lambda feature: feature.entity == "item")
_VECTOR, _MODEL = "vector", "model"
Entity = Literal["user", "item"]


def similar_users(
    deployment: Deployment, user_id: str, k: int, *, asked_at: datetime
) -> SimilarUsersDocument:
    """The k people whose vectors point most nearly where this person's does.

    Raises:
        UnknownUserError: no model has placed the person.
        ProfilestoreError: no online store.
    """
    model, found = _near(deployment.store(), "user", user_id, k, asked_at)
    return SimilarUsersDocument(
        asked_at=asked_at,
        user_id=user_id,
        source=ModelSource(model=model, feature_service=SERVICE),
        users=[SimilarUser(user_id=one.key, similarity=1 - one.distance) for one in found],
    )


def similar_items(
    deployment: Deployment, item_id: str, k: int, *, asked_at: datetime
) -> SimilarItemsDocument:
    """The k items whose vectors point most nearly where this item's does.

    Raises:
        UnknownItemError: no model has placed the item.
        ProfilestoreError: no online store.
    """
    store = deployment.store()
    model, found = _near(store, "item", item_id, k, asked_at)
    items = deployment.items().read([one.key for one in found], now=asked_at)
    return SimilarItemsDocument(
        asked_at=asked_at,
        item_id=item_id,
        source=ModelSource(model=model, feature_service=SERVICE),
        items=[
            SimilarItem(
                item=items[one.key].document(),
                similarity=1 - one.distance,
            )
            for one in found
        ],
    )


def _near(
    store: Store, entity: Entity, key: str, k: int, asked_at: datetime
) -> tuple[str, list[Neighbour]]:
    """The model that placed an entity, and its k nearest of that model."""
    records = store.online(SERVICE, entity, [key], now=asked_at)[0].values()
    placed = next((one.values for one in records if one.values.get(_VECTOR)), None)
    if placed is None:
        raise _unknown(entity, f"No model has placed {key!r}: it was not there when one was made.")
    asked = k + 1
    while True:
        near = store.nearest(SERVICE, entity, placed[_VECTOR], asked)
        # Who was not there at the latest training stands where an earlier model put them.
        found = [one for one in near if one.key != key and one.values.get(_MODEL) == placed[_MODEL]]
        if len(found) >= k or len(near) < asked:
            return str(placed[_MODEL]), found[:k]
        asked *= 2


def _unknown(entity: Entity, message: str) -> ProfilestoreError:
    return UnknownUserError(message) if entity == "user" else UnknownItemError(message)
