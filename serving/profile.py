"""One person's profile: a block for each feature view, and one for what the model recommends.

A view's tag `block` says which block it fills. A column has a place of its own where the block has
a shape (interests, history) and is a field of the block everywhere else, so that a column or a
view which dbt adds is served with no edit here.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import ViewRecord
from profilestore.instants import from_micros
from profilestore.settings import Settings
from profilestore.sources import Clock
from serving.deployment import Deployment
from serving.documents import (
    ClockNote,
    FieldsBlock,
    FieldValue,
    HistoryBlock,
    HistoryItem,
    IdentityBlock,
    InterestsBlock,
    InterestTag,
    ProfileDocument,
    RecommendationsBlock,
    State,
    ViewSource,
)
from serving.items import Item, read_items
from serving.reads import Reads
from serving.recommendations import (
    Recommended,
    is_known,
    no_recommendations,
    recommend_by_model,
    recommendations_block,
    seen_items,
)

SERVICE = "profile_v1"
# Every column about the person is a field of the document.
READS = Reads(SERVICE, lambda feature: feature.entity == "user")
RECOMMENDATIONS = 10

_ATTRIBUTES, _ACTIVITY, _INTERESTS, _HISTORY = "attributes", "activity", "interests", "history"
_OWN_BLOCKS = {_ATTRIBUTES, _ACTIVITY, _INTERESTS, _HISTORY}
_RESERVED = set(ProfileDocument.model_fields) - _OWN_BLOCKS
# What a view must have to fill a block that has a shape of its own, and what that shape may hold.
_SHAPES = {
    _INTERESTS: (
        "categories",
        {
            *("categories", "shares", "lifts", "confidences"),
            *("event_counts", "first_event_at_us", "last_event_at_us"),
        },
    ),
    _HISTORY: ("item_ids", {"item_ids", "event_types", "event_at_us"}),
}
# How many of those seen last are looked at for one whose profile has every block.
_CANDIDATES = 50


class UnknownUserError(ProfilestoreError):
    """Nothing is known of the person, and nothing was."""


def assemble_profile(settings: Settings, user_id: str | None = None) -> ProfileDocument:
    """The profile of one person, outside of a running service.

    Args:
        user_id: pseudonym; None for the one seen last of those whose profile is complete.

    Raises:
        MissingStageError: the online store is not filled.
        UnknownUserError: nobody of that name is in it.
    """
    deployment = Deployment(settings)
    if user_id is not None:
        return read_profile(deployment, user_id)
    last_seen, _ = deployment.people().page(_CANDIDATES)
    if not last_seen:
        raise UnknownUserError(
            "nobody is in the online store: the log has no events. Run `make logs` with one that "
            "has, then `make build materialize`."
        )
    profiles = (read_profile(deployment, person.user_id) for person in last_seen)
    complete = next((profile for profile in profiles if _is_complete(profile)), None)
    return complete or read_profile(deployment, last_seen[0].user_id)


def read_profile(
    deployment: Deployment, user_id: str, asked_at: datetime | None = None
) -> ProfileDocument:
    """The profile of one person as it is now.

    Without a bundle that can be used the block `recommendations` is missing and says why.

    Raises:
        UnknownUserError: there is no such person.
        ProfilestoreError: the online store is not filled, or cannot be read.
    """
    asked_at = asked_at or datetime.now(UTC)
    store = deployment.store()
    records = store.online(SERVICE, "user", [user_id], now=asked_at)[0]
    if not is_known(records):
        raise UnknownUserError(
            f"Nothing is known of {user_id!r}. Pseudonyms that can be asked for are at /v1/users; "
            "`profilestore pseudonym <raw id>` makes one from an identifier of your log."
        )
    features = store.features(SERVICE)
    seen = seen_items(features, records)
    recommended = _recommended(deployment, user_id, seen, asked_at)
    named = [*sorted(seen), *(scored.item_id for scored in recommended.items)]
    items = read_items(store, named, now=asked_at)
    return build_profile(
        user_id,
        records,
        features=features,
        view_tags=store.view_tags(SERVICE),
        items=items,
        recommendations=recommendations_block(recommended, items),
        clock=deployment.clock(),
        asked_at=asked_at,
    )


def build_profile(
    user_id: str,
    records: Mapping[str, ViewRecord],
    *,
    features: Sequence[Feature],
    view_tags: Mapping[str, Mapping[str, str]],
    items: Mapping[str, Item],
    recommendations: RecommendationsBlock,
    clock: Clock | None,
    asked_at: datetime,
) -> ProfileDocument:
    """The document, from what was read. No input, no output: the same arguments, the same answer.

    Args:
        records: view -> latest values of the person.
        features, view_tags: what the feature service says of them.
        items: titles of the items that the records name.
    """
    columns: dict[str, list[Feature]] = {view: [] for view in records}
    for feature in features:
        if feature.view in columns:
            columns[feature.view].append(feature)
    blocks: dict[str, FieldsBlock] = {}
    for view, record in records.items():
        tag = view_tags.get(view, {}).get("block", view)
        name = _block_name(tag, view, {column.name for column in columns[view]}, set(blocks))
        blocks[name] = _block(name, record, columns[view], items)
    for name in _OWN_BLOCKS - set(blocks):
        blocks[name] = _no_view(name)
    return ProfileDocument(
        asked_at=asked_at,
        clock=None if clock is None else clock_note(clock),
        identity=_identity(user_id, records, blocks[_ACTIVITY]),
        recommendations=recommendations,
        **blocks,
    )


def clock_note(clock: Clock) -> ClockNote:
    """The clock as it is served."""
    return ClockNote(
        shift_seconds=clock.shift_seconds,
        since=clock.chosen_at,
        why=clock.why,
        log_first_event_at=clock.first_event_at,
        log_last_event_at=clock.last_event_at,
    )


def _recommended(
    deployment: Deployment, user_id: str, seen: set[str], asked_at: datetime
) -> Recommended:
    try:
        bundle, store = deployment.bundle(), deployment.store()
        return recommend_by_model(
            bundle, store, user_id, RECOMMENDATIONS, without=seen, asked_at=asked_at
        )
    except ProfilestoreError as error:
        return no_recommendations(str(error), SERVICE)


def _block_name(tag: str, view: str, columns: set[str], taken: set[str]) -> str:
    """The block that a view fills: the one it is tagged with, unless that has another shape or is
    filled; then one of its own, so that each block has one source and one age."""
    needed = _SHAPES.get(tag, ("", set()))[0]
    if tag not in taken | _RESERVED and (not needed or needed in columns):
        return tag
    name = view
    while name in taken | _RESERVED | _OWN_BLOCKS:
        name += "_view"
    return name


def _block(
    name: str, record: ViewRecord, columns: Sequence[Feature], items: Mapping[str, Item]
) -> FieldsBlock:
    shaped = _SHAPES[name][1] if name in _SHAPES else set()
    about = {
        "state": record.state,
        "as_of": record.as_of,
        "source": ViewSource(view=record.view, feature_service=SERVICE),
        "reason": _reason(record.state),
        "fields": {
            column.name: FieldValue(
                value=_plain(record.values.get(column.name)),
                unit=column.tags.get("unit"),
                description=column.description or None,
            )
            for column in columns
            if column.name not in shaped
        },
    }
    if name == _INTERESTS:
        return InterestsBlock(**about, tags=_interest_tags(record.values))
    if name == _HISTORY:
        return HistoryBlock(**about, items=_history_items(record.values, items))
    return FieldsBlock(**about)


def _no_view(name: str) -> FieldsBlock:
    about = {
        "state": "missing",
        "as_of": None,
        "source": ViewSource(view=None, feature_service=SERVICE),
        "reason": f"No feature view of {SERVICE} fills the block {name!r}.",
    }
    if name == _INTERESTS:
        return InterestsBlock(**about, tags=[])
    if name == _HISTORY:
        return HistoryBlock(**about, items=[])
    return FieldsBlock(**about)


def _interest_tags(values: Mapping[str, Any]) -> list[InterestTag]:
    return [
        InterestTag(
            category=category,
            score=_plain(share),
            lift=_plain(lift),
            confidence=_plain(confidence),
            event_count=count,
            first_seen_at=_instant(first),
            last_seen_at=_instant(last),
        )
        for category, share, lift, confidence, count, first, last in _parallel(
            values,
            *("categories", "shares", "lifts", "confidences"),
            *("event_counts", "first_event_at_us", "last_event_at_us"),
        )
    ]


def _history_items(values: Mapping[str, Any], items: Mapping[str, Item]) -> list[HistoryItem]:
    history = []
    for item_id, event_type, at in _parallel(values, "item_ids", "event_types", "event_at_us"):
        item = items.get(item_id, Item(item_id))
        history.append(
            HistoryItem(
                item_id=item_id,
                title=item.title,
                categories=list(item.categories),
                event_type=event_type,
                at=_instant(at),
            )
        )
    return history


def _parallel(values: Mapping[str, Any], first: str, *others: str) -> Iterable[tuple[Any, ...]]:
    """Rows of lists that run in parallel; a list that is absent or short gives None."""
    columns = [list(values.get(name) or ()) for name in (first, *others)]
    rows = len(columns[0])
    return zip(*(column[:rows] + [None] * (rows - len(column)) for column in columns), strict=True)


def _identity(
    user_id: str, records: Mapping[str, ViewRecord], activity: FieldsBlock
) -> IdentityBlock:
    last_event = activity.fields.get("last_event_at")
    last_seen_at = None if last_event is None else last_event.value
    return IdentityBlock(
        state="fresh",
        as_of=max((r.as_of for r in records.values() if r.as_of is not None), default=None),
        source=ViewSource(view=None, feature_service=SERVICE),
        user_id=user_id,
        last_seen_at=last_seen_at if isinstance(last_seen_at, datetime) else None,
    )


def _reason(state: State) -> str | None:
    if state == "stale":
        return "The latest row is older than the view's time to live: its values are withheld."
    if state == "missing":
        return "The view has no row for this person."
    return None


def _plain(value: Any) -> Any:
    """A value that JSON can hold: null for NaN and infinity, lists for sets, base64 for bytes."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(element) for element in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(element) for key, element in value.items()}
    return value


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_micros(microseconds)


def _is_complete(profile: ProfileDocument) -> bool:
    blocks = [profile.activity, profile.interests, profile.history, profile.recommendations]
    return all(block.state == "fresh" for block in blocks)
