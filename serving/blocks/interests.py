"""Interest tags: the categories that a person turns to."""

from __future__ import annotations

from serving.blocks.known import Known
from serving.blocks.layout import INTERESTS
from serving.blocks.view_fields import fields_of, instant, parallel, plain
from serving.documents import InterestsBlock, InterestTag


def interests_block(known: Known) -> InterestsBlock:
    """Tags as the mart orders them, strongest first."""
    return InterestsBlock(
        **fields_of(known, INTERESTS),
        tags=[
            InterestTag(
                category=category,
                score=plain(share),
                lift=plain(lift),
                confidence=plain(confidence),
                event_count=count,
                first_seen_at=instant(first),
                last_seen_at=instant(last),
            )
            for category, share, lift, confidence, count, first, last in parallel(
                known.values(known.layout.views.get(INTERESTS)),
                *("categories", "shares", "lifts", "confidences"),
                *("event_counts", "first_event_at_us", "last_event_at_us"),
            )
        ],
    )
