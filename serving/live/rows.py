"""The online rows that events change.

A row is never counted on from itself: it is what the last materialisation wrote, and then the
events that arrived after what that had learned. So it may be made as often as one likes, and is
the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from profilestore.feature_store import StoredRow
from serving.deployment import Deployment
from serving.live.index import EventIndex
from serving.live.rules import TAG, ViewRules, view_rules

_ENTITY = "user"
_AT_ONCE = 500
_NEVER = -1


class LiveRows:
    """Makes the rows of people anew in the online store of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def refresh(self, people: Iterable[str], index: EventIndex) -> None:
        """Write the rows of these people, as their events say.

        Raises:
            ProfilestoreError: there is no online store yet, it is not ours, or cannot be written.
        """
        store = self._deployment.store()
        rules = view_rules(store.tagged(_ENTITY, TAG))
        some = iter(people)
        while chunk := list(islice(some, _AT_ONCE)):
            for view, of_view in rules.items():
                before = store.materialised_rows(view, chunk)
                after = {
                    user_id: row
                    for user_id, known in zip(chunk, before, strict=True)
                    if (row := _after(user_id, known, of_view, index)) is not None
                }
                if after:
                    store.push_rows(view, after)


def _after(
    user_id: str, known: StoredRow | None, rules: ViewRules, index: EventIndex
) -> StoredRow | None:
    """The row once the person's events have come; None where none came that changes it.

    A mart's row has learned everything up to its `loaded_at`, and what is told to the service is
    learned in the order in which it arrives.
    """
    learned = _NEVER if known is None or known.created is None else known.created
    events = index.of_person(user_id, learned)
    before = {} if known is None else known.values
    values = rules.applied(before, events)
    if not events or values == before:
        return None
    entered = max(event.entered for event in events)
    return StoredRow(
        values,
        entered if known is None else max(known.event, entered),
        max(event.received for event in events),
    )
