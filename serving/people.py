"""Who can be asked for, those seen last first."""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice

from profilestore.errors import InputError
from profilestore.feature_store import (
    PEOPLE_COLUMNS,
    PEOPLE_SERVICE,
    Materialized,
    Person,
)
from profilestore.instants import to_micros
from serving.audit import note_people
from serving.reads import Reads

# Read when the online store is filled, and served from what was noted then.
READS = Reads(PEOPLE_SERVICE, lambda feature: feature.column in PEOPLE_COLUMNS)
# What the audit log calls the list: who there is, and when they were last seen.
_LIST = "people"


class People:
    """The people of one materialisation."""

    def __init__(self, materialized: Materialized) -> None:
        self.at = materialized.at
        self._people = sorted(materialized.people, key=_place)
        self._order = [_place(person) for person in self._people]
        self._by_id = {person.user_id: person for person in self._people}

    def __len__(self) -> int:
        return len(self._people)

    def get(self, user_id: str) -> Person | None:
        return self._by_id.get(user_id)

    def page(self, limit: int, after: str | None = None) -> tuple[list[Person], str | None]:
        """At most `limit` people after a cursor, and the cursor of the page that follows.

        A cursor is a place in the order, not a person, so it holds when a later materialisation
        moves or drops the one it was made from.

        Raises:
            InputError: `after` is no cursor.
        """
        start = 0 if after is None else bisect_right(self._order, _parse(after))
        chosen = self._people[start : start + limit]
        note_people((person.user_id for person in chosen), [_LIST])
        more = start + limit < len(self._people)
        return chosen, _cursor(chosen[-1]) if more else None

    def search(self, text: str, limit: int) -> list[Person]:
        """At most `limit` people whose pseudonym contains the text, those seen last first."""
        wanted = text.strip().lower()
        found = (person for person in self._people if wanted in person.user_id.lower())
        chosen = list(islice(found, limit))
        note_people((person.user_id for person in chosen), [_LIST])
        return chosen


def _place(person: Person) -> tuple[int, str]:
    return -to_micros(person.last_event_at), person.user_id


def _cursor(person: Person) -> str:
    return f"{to_micros(person.last_event_at)}.{person.user_id}"


def _parse(cursor: str) -> tuple[int, str]:
    at, dot, user_id = cursor.partition(".")
    # int() takes digits of any script and of any length; a cursor has ASCII ones, 20 at most.
    if not (dot and at.lstrip("-").isdecimal() and at.isascii() and len(at) <= 20):
        raise InputError(
            "`after` is not a cursor of this list. Send what the page before gave as `next`."
        )
    return -int(at), user_id
