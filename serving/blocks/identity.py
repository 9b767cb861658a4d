"""Who this is, without saying who this is."""

from __future__ import annotations

from datetime import datetime

from serving.blocks.known import SERVICE, Known
from serving.blocks.layout import ACTIVITY
from serving.documents import IdentityBlock, ViewSource


def identity_block(known: Known) -> IdentityBlock:
    """The pseudonym, and when the person was last seen as far as that may be told."""
    last_seen_at = known.values(known.layout.views.get(ACTIVITY)).get("last_event_at")
    ages = (record.as_of for record in known.records.values() if record.as_of is not None)
    return IdentityBlock(
        state="fresh",
        as_of=max(ages, default=None),
        source=ViewSource(view=None, feature_service=SERVICE),
        user_id=known.user_id,
        last_seen_at=last_seen_at if isinstance(last_seen_at, datetime) else None,
    )
