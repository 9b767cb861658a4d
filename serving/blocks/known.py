"""What is known of a person when asked: where all blocks are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from profilestore.feature_store import ViewRecord
from serving.blocks.layout import Layout
from serving.blocks.permission import Permission
from serving.documents import State, ViewSource

SERVICE = "profile_v1"


@dataclass(frozen=True)
class Known:
    """A person at an instant.

    Attributes:
        records: view -> values, of the views that were read.
        asked_at: when it was asked, or the earlier instant that was asked for.
        is_past: whether it is that.
    """

    user_id: str
    records: Mapping[str, ViewRecord]
    layout: Layout
    permission: Permission
    asked_at: datetime
    is_past: bool = False

    def values(self, view: str | None) -> Mapping[str, Any]:
        """Values of a view; none where it was not read or may not be told."""
        record = self.records.get(view or "")
        return {} if record is None else record.values

    def about(self, view: str | None, what: str) -> dict[str, Any]:
        """State, age, source and reason of what is made from a view.

        Args:
            view: None where no view has what is needed.
            what: its name, for the reason.
        """
        if view is None:
            return _about(
                "missing", None, None, SERVICE, f"No feature view of {SERVICE} fills {what}."
            )
        service = self.permission.of_view(view, SERVICE)
        if service is None:
            return _about("withheld", None, view, SERVICE, self.permission.reason(f"`{view}`"))
        record = self.records[view]
        return _about(record.state, record.as_of, view, service, _reason(record.state))


def _about(
    state: State, as_of: datetime | None, view: str | None, service: str, reason: str | None
) -> dict[str, Any]:
    source = ViewSource(view=view, feature_service=service)
    return {"state": state, "as_of": as_of, "source": source, "reason": reason}


def _reason(state: State) -> str | None:
    if state == "stale":
        return "The latest row is older than the view's time to live: its values are withheld."
    if state == "missing":
        return "The view has no row for this person."
    return None
