"""What the form offers by which an event is told on a profile's page."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from profilestore.errors import ProfilestoreError
from serving.deployment import Deployment
from serving.documents import ProfileDocument

# What a form offers where no model has learned the types of a log.
_TYPES = ("view", "rating", "purchase")


@dataclass(frozen=True)
class Form:
    """What the form offers.

    Attributes:
        event_id: of the event that it will tell: sent twice, it counts once.
        event_types: those that the model has learned.
        items: (item, its name) of what is on the page.
    """

    event_id: str
    event_types: Sequence[str]
    items: Sequence[tuple[str, str]]


def form_for(served: Deployment, profile: ProfileDocument) -> Form:
    """A form for the person of a profile."""
    try:
        learned = served.bundle().vocabularies.get("event_type")
    except ProfilestoreError:
        learned = None
    known = {}
    for block in (profile.recommendations, profile.history):
        for item in block.items if block is not None else ():
            known[item.item_id] = item.title or item.item_id
    types = tuple(learned.values) if learned is not None and learned.values else _TYPES
    return Form(secrets.token_hex(16), types, list(known.items()))
