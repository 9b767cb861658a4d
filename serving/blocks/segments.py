"""Segments: the class by purchases, the cluster by behaviour, and how odd that behaviour is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from profilestore.segmentation import Difference
from serving.blocks.known import Known
from serving.blocks.model import NOT_KEPT
from serving.blocks.whole import about_whole
from serving.deployment import Deployment
from serving.documents import (
    BehaviouralSegment,
    ModelSource,
    Oddness,
    RfmSegment,
    SegmentDifference,
    SegmentsBlock,
    ViewSource,
)
from serving.reads import Reads

VALUE = "value"
# What `python -m training profiles` reads unless its config says otherwise.
BEHAVIOUR_SERVICE = "behaviour_v1"
READS = Reads(BEHAVIOUR_SERVICE, lambda feature: feature.entity == "user")


@dataclass(frozen=True)
class PurchaseClass:
    """A class of purchases; `holds` of the fifths by recency, frequency and spend."""

    name: str
    rule: str
    holds: Callable[[int, int, int], bool]


# The first that holds.
_CLASSES = (
    PurchaseClass(
        "champion",
        "Bought lately, often and for much: each in the upper two fifths of all who bought.",
        lambda recency, frequency, spend: min(recency, frequency, spend) >= 4,
    ),
    PurchaseClass(
        "loyal",
        "Buys often (upper two fifths), and not long ago (upper three fifths).",
        lambda recency, frequency, spend: frequency >= 4 and recency >= 3,
    ),
    PurchaseClass(
        "big spender",
        "Pays much (upper two fifths), and not long ago (upper three fifths).",
        lambda recency, frequency, spend: spend >= 4 and recency >= 3,
    ),
    PurchaseClass(
        "new",
        "Bought lately (upper two fifths), and seldom so far (lower two fifths).",
        lambda recency, frequency, spend: recency >= 4 and frequency <= 2,
    ),
    PurchaseClass(
        "promising",
        "Bought lately (upper two fifths), as often as most and not for much.",
        lambda recency, frequency, spend: recency >= 4,
    ),
    PurchaseClass(
        "at risk",
        "Bought often or for much (upper two fifths), and not for long (lower two fifths).",
        lambda recency, frequency, spend: recency <= 2 and max(frequency, spend) >= 4,
    ),
    PurchaseClass(
        "asleep",
        "Has not bought for long (lower two fifths), nor often or for much before.",
        lambda recency, frequency, spend: recency <= 2,
    ),
    PurchaseClass(
        "regular",
        "In the middle: bought neither lately nor long ago, neither often nor for much.",
        lambda recency, frequency, spend: True,
    ),
)


CLASS_NAMES = tuple(one.name for one in _CLASSES)


def class_of(recency: int, frequency: int, spend: int) -> PurchaseClass:
    """The class of whoever stands in these fifths."""
    return next(one for one in _CLASSES if one.holds(recency, frequency, spend))


def segments_block(deployment: Deployment, known: Known) -> SegmentsBlock:
    """The groups that a person is in; each part says where it is from, or why it is not."""
    behaviour, oddness = _behaviour(deployment, known)
    rfm = _rfm(known)
    return SegmentsBlock(
        **about_whole([rfm, behaviour, oddness]), rfm=rfm, behaviour=behaviour, oddness=oddness
    )


def _rfm(known: Known) -> RfmSegment:
    view = known.layout.tagged.get(VALUE)
    about, values = known.about(view, "the class by purchases"), known.values(view)
    scores = {
        name: values.get(name) for name in ("recency_score", "frequency_score", "spend_score")
    }
    if None in scores.values():
        if about["state"] == "fresh":
            about |= {"state": "missing", "reason": "No purchase is known."}
        return RfmSegment(**about, name=None, rule=None, **scores)
    found = class_of(*scores.values())
    return RfmSegment(**about, name=found.name, rule=found.rule, **scores)


def _behaviour(deployment: Deployment, known: Known) -> tuple[BehaviouralSegment, Oddness]:
    service = BEHAVIOUR_SERVICE
    try:
        segmentation, store = deployment.segmentation(), deployment.store()
        service = segmentation.feature_service
        if not known.permission.of_service(service):
            reason = known.permission.reason(f"what segments are made of (`{service}`)")
            return _none("withheld", reason, service)
        if known.is_past:
            return _none("missing", NOT_KEPT, service)
        views = {column.split("__", 1)[0] for column in segmentation.encoding.columns}
        records = store.online(service, "user", [known.user_id], now=known.asked_at, views=views)[0]
        values = {
            f"{record.view}__{name}": value
            for record in records.values()
            for name, value in record.values.items()
        }
        if not any(record.state == "fresh" for record in records.values()):
            return _none("missing", "Nothing is known of what the person does.", service)
        placed = segmentation.place(values, known.asked_at)
        features = {feature.column: feature for feature in store.features(service)}
    except ProfilestoreError as error:
        return _none("missing", str(error), service)
    about: dict[str, Any] = {
        "state": "fresh",
        "as_of": max(record.as_of for record in records.values() if record.as_of is not None),
        "source": ModelSource(model=segmentation.version, feature_service=service),
    }
    centre = [
        SegmentDifference(
            text=_text(difference, features), column=difference.column, by=difference.by
        )
        for difference in placed.cluster.differences
    ]
    return (
        BehaviouralSegment(
            **about, name=placed.cluster.name, share=placed.cluster.share, centre=centre
        ),
        Oddness(**about, percentile=placed.oddness),
    )


def _none(state: str, reason: str, service: str) -> tuple[BehaviouralSegment, Oddness]:
    about = {
        "state": state,
        "as_of": None,
        "source": ViewSource(view=None, feature_service=service),
        "reason": reason,
    }
    return (
        BehaviouralSegment(**about, name=None, share=None, centre=[]),
        Oddness(**about, percentile=None),
    )


def _text(difference: Difference, features: Mapping[str, Feature]) -> str:
    feature = features.get(difference.column)
    words = difference.column
    if feature is not None and feature.description:
        # What stands for a missing value is no part of what sets people apart.
        words = feature.description.split(";")[0].rstrip(".")
    if difference.of_known:
        more = "more" if difference.by > 0 else "fewer"
        return f"{words}: known of {more} people than usual"
    above = "above" if difference.by > 0 else "below"
    return f"{words}: {abs(difference.by):.1f} standard deviations {above} everybody's mean"
