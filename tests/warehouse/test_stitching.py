"""How well browsers, devices and accounts are stitched to people, by the truth of a simulation."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

KINDS = {"account": "user", "cookie": "cookie", "device": "device", "handle": "handle"}
FIELDS = {
    "web": ("user_id", "anonymous_id", "device_id", "login_with"),
    "social": ("handle", "device_id"),
}
FIELD_KINDS = {
    **{"user_id": "account", "anonymous_id": "cookie", "device_id": "device"},
    **{"login_with": "handle", "handle": "handle"},
}


def pseudonym(key: bytes, kind: str, raw: str) -> str:
    """As staging makes it."""
    digest = hmac.new(key, f"{KINDS[kind]}:{raw}".encode(), hashlib.sha256).hexdigest()
    return f"{KINDS[kind][0]}-{digest[:32]}"


def pairs(labels: Counter[Any]) -> int:
    return sum(count * (count - 1) // 2 for count in labels.values())


class Truth:
    """Which identifiers are one person's, and which of them some accepted line shows together."""

    def __init__(self, scored: Any) -> None:
        key = scored.settings.pseudonym_key.encode()
        self.owners: dict[str, set[int]] = defaultdict(set)
        for person, kind, raw in scored.rows(
            f"SELECT person, id_kind, id FROM {scored.truth('people')}"
        ):
            self.owners[pseudonym(key, kind, raw)].add(person)
        self._above: dict[str, str] = {}
        self.seen: set[str] = set()
        accepted = defaultdict(set)
        for file, row in scored.rows(
            "SELECT raw_file, raw_row FROM judged WHERE rejected_because IS NULL"
        ):
            accepted[file].add(row)
        for source, fields in FIELDS.items():
            for path in sorted(Path(scored.settings.simulated, source, "events").iterdir()):
                rows = accepted[f"{source}/events/{path.name}"]
                for number, line in enumerate(path.read_text().split("\n"), start=1):
                    if number in rows:
                        self._read(json.loads(line), fields, key)

    def _read(self, event: dict[str, Any], fields: tuple[str, ...], key: bytes) -> None:
        found = [
            pseudonym(key, FIELD_KINDS[name], event[name]) for name in fields if event.get(name)
        ]
        self.seen.update(found)
        # What several people use says nothing about any of them.
        own = [one for one in found if len(self.owners[one]) == 1]
        for one in own[1:]:
            if self.top(one) != self.top(own[0]):
                self._above[self.top(one)] = self.top(own[0])

    def top(self, name: str) -> str:
        while name in self._above:
            name = self._above[name]
        return name


@pytest.fixture(scope="module")
def truth(scored: Any) -> Truth:
    return Truth(scored)


def test_people_are_stitched_as_far_as_the_logs_show(scored: Any, truth: Truth) -> None:
    """Pairwise, over the identifiers of one person each, and the pairs that some line joins.

    Of those that no line ever joins (a cleared cookie, an account elsewhere that never met the
    shop's) nothing can be said, and nothing is."""
    stitched = dict(scored.rows("SELECT id, user_id FROM lake.int_identities"))
    own = [one for one in truth.seen if len(truth.owners[one]) == 1]
    wanted: Counter[Any] = Counter()
    found: Counter[Any] = Counter()
    both: Counter[Any] = Counter()
    for one in own:
        person, said = (*truth.owners[one], truth.top(one)), stitched.get(one, one)
        wanted[person] += 1
        found[said] += 1
        both[person, said] += 1
    assert pairs(wanted) > 1_000
    precision, recall = pairs(both) / pairs(found), pairs(both) / pairs(wanted)
    assert 2 * precision * recall / (precision + recall) >= 0.98
    people: Counter[Any] = Counter()
    right: Counter[Any] = Counter()
    for one in own:
        people[truth.owners[one].copy().pop()] += 1
        right[truth.owners[one].copy().pop(), stitched.get(one, one)] += 1
    # Against all pairs of the truth, what no line shows included: nobody is taken for another.
    assert pairs(right) / pairs(found) >= 0.99
    assert pairs(right) / pairs(people) >= 0.6


def test_a_household_joins_nobody(scored: Any, truth: Truth) -> None:
    shared = {
        one
        for row in scored.rows("SELECT one, other FROM lake.int_identity_links WHERE is_shared")
        for one in row
        if one[0] in "cd" and len(truth.owners[one]) > 1
    }
    assert shared
    stitched = {one for (one,) in scored.rows("SELECT id FROM lake.int_identities")}
    assert not shared & stitched


def test_nothing_is_known_before_it_was_learned(scored: Any) -> None:
    """What came before a login is the person's from the login on, and the browser's before."""
    told = scored.rows(
        """
        SELECT own.user_id, later.user_id, own.loaded_at <= identities.since,
            later.loaded_at >= identities.since, own.event_timestamp = later.event_timestamp
        FROM lake.int_user_events AS later
        JOIN lake.int_user_events AS own USING (source, event_id)
        JOIN lake.int_identities AS identities ON own.user_id = identities.id
        WHERE later.is_retold AND NOT own.is_retold
        """
    )
    assert len(told) > 500
    assert all(own != later for own, later, *_ in told)
    assert all(all(checks) for _, _, *checks in told)
    (retold,) = scored.rows("SELECT count(*) FROM lake.int_user_events WHERE is_retold")[0]
    assert retold == len(told)
    # A person's activity counts those events from then on, not before.
    (wrong,) = scored.rows(
        """
        SELECT count(*) FROM (
            SELECT mart.user_id, mart.event_timestamp, any_value(mart.events_lifetime) AS said,
                count(*) AS counted
            FROM (FROM lake.user_activity USING SAMPLE reservoir(3000 ROWS) REPEATABLE (3)) AS mart
            JOIN lake.int_user_events AS events
                ON mart.user_id = events.user_id
                AND greatest(events.event_timestamp, events.loaded_at) <= mart.event_timestamp
            GROUP BY mart.user_id, mart.event_timestamp
        ) WHERE said <> counted
        """
    )[0]
    assert wrong == 0
