"""user_sessions says at any instant what cutting the known events into sessions says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from warehouse_given import Given, instants, known, of, random_log
from warehouse_logs import DAY, SECOND
from warehouse_reference import AsOf, assert_same

GAP = 30 * 60 * SECOND
WINDOWS = {"7d": 7 * DAY, "30d": 30 * DAY, "lifetime": None}


@dataclass
class Session:
    events: list[Given]

    @property
    def first(self) -> int:
        return min(one.at for one in self.events)

    @property
    def last(self) -> int:
        return max(one.at for one in self.events)

    def has_ended(self, at: int) -> bool:
        return self.last + GAP <= at


def learned(events: Sequence[Given]) -> list[Given]:
    """In the order in which they were learned."""
    return sorted(events, key=lambda one: (one.entered_at, one.at, one.event_id))


def cut(events: Sequence[Given]) -> list[Session]:
    """By what the source says, else by gaps."""
    hinted = defaultdict(list)
    found, before = [], None
    for one in learned(events):
        if one.session_hint is not None:
            hinted[one.source, one.session_hint].append(one)
        elif before is not None and abs(one.at - before.at) <= GAP:
            found[-1].events.append(one)
            before = one
        else:
            found.append(Session([one]))
            before = one
    return [*found, *map(Session, hinted.values())]


def ended(events: Sequence[Given], at: int) -> list[Session]:
    return [one for one in cut(known(events, at)) if one.has_ended(at)]


def sessions(events: Sequence[Given], at: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for suffix, span in WINDOWS.items():
        there = [one for one in ended(events, at) if span is None or one.last > at - span]
        some = len(there) or None
        found[f"sessions_{suffix}"] = len(there)
        found[f"session_mean_{suffix}_seconds"] = (
            some and sum(one.last - one.first for one in there) / SECOND / some
        )
        found[f"session_events_mean_{suffix}"] = (
            some and sum(len(one.events) for one in there) / some
        )
    return found


def last_session(events: Sequence[Given], at: int) -> int:
    """The latest start of a session that has ended, as it was known when it ended."""
    moments = {one.entered_at for one in events} | {one.at + GAP for one in events}
    starts = [
        session.first for moment in moments if moment <= at for session in ended(events, moment)
    ]
    return max(starts) // SECOND * SECOND


@pytest.mark.parametrize("seed", range(40))
def test_any_instant_of_a_random_log(lake_of_events: Any, seed: int) -> None:
    log = random_log(seed, most=30, people=2)
    as_of = AsOf(lake_of_events.rows("user_sessions", log), "user_id")
    spans = [GAP, *(span for span in WINDOWS.values() if span)]
    for person, own in of(log, "user_id").items():
        seen = False
        for at in instants(own, spans, seed=seed):
            found = as_of(person, at)
            seen = seen or bool(ended(own, at))
            if not seen:
                assert found is None
                continue
            assert_same(found, sessions(own, at), (seed, person, at))
            assert found is not None
            assert found["last_session_at"] == last_session(own, at), (seed, person, at)
            assert found["loaded_at"] <= found["event_timestamp"] <= at
        assert seen


def test_a_session_is_of_one_source(lake_of_events: Any) -> None:
    at = 20_000 * DAY
    log = [
        Given("a", "u", "i1", "click", at, at, session_hint="7", source="web"),
        Given("b", "u", "i1", "click", at, at, session_hint="7", source="orders"),
        Given("c", "u", "i1", "click", at, at, source="web"),
        Given("d", "u", "i1", "click", at, at, source="orders"),
    ]
    (first, *_) = lake_of_events.rows("user_sessions", log)
    assert first["sessions_lifetime"] == 4
