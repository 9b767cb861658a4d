"""Law 3: at every instant a mart says what counting the events says."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import pytest
from warehouse_logs import DAY, HOUR, WINDOW_DAYS, Event, rounded_up
from warehouse_reference import (
    ITEM_WINDOWS,
    USER_WINDOWS,
    AsOf,
    by,
    check_interests,
    check_mart,
    item_popularity,
    probes,
    user_activity,
    user_history,
)

MOST = 700  # instants asked of one entity


@pytest.fixture(scope="module")
def people(warehouse: Any) -> dict[str, list[Event]]:
    return by(lambda one: one.user, warehouse.accepted)


@pytest.fixture(scope="module")
def items(warehouse: Any) -> dict[str, list[Event]]:
    return by(lambda one: one.item, warehouse.accepted)


def instants(spans: Collection[int]) -> Callable[[Sequence[Event]], Iterable[int]]:
    """Edges of every window, a microsecond on either side, and random ones between and after."""
    rng = random.Random(3)

    def choose(events: Sequence[Event]) -> Iterable[int]:
        edges = probes(events, spans)
        if len(edges) > MOST:
            edges = rng.sample(edges, MOST)
        lowest, highest = min(one.at for one in events), max(one.at for one in events)
        between = [rng.randrange(lowest - DAY, highest + 400 * DAY) for _ in range(60)]
        return [*edges, *between]

    return choose


def test_user_activity(warehouse: Any, people: dict[str, list[Event]]) -> None:
    rows = warehouse.rows("user_activity")
    asked = check_mart(rows, "user_id", people, user_activity, instants(USER_WINDOWS.values()))
    assert asked > 4_000


def test_item_popularity(warehouse: Any, items: dict[str, list[Event]]) -> None:
    rows = warehouse.rows("item_popularity")
    asked = check_mart(
        rows, "item_id", items, item_popularity, instants(ITEM_WINDOWS.values()), HOUR
    )
    assert asked > 4_000


def test_user_history(warehouse: Any, people: dict[str, list[Event]]) -> None:
    rows = warehouse.rows("user_history")
    asked = check_mart(rows, "user_id", people, user_history, instants(()))
    assert asked > 1_000
    longest = max(len(row["item_ids"]) for row in rows)
    assert longest == 50 < max(map(len, people.values()))


def test_user_interests(warehouse: Any, people: dict[str, list[Event]]) -> None:
    as_of = AsOf(warehouse.rows("user_interests"), "user_id")
    choose = instants(())
    longest = 0
    for person, events in people.items():
        evident = [one for one in events if warehouse.categories.get(one.item)]
        for at in choose(events):
            found = as_of(person, at)
            if not any(one.entered_at <= at for one in evident):
                assert found is None
                continue
            assert found is not None
            check_interests(found, events, at, warehouse.categories, warehouse.accepted)
            longest = max(longest, len(found["categories"]))
    assert longest == 10


def test_interactions_are_the_accepted_events(warehouse: Any) -> None:
    found = {row["event_id"]: row for row in warehouse.rows("interactions")}
    assert len(found) == len(warehouse.accepted)
    for one in warehouse.accepted:
        assert found[one.event_id] == {
            "event_id": one.event_id,
            "user_id": one.user,
            "item_id": one.item,
            "event_type": one.event_type,
            "event_timestamp": one.at,
            "asked_at": one.at - 1,
            "loaded_at": one.loaded_at,
            "value": None if one.value is None else float(one.value),
        }


def test_every_item_is_there_from_the_first_event_on(
    warehouse: Any, items: dict[str, list[Event]]
) -> None:
    rows = warehouse.rows("item_attributes")
    assert {row["item_id"] for row in rows} == {*warehouse.categories, *items}
    assert len(rows) == len({row["item_id"] for row in rows})
    assert {row["event_timestamp"] for row in rows} == {min(one.at for one in warehouse.accepted)}
    for row in rows:
        assert set(row["categories"]) == set(warehouse.categories.get(row["item_id"], []))
        known = row["item_id"] in warehouse.categories
        assert row["title"] == (f"Title of {row['item_id']}" if known else None)


def test_the_log_has_the_cases_it_is_for(people: dict[str, list[Event]]) -> None:
    """A random log that had none of them would prove little."""
    gaps = {later.at - one.at for events in people.values() for one in events for later in events}
    for span in (HOUR, *(days * DAY for days in WINDOW_DAYS)):
        assert {span - 1, span, span + 1} <= gaps
    assert any(len({one.at for one in events}) < len(events) for events in people.values())


MARTS = {
    "user_activity": "user",
    "item_popularity": "item",
    "user_history": "user",
    "user_interests": "user",
}


@pytest.mark.parametrize("mart", MARTS)
def test_no_row_was_known_before_what_it_rests_on(
    warehouse: Any, people: dict[str, list[Event]], items: dict[str, list[Event]], mart: str
) -> None:
    """Law 2: each row rests on all that was known by then, and on nothing else."""
    entity = MARTS[mart]
    events = people if entity == "user" else items
    rows = warehouse.rows(mart)
    for row in rows:
        rests_on = [
            one
            for one in events[row[f"{entity}_id"]]
            if rounded_up(one.entered_at, HOUR if mart == "item_popularity" else 1)
            <= row["event_timestamp"]
            and (mart != "user_interests" or warehouse.categories.get(one.item))
        ]
        assert row["loaded_at"] == max(one.loaded_at for one in rests_on)
        assert row["loaded_at"] <= row["event_timestamp"]
    assert any(one.loaded_at > one.at for own in events.values() for one in own)
