"""A person as recommendations see them: what is known of them, and what the model says to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import Bundle
from profilestore.encoding import Arrays, Feature
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import ViewRecord
from serving.deployment import Store
from serving.documents import ModelSource, State
from serving.reads import Reads
from serving.telemetry import timed

Records = Mapping[str, ViewRecord]


def names_items(feature: Feature) -> bool:
    """Whether a feature's values are items that the person turned to."""
    return feature.tags.get("vocabulary") == "item_id"


# The bundle's own columns, and those that say what not to recommend.
READS = Reads(None, names_items)


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
        records: what is known of the person, by view of the bundle's feature service.
        seen: the items that the model itself reads as the person's recent ones.
        answer: the query vector float32 [dimension], and each head's scores float32 [outputs].
    """

    bundle: Bundle
    state: State
    as_of: datetime | None
    reason: str | None
    records: Records
    seen: set[str]
    answer: Mapping[str, npt.NDArray[np.float32]]

    @property
    def source(self) -> ModelSource:
        return ModelSource(model=self.bundle.version, feature_service=self.bundle.feature_service)


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
        records=records,
        seen=seen_items(store.features(service), records),
        answer=answer,
    )
