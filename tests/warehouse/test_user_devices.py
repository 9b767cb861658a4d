"""user_devices says at any instant what counting the known events by device says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from warehouse_given import Given, instants, known, of, random_log
from warehouse_logs import DAY, left_at
from warehouse_reference import AsOf, assert_same

WINDOWS = {"30d": 30 * DAY, "lifetime": None}
CLASSES = ("mobile", "tablet", "desktop", "other")


def devices(events: Sequence[Given], at: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for suffix, span in WINDOWS.items():
        there = [one for one in known(events, at) if span is None or at < left_at(one.at, span)]
        classes = Counter(one.device_class for one in there if one.device_class)
        for name in CLASSES:
            share = classes[name] / classes.total() if classes else None
            found[f"{name}_share_{suffix}"] = share
        clients = {one.client_id for one in there if one.client_id}
        found[f"devices_{suffix}"] = len(clients)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_any_instant_of_a_random_log(lake_of_events: Any, seed: int) -> None:
    log = random_log(seed, most=40, people=2)
    as_of = AsOf(lake_of_events.rows("user_devices", log), "user_id")
    for person, own in of(log, "user_id").items():
        told = [one for one in own if one.device_class or one.client_id]
        for at in instants(own, [30 * DAY], seed=seed):
            found = as_of(person, at)
            if not known(told, at):
                assert found is None
                continue
            assert_same(found, devices(own, at), (seed, person, at))
            assert found is not None
            assert found["loaded_at"] <= found["event_timestamp"] <= at


def test_kinds_of_device_are_read_from_what_sources_say(scored: Any) -> None:
    """The simulator's phones, tablets and desktops; other sources say nothing of it."""
    found = scored.rows(
        """
        SELECT DISTINCT events.device_class, canonical.device ->> '$.type', events.source
        FROM lake.int_user_events AS events
        JOIN lake.int_events_canonical AS canonical USING (source, event_id)
        """
    )
    assert set(found) == {
        *(("mobile", "phone", "web"), ("tablet", "tablet", "web"), ("desktop", "desktop", "web")),
        *((None, None, "social"), (None, None, "orders")),
    }
