"""What a block says of itself that is made of parts, each with its own source and age."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serving.blocks.known import SERVICE
from serving.documents import Block, State, ViewSource

# The best of the parts' states is that of the whole.
_ORDER: tuple[State, ...] = ("fresh", "stale", "missing", "withheld")


def about_whole(parts: Iterable[Block]) -> dict[str, Any]:
    """State, age, source and reason of a block that is made of others."""
    found = list(parts)
    state = min((part.state for part in found), key=_ORDER.index)
    return {
        "state": state,
        "as_of": max((part.as_of for part in found if part.as_of is not None), default=None),
        "source": ViewSource(view=None, feature_service=SERVICE),
        "reason": None if state == "fresh" else "No part of it is fresh; each says why.",
    }
