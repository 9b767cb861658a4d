"""Why an item is recommended to a person: what is known of them that moves its score, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from profilestore.artifacts import Bundle
from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from serving.attribution import Part, parts_of, shapley_values, telling
from serving.deployment import Deployment
from serving.documents import Contribution, ItemDocument, ModelSource, WhyDocument
from serving.items import Item, read_items
from serving.profile import UnknownUserError
from serving.recommendations import Records, is_known, query_inputs
from serving.wording import feature_name, value_text

# Orders in which what is known is told, and as many backwards.
_ORDERS = 8
_SEED = 1
_ITEMS = "item_id"


class UnknownItemError(ProfilestoreError):
    """The model knows no such item."""


def why(deployment: Deployment, user_id: str, item_id: str, *, asked_at: datetime) -> WhyDocument:
    """What moves the lead of an item for a person, most first.

    The lead is its score less the mean score of all items: what lifts all items alike is no reason
    for one. The contributions add up to the difference between the lead and that for somebody of
    whom nothing is known.

    Raises:
        UnknownUserError: nothing is known of the person.
        UnknownItemError: the model has no vector of the item.
        ProfilestoreError: no online store or no bundle.
    """
    bundle, store = deployment.bundle(), deployment.store()
    service = bundle.feature_service
    records = store.online(service, "user", [user_id], now=asked_at)[0]
    if not is_known(records):
        raise UnknownUserError(
            f"Nothing is known of {user_id!r}, who is recommended what most people turn to."
        )
    if item_id not in bundle.item_ids:
        raise UnknownItemError(
            f"Model {bundle.version} knows no item {item_id!r}. Items that it recommends are at "
            f"/v1/recommendations/{user_id}."
        )
    vector = bundle.item_vectors[bundle.item_ids.index(item_id)]
    ahead = vector - bundle.item_vectors.mean(axis=0)
    row = query_inputs(bundle, records, asked_at)
    nothing = bundle.encoding.encode_row({}, asked_at, bundle.vocabularies)
    history = bundle.encoding.histories(_ITEMS)
    parts = parts_of(bundle.encoding, row, history)

    def lead(told: frozenset[int]) -> float:
        known = telling(bundle.encoding, row, nothing, history, [parts[n] for n in told])
        return float(np.dot(ahead, bundle.query_tower(known)))

    points, errors = shapley_values(lead, len(parts), _ORDERS, _SEED)
    turned_to = _history_ids(bundle, records, history)
    items = read_items(store, [item_id, *turned_to], now=asked_at)
    features = {feature.column: feature for feature in store.features(service)}
    contributions = [
        _contribution(part, float(value), float(error), records, features, turned_to, items)
        for part, value, error in zip(parts, points, errors, strict=True)
    ]
    return WhyDocument(
        asked_at=asked_at,
        user_id=user_id,
        item=ItemDocument(
            item_id=item_id,
            title=items[item_id].title,
            categories=list(items[item_id].categories),
        ),
        source=ModelSource(model=bundle.version, feature_service=service),
        score=float(np.dot(vector, bundle.query_tower(row))),
        lead=lead(frozenset(range(len(parts)))),
        lead_of_nobody=lead(frozenset()),
        contributions=sorted(contributions, key=lambda one: -abs(one.points)),
    )


def _history_ids(bundle: Bundle, records: Records, history: list[str]) -> list[str]:
    if not history:
        return []
    view, name = history[0].split("__", 1)
    return list(records[view].values.get(name) or ())


def _contribution(
    part: Part,
    points: float,
    error: float,
    records: Records,
    features: Mapping[str, Feature],
    turned_to: list[str],
    items: Mapping[str, Item],
) -> Contribution:
    feature = features[part.column]
    record = records[feature.view]
    item = None
    if part.place is not None:
        found = items[turned_to[part.place]]
        item = ItemDocument(
            item_id=found.item_id, title=found.title, categories=list(found.categories)
        )
        text = f"turned to {found.title or found.item_id}"
    else:
        # A vector says nothing to a reader.
        value = None if "vector" in feature.tags else record.values.get(feature.name)
        said = "" if value is None else f": {value_text(value, feature.tags.get('unit'))}"
        text = f"{feature_name(feature.name)}{said}"
    return Contribution(
        points=points,
        standard_error=error,
        text=text,
        view=feature.view,
        feature=feature.name,
        description=feature.description or None,
        as_of=record.as_of,
        item=item,
    )
