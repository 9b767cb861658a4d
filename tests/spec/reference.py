"""The slow reference: what a point-in-time join means, in loops that anyone can check."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def answer(scenario: Any) -> list[dict[str, Any]]:
    """The rows of the result, in order: the spine's columns, then the features asked for."""
    rows = []
    for asked in spine_of(scenario):
        row = dict(asked)
        for view in scenario.views:
            history = scenario.histories[view.table].records()
            found = as_of(asked, instant_of(asked), view, history, scenario.known_only)
            for feature in scenario.features_of(view):
                value = None if found is None else found[view.source_column(feature)]
                row[scenario.result_name(view, feature)] = value
        rows.append(row)
    return rows


def as_of(
    asked: dict[str, Any],
    instant: datetime | None,
    view: Any,
    history: list[dict[str, Any]],
    known_only: bool,
) -> dict[str, Any] | None:
    """The row of `history` that is the answer for one spine row, or None."""
    if instant is None:
        return None
    best = None
    for row in history:
        event = row[view.source_column(view.event)]
        created = row[view.source_column(view.created)] if view.created else None
        if not same_keys(asked, row, view):
            continue
        if event is None or event > instant:
            continue
        if view.ttl and event < instant - view.ttl:
            continue
        if known_only and view.created and (created is None or created > instant):
            continue
        # Of equal events the one created last; one that does not say comes first.
        rank = (event, created is not None, created)
        if best is None or rank > best[0]:
            best = (rank, row)
    return None if best is None else best[1]


def same_keys(asked: dict[str, Any], row: dict[str, Any], view: Any) -> bool:
    for key in view.keys:
        wanted = asked[view.join_key_map.get(key, key)]
        if wanted is None or row[key] is None or wanted != row[key]:
            return False
    return True


def instant_of(asked: dict[str, Any]) -> datetime | None:
    return asked["event_timestamp"]


def spine_of(scenario: Any) -> list[dict[str, Any]]:
    """The spine, or every change of a view with keys in the range."""
    if scenario.spine is not None:
        return scenario.spine.records()
    start, end = scenario.between
    keyed = [view for view in scenario.views if view.keys] or scenario.views
    changes = set()
    for view in keyed:
        for row in scenario.histories[view.table].records():
            event = row[view.source_column(view.event)]
            keys = tuple(row[key] for key in keyed[0].keys)
            if event is not None and None not in keys and start <= event <= end:
                changes.add((event, keys))
    return [
        {**dict(zip(keyed[0].keys, keys, strict=True)), "event_timestamp": event}
        for event, keys in sorted(changes)
    ]
