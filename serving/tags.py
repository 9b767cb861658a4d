"""The dictionary of tags as it is served: a profile has a person's tags, this what they mean."""

from __future__ import annotations

from collections import Counter

from profilestore.encoding import Feature
from profilestore.errors import InputError
from profilestore.feature_store import PEOPLE_SERVICE
from profilestore.tags import LEAST_HOLDERS, Tag
from serving.deployment import Deployment
from serving.documents import TagDocument, TagsDocument, ViewSource
from serving.reads import Reads

# Counted when the online store is filled; which columns, `profilestore.tags.tag_columns` says.
READS = Reads(
    PEOPLE_SERVICE, lambda feature: feature.entity == "user" and feature.kind == "list_of_text"
)


def tags_document(
    deployment: Deployment, *, kind: str | None, limit: int, after: int
) -> TagsDocument:
    """A page of the dictionary.

    Args:
        kind: column of a mart, as `categories`; None for all.
        after: how many to leave out.

    Raises:
        InputError: there is no such kind.
        ProfilestoreError: nothing was counted yet.
    """
    counted = deployment.tags()
    features = {feature.column: feature for feature in deployment.store().features(PEOPLE_SERVICE)}
    known = [tag for tag in counted.tags if tag.column in features]
    kinds = Counter(features[tag.column].name for tag in known)
    if kind is not None and kind not in kinds:
        raise InputError(
            f"kind: found {kind[:64]!r}, needed one of: {', '.join(sorted(kinds)) or 'none'}."
        )
    wanted = [tag for tag in known if kind is None or features[tag.column].name == kind]
    page = wanted[after : after + limit]
    return TagsDocument(
        materialized_at=counted.at,
        kinds=dict(kinds),
        total=len(wanted),
        tags=[_document(tag, features[tag.column]) for tag in page],
        next=after + limit if after + limit < len(wanted) else None,
    )


def _document(tag: Tag, feature: Feature) -> TagDocument:
    meaning = feature.description or f"column `{feature.name}` of {feature.view}"
    return TagDocument(
        tag=tag.name,
        kind=feature.name,
        definition=(
            f"“{tag.name}” is among the {feature.name.replace('_', ' ')} of whoever has the tag. "
            f"{meaning}"
        ),
        source=ViewSource(view=feature.view, feature_service=PEOPLE_SERVICE),
        holders=tag.holders,
        holders_text=(f"fewer than {LEAST_HOLDERS}" if tag.holders is None else f"{tag.holders:,}"),
    )
