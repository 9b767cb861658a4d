"""One person's profile: the blocks that are asked for, from feature views and the bundle.

Each block is made in a module of `serving.blocks`; here is read what they need, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from profilestore.errors import InputError, ProfilestoreError
from profilestore.settings import Settings
from profilestore.sources import Clock
from serving.blocks.embedding import embedding_block
from serving.blocks.history import history_block
from serving.blocks.identity import identity_block
from serving.blocks.interests import interests_block
from serving.blocks.known import SERVICE, Known
from serving.blocks.layout import (
    ACTIVITY,
    EMBEDDING,
    HISTORY,
    INTERESTS,
    OF_MODEL,
    OF_VIEWS,
    PREFERENCES,
    RECOMMENDATIONS,
    SCORES,
    SEGMENTS,
    Layout,
)
from serving.blocks.model import Model, model_of
from serving.blocks.permission import Permission, permission_for
from serving.blocks.preferences import MADE_FROM, preferences_block
from serving.blocks.scores import scores_block
from serving.blocks.segments import READS as SEGMENTS_READ
from serving.blocks.segments import VALUE, segments_block
from serving.blocks.view_fields import fields_block
from serving.deployment import Deployment
from serving.documents import ClockNote, ProfileDocument, RecommendationsBlock
from serving.items import AVAILABILITY, Item
from serving.items import READS as ITEMS
from serving.reads import Reads
from serving.recommendations.block import recommendations_block
from serving.recommendations.person import READS as MODEL
from serving.recommendations.person import Records, is_known, names_items, seen_items
from serving.recommendations.pipeline import FIRST_TURNED_TO, recommend_to
from serving.recommendations.retrieve import READS as CONTENT

# Every column about the person is a field of the document; items have titles, the model is asked.
READS = (
    Reads(SERVICE, lambda feature: feature.entity == "user"),
    *(ITEMS, AVAILABILITY, FIRST_TURNED_TO, MODEL, CONTENT, SEGMENTS_READ),
)
_RECOMMENDED = 10
# Staging lets no event through that is older.
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
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
    deployment: Deployment,
    user_id: str,
    asked_at: datetime | None = None,
    *,
    fields: str | None = None,
    purpose: str | None = None,
    as_of: datetime | None = None,
) -> ProfileDocument:
    """The profile of one person as it is now, or as it was known at an earlier instant.

    Without a bundle that can be used the blocks that it makes are missing and say why.

    Args:
        fields: names of blocks with commas between; by default all but those on request.
        purpose: what it is asked for; a block that no feature service of that purpose reads is
            withheld. By default nothing is withheld.
        as_of: the earlier instant, UTC where it has no zone: blocks of views are read from the
            offline store, and those of a model are missing.

    Raises:
        InputError: there is no such block or purpose, or the instant is yet to come.
        UnknownUserError: there is no such person.
        ProfilestoreError: the online store is not filled, or cannot be read.
    """
    asked_at = asked_at or datetime.now(UTC)
    asked = _Asked.of(deployment, asked_at, fields=fields, purpose=purpose, as_of=as_of)
    store = deployment.store()

    def read(views: set[str]) -> Records:
        if as_of is not None:
            return deployment.past().as_of(SERVICE, "user", user_id, asked.at, views=views)
        return store.online(SERVICE, "user", [user_id], now=asked.at, views=views)[0]

    records = read(asked.needed)
    if asked.told and not is_known(records) and not is_known(read(asked.told - asked.needed)):
        when = "" if as_of is None else f" at {asked.at.isoformat()}"
        raise UnknownUserError(
            f"Nothing is known of {user_id!r}{when}. Pseudonyms that can be asked for are at "
            "/v1/users; `profilestore pseudonym <raw id>` makes one from an identifier of "
            "your log."
        )
    return _profile(deployment, asked, user_id, records)


def read_profiles(
    deployment: Deployment,
    user_ids: Sequence[str],
    asked_at: datetime | None = None,
    *,
    fields: str | None = None,
    purpose: str | None = None,
) -> tuple[list[ProfileDocument], list[str]]:
    """The profiles of several people, as `read_profile` makes them, with one read of their views.

    Returns:
        The profiles, in the order asked for, each once; and those of whom nothing is known.

    Raises:
        InputError: there is no such block or purpose.
        ProfilestoreError: the online store is not filled, or cannot be read.
    """
    asked_at = asked_at or datetime.now(UTC)
    asked = _Asked.of(deployment, asked_at, fields=fields, purpose=purpose, as_of=None)
    store = deployment.store()

    def read(who: Sequence[str], views: set[str]) -> dict[str, Records]:
        rows = store.online(SERVICE, "user", who, now=asked.at, views=views)
        return dict(zip(who, rows, strict=True))

    records = read(list(dict.fromkeys(user_ids)), asked.needed)
    doubtful = [one for one, found in records.items() if asked.told and not is_known(found)]
    rest = read(doubtful, asked.told - asked.needed) if doubtful else {}
    unknown = [one for one in doubtful if not is_known(rest[one])]
    return [
        _profile(deployment, asked, user_id, found)
        for user_id, found in records.items()
        if user_id not in unknown
    ], unknown


@dataclass(frozen=True)
class _Asked:
    """What is asked for, whoever it is of.

    Attributes:
        asked_at: now.
        at: the instant whose values are asked for.
        chosen: names of blocks.
        told: views that may be told.
        needed: those of them that the blocks are made from.
    """

    asked_at: datetime
    at: datetime
    is_past: bool
    purpose: str | None
    layout: Layout
    permission: Permission
    chosen: set[str]
    told: set[str]
    needed: set[str]

    @classmethod
    def of(
        cls,
        deployment: Deployment,
        asked_at: datetime,
        *,
        fields: str | None,
        purpose: str | None,
        as_of: datetime | None,
    ) -> _Asked:
        store = deployment.store()
        layout = Layout.of(store.features(SERVICE), store.view_tags(SERVICE))
        chosen = layout.chosen(fields)
        permission = permission_for(store, purpose)
        told = {view for view in layout.columns if permission.of_view(view, SERVICE) is not None}
        return cls(
            asked_at=asked_at,
            at=asked_at if as_of is None else _past(as_of, asked_at),
            is_past=as_of is not None,
            purpose=purpose,
            layout=layout,
            permission=permission,
            chosen=chosen,
            told=told,
            needed={view for view in _needed(layout, chosen) if view in told},
        )


def _profile(
    deployment: Deployment, asked: _Asked, user_id: str, records: Records
) -> ProfileDocument:
    layout, chosen, asked_at = asked.layout, asked.chosen, asked.asked_at
    known = Known(user_id, records, layout, asked.permission, asked.at, is_past=asked.is_past)
    seen = seen_items(deployment.store().features(SERVICE), records)
    model = model_of(deployment, known) if chosen & OF_MODEL else None
    recommendations: RecommendationsBlock | None = None
    items: Mapping[str, Item] = {}
    if model is not None and RECOMMENDATIONS in chosen:
        recommendations, items = _recommended(deployment, model, seen, asked_at)
    if not items and chosen & {HISTORY, PREFERENCES}:
        items = deployment.items().read(sorted(seen), now=asked_at)
    own: dict[str, Callable[[], Any]] = {
        INTERESTS: lambda: interests_block(known),
        HISTORY: lambda: history_block(known, items),
    }
    blocks = {
        name: own.get(name, lambda name=name: fields_block(known, name))()
        for name in dict.fromkeys([*OF_VIEWS, *layout.views])
        if name in chosen
    }
    if PREFERENCES in chosen:
        blocks[PREFERENCES] = preferences_block(known, items)
    if SEGMENTS in chosen:
        blocks[SEGMENTS] = segments_block(deployment, known)
    if model is not None and SCORES in chosen:
        blocks[SCORES] = scores_block(known, model)
    if model is not None and EMBEDDING in chosen:
        blocks[EMBEDDING] = embedding_block(model)
    if recommendations is not None:
        blocks[RECOMMENDATIONS] = recommendations
    clock = deployment.clock()
    return ProfileDocument(
        asked_at=asked_at,
        as_of=asked.at if asked.is_past else None,
        purpose=asked.purpose,
        clock=None if clock is None else clock_note(clock),
        identity=identity_block(known),
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


def _past(as_of: datetime, asked_at: datetime) -> datetime:
    zoned = as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of
    if not _EARLIEST <= zoned <= asked_at:
        raise InputError(
            f"as_of: found {zoned.isoformat()}, needed an instant from {_EARLIEST.year} until now "
            f"({asked_at.isoformat()})."
        )
    return zoned.astimezone(UTC)


def _needed(layout: Layout, chosen: set[str]) -> set[str]:
    """Views that blocks are made from; and who is asked for, and when they were last seen."""
    needed = {layout.views[name] for name in {*chosen, ACTIVITY} if name in layout.views}
    if PREFERENCES in chosen:
        needed |= {layout.tagged[tag] for tag in MADE_FROM if tag in layout.tagged}
    if SEGMENTS in chosen and VALUE in layout.tagged:
        needed.add(layout.tagged[VALUE])
    if RECOMMENDATIONS in chosen:
        needed |= {
            view for view, columns in layout.columns.items() if any(map(names_items, columns))
        }
    return needed


def _recommended(
    deployment: Deployment, model: Model, seen: set[str], asked_at: datetime
) -> tuple[RecommendationsBlock, Mapping[str, Item]]:
    """The block, and the items that were read for it; what stands in the way is a reason."""
    about = model.about()
    if model.asked is not None:
        try:
            found = recommend_to(deployment, model.asked, _RECOMMENDED, seen, asked_at=asked_at)
            return recommendations_block(found), found.items
        except ProfilestoreError as error:
            about |= {"state": "missing", "reason": str(error)}
    return RecommendationsBlock(**about, method=None, items=[]), {}


def _is_complete(profile: ProfileDocument) -> bool:
    blocks = [profile.activity, profile.interests, profile.history, profile.recommendations]
    return all(block is not None and block.state == "fresh" for block in blocks)
