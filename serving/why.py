"""Why: what of all that is known of a person moves an item, a score or a tag, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import Bundle, BundleHead, head_output
from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from serving.attribution import Part, parts_of, shapley_values, telling
from serving.blocks.known import SERVICE as KNOWN_SERVICE
from serving.blocks.layout import HISTORY, INTERESTS
from serving.blocks.scores import CHURN, RETURNS
from serving.deployment import Deployment, Store
from serving.documents import (
    Contribution,
    ModelSource,
    ScoreWhyDocument,
    TagWhyDocument,
    ViewSource,
    WhyDocument,
)
from serving.items import READS as ITEMS
from serving.items import Item
from serving.profile import UnknownUserError, read_profile
from serving.reads import Reads
from serving.recommendations.person import Records, is_known, query_inputs
from serving.wording import feature_name, value_text

# Orders in which what is known is told, and as many backwards.
_ORDERS = 8
_SEED = 1
_ITEMS = "item_id"
# Of the mart of interests: what a tag's score is.
_SHARES = "shares"
# The interests, and the events that the history has of them.
OF_TAGS = (
    Reads(KNOWN_SERVICE, lambda feature: feature.view in ("user_interests", "user_history")),
    ITEMS,
)


class UnknownItemError(ProfilestoreError):
    """The model knows no such item."""


class UnknownScoreError(ProfilestoreError):
    """The model has no such score."""


class UnknownTagError(ProfilestoreError):
    """The person has no such tag."""


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
    records = _known_records(bundle, store, user_id, asked_at)
    if item_id not in bundle.item_ids:
        raise UnknownItemError(
            f"Model {bundle.version} knows no item {item_id!r}. Items that it recommends are at "
            f"/v1/recommendations/{user_id}."
        )
    vector = bundle.item_vectors[bundle.item_ids.index(item_id)]
    ahead = vector - bundle.item_vectors.mean(axis=0)
    shares = _shares(
        bundle, records, asked_at, lambda answer: float(np.dot(ahead, answer["vector"]))
    )
    contributions = _contributions(deployment, bundle, records, shares, asked_at)
    item = deployment.items().read([item_id], now=asked_at)[item_id]
    return WhyDocument(
        asked_at=asked_at,
        user_id=user_id,
        item=item.document(),
        source=ModelSource(model=bundle.version, feature_service=bundle.feature_service),
        score=float(np.dot(vector, shares.answer["vector"])),
        lead=shares.whole,
        lead_of_nobody=shares.nobody,
        contributions=contributions,
    )


def why_score(
    deployment: Deployment, user_id: str, name: str, *, asked_at: datetime
) -> ScoreWhyDocument:
    """What moves a score of a person, most first.

    The contributions add up to the difference between the score and that for somebody of whom
    nothing is known, on a scale on which they add: log-odds of a probability, and an amount as it
    is.

    Raises:
        UnknownUserError: nothing is known of the person.
        UnknownScoreError: the model has no such score.
        ProfilestoreError: no online store or no bundle.
    """
    bundle, store = deployment.bundle(), deployment.store()
    records = _known_records(bundle, store, user_id, asked_at)
    head, is_churn = _head(bundle, name)

    def on_scale(answer: Answer) -> float:
        value = _on_scale(head, answer[head_output(head.name)])
        return -value if is_churn else value

    shares = _shares(bundle, records, asked_at, on_scale)
    told = head.calibration(shares.answer[head_output(head.name)][None, :])[0]
    value = float(np.max(told))
    return ScoreWhyDocument(
        asked_at=asked_at,
        user_id=user_id,
        score=name,
        source=ModelSource(model=bundle.version, feature_service=bundle.feature_service),
        value=1 - value if is_churn else value,
        scale="amount" if head.kind == "amount" else "log-odds",
        on_scale=shares.whole,
        on_scale_of_nobody=shares.nobody,
        contributions=_contributions(deployment, bundle, records, shares, asked_at),
    )


def why_tag(
    deployment: Deployment, user_id: str, category: str, *, asked_at: datetime
) -> TagWhyDocument:
    """The events behind an interest of a person, as far as the history still has them.

    Raises:
        UnknownUserError: nothing is known of the person.
        UnknownTagError: the person has no such interest.
        ProfilestoreError: no online store.
    """
    fields = f"{INTERESTS},{HISTORY}"
    profile = read_profile(deployment, user_id, asked_at, fields=fields)
    interests, history = profile.interests, profile.history
    assert interests is not None
    assert history is not None
    tag = next((tag for tag in interests.tags if tag.category == category), None)
    if tag is None:
        known = ", ".join(tag.category for tag in interests.tags) or "none"
        raise UnknownTagError(f"{user_id} has no interest {category[:64]!r}, but: {known}.")
    described = {
        feature.name: feature.description
        for feature in deployment.store().features(KNOWN_SERVICE)
        if isinstance(interests.source, ViewSource) and feature.view == interests.source.view
    }
    return TagWhyDocument(
        asked_at=asked_at,
        user_id=user_id,
        tag=tag,
        source=interests.source,
        meaning=described.get(_SHARES),
        events=[item for item in history.items if category in item.categories],
    )


Answer = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class _Shares:
    """How a number is shared among the parts of what is known.

    Attributes:
        answer: of the model, when all is told.
        whole, nobody: the number when all is told, and when nothing is.
    """

    parts: list[Part]
    points: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]
    answer: Answer
    whole: float
    nobody: float


def _known_records(bundle: Bundle, store: Store, user_id: str, asked_at: datetime) -> Records:
    records = store.online(bundle.feature_service, "user", [user_id], now=asked_at)[0]
    if not is_known(records):
        raise UnknownUserError(
            f"Nothing is known of {user_id!r}, who is recommended what most people turn to."
        )
    return records


def _shares(
    bundle: Bundle, records: Records, asked_at: datetime, number: Callable[[Answer], float]
) -> _Shares:
    row = query_inputs(bundle, records, asked_at)
    nothing = bundle.encoding.encode_row({}, asked_at, bundle.vocabularies)
    history = bundle.encoding.histories(_ITEMS)
    parts = parts_of(bundle.encoding, row, history)

    def value(told: frozenset[int]) -> float:
        known = telling(bundle.encoding, row, nothing, history, [parts[n] for n in told])
        return number(bundle.query_tower.answer(known))

    points, errors = shapley_values(value, len(parts), _ORDERS, _SEED)
    return _Shares(
        parts=parts,
        points=points,
        errors=errors,
        answer=bundle.query_tower.answer(row),
        whole=value(frozenset(range(len(parts)))),
        nobody=value(frozenset()),
    )


def _contributions(
    deployment: Deployment, bundle: Bundle, records: Records, shares: _Shares, asked_at: datetime
) -> list[Contribution]:
    turned_to = _history_ids(bundle, records, bundle.encoding.histories(_ITEMS))
    items = deployment.items().read(turned_to, now=asked_at)
    features = {
        feature.column: feature for feature in deployment.store().features(bundle.feature_service)
    }
    found = [
        _contribution(part, float(value), float(error), records, features, turned_to, items)
        for part, value, error in zip(shares.parts, shares.points, shares.errors, strict=True)
    ]
    return sorted(found, key=lambda one: -abs(one.points))


def _head(bundle: Bundle, name: str) -> tuple[BundleHead, bool]:
    """The head of a score, and whether the score is what the head leaves."""
    if name in bundle.heads:
        return bundle.heads[name], False
    returns = name.replace(CHURN, RETURNS, 1)
    if name.startswith(CHURN) and returns in bundle.heads:
        return bundle.heads[returns], True
    known = ", ".join(sorted(bundle.heads)) or "none"
    raise UnknownScoreError(f"Model {bundle.version} has no score {name[:64]!r}, but: {known}.")


def _on_scale(head: BundleHead, output: npt.NDArray[np.float32]) -> float:
    """Of one row: log-odds of its probability, or its amount."""
    told = head.calibration(output[None, :])[0]
    if head.kind == "amount":
        return float(told)
    if head.kind == "binary":
        # Not from the probability, which is 1 to all its digits long before the logit ends.
        return float(head.calibration.slope * output[0] + head.calibration.offset)
    likely = float(np.clip(np.max(told), 1e-12, 1 - 1e-12))
    return float(np.log(likely / (1 - likely)))


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
        item = found.document()
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
