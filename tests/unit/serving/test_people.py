"""People: order, pages by cursor, search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.errors import InputError
from profilestore.feature_store import Materialized, Person
from serving.people import People

START = datetime(2026, 1, 1, tzinfo=UTC)


def people(*seen: tuple[str, int]) -> People:
    return People(
        Materialized(START, [Person(name, START + timedelta(minutes=at), 1) for name, at in seen])
    )


def names(found: list[Person]) -> list[str]:
    return [person.user_id for person in found]


@given(
    st.dictionaries(
        st.text("abc-.~_", min_size=1, max_size=6), st.integers(-(10**8), 3), max_size=25
    ),
    st.integers(1, 7),
)
def test_pages_together_are_the_whole_list_in_order(seen: dict[str, int], limit: int) -> None:
    all_of_them = people(*seen.items())
    collected: list[str] = []
    cursor = None
    while True:
        page, cursor = all_of_them.page(limit, cursor)
        assert len(page) <= limit
        collected += names(page)
        if cursor is None:
            break
    assert collected == sorted(seen, key=lambda name: (-seen[name], name))


def test_a_cursor_outlives_the_person_it_was_made_from() -> None:
    _, cursor = people(("a", 3), ("b", 2), ("c", 1)).page(2)
    assert names(people(("a", 3), ("c", 1)).page(2, cursor)[0]) == ["c"]


@pytest.mark.parametrize("cursor", ["", "b", "1", ".b", "x.b", "1e3.b", "٣.b", "9" * 5000 + ".b"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InputError, match="cursor"):
        people(("a", 1)).page(1, cursor)


def test_search_finds_a_part_in_any_case_and_stops_at_the_limit() -> None:
    all_of_them = people(("u-abc", 3), ("u-xbc", 2), ("u-q", 1))
    assert names(all_of_them.search(" BC ", 5)) == ["u-abc", "u-xbc"]
    assert names(all_of_them.search("", 2)) == ["u-abc", "u-xbc"]
    assert all_of_them.search("z", 2) == []


def test_get_knows_only_who_is_there() -> None:
    all_of_them = people(("a", 1))
    assert all_of_them.get("a") is not None
    assert all_of_them.get("b") is None
    assert len(all_of_them) == 1
