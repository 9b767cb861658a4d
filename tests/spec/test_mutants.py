"""The truths have teeth: a join that is wrong in one way fails at least one of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from spec_engines import plain, plain_grid

from profilestore.errors import ProfilestoreError
from profilestore.offline_store import point_in_time
from profilestore.offline_store import store as store_module
from profilestore.offline_store.point_in_time import point_in_time_statement


def replaced(old, new):
    """A builder whose statement has `new` for the pattern `old`."""

    def build(*args, **kwargs):
        statement, count = re.subn(old, new, point_in_time_statement(*args, **kwargs))
        build.changes += count
        return statement

    build.changes = 0
    return build


def ttl_changed_by(microseconds):
    def longer(match):
        return f"asked.instant - {int(match[1]) + microseconds}"

    return replaced(r"asked\.instant - (\d+)", longer)


def without_knowledge(*args, **kwargs):
    return point_in_time_statement(*args, **{**kwargs, "known_only": False})


def without_ttl_in_reach(spine, views, *, reach=None, **kwargs):
    if reach is not None:
        reach = replace(reach, first=reach.last)
    return point_in_time_statement(spine, views, reach=reach, **kwargs)


MUTANTS = {
    "ttl a microsecond longer": ttl_changed_by(1),
    "ttl a microsecond shorter": ttl_changed_by(-1),
    "ttl without its edge": replaced(
        r"history\.event >= asked\.instant", "history.event > asked.instant"
    ),
    "ttl not applied": replaced(r"WHERE history\.event >= asked\.instant - \d+", ""),
    "future leaks by a microsecond": replaced(
        r"asked\.instant >= history\.event", "asked.instant + 1 >= history.event"
    ),
    "instant not included": replaced(
        r"asked\.instant >= history\.event", "asked.instant > history.event"
    ),
    # The first of the two joins alone may be wrong here: the second mends it.
    "instant of learning not included": replaced(
        r"instant >= history\.(created|since)", r"instant > history.\1"
    ),
    "instant of becoming visible not included": replaced(
        r"asked\.instant >= history\.since", "asked.instant > history.since"
    ),
    "an unknown row hides older ones": replaced(r"UNION ALL\n(.*\n)+?\)", ")"),
    "older news not left out": replaced(r"QUALIFY coalesce\(.*", ""),
    "ties to the version created first": replaced(
        r"history\.created DESC NULLS LAST", "history.created ASC NULLS LAST"
    ),
    "ties to the version without a created time": replaced(
        r"history\.created DESC NULLS LAST", "history.created DESC NULLS FIRST"
    ),
    "ties not settled": replaced(r"\nQUALIFY row_number\(\) OVER .* = 1", ""),
    "equal spine rows merged": replaced(
        r"SELECT spine\.c0", "SELECT DISTINCT ON (spine.instant, spine.c0) spine.c0"
    ),
    "rows in another order": replaced(r"ORDER BY spine\.nth", "ORDER BY spine.nth DESC"),
    "rows without an answer dropped": replaced(r"LEFT JOIN view_0", "JOIN view_0"),
    "keys not compared": replaced(r"(asked|found)\.k0 = (history|latest)\.k0 AND ", ""),
    "null joined to null": replaced(r'(\bc0|source\."user")(?= AS k0|\n)', r"coalesce(\1, 0)"),
    "created ignored": without_knowledge,
    "reads too little history": without_ttl_in_reach,
}


def carried_ttl_changed_by(microseconds):
    def longer(match):
        return f"spine.instant - {int(match[1]) + microseconds}"

    return replaced(r"spine\.instant - (\d+)", longer)


# Of the join that carries the features.
CARRYING_MUTANTS = {
    "ttl a microsecond longer": carried_ttl_changed_by(1),
    "ttl a microsecond shorter": carried_ttl_changed_by(-1),
    "ttl without its edge": replaced(r"event >= spine\.instant", "event > spine.instant"),
    "ttl not applied": replaced(r"CASE WHEN history\.event >= \S+ - \d+ THEN (\S+) END", r"\1"),
    "future leaks by a microsecond": replaced(r"\(spine\.instant \*", "((spine.instant + 1) *"),
    "instant not included": replaced(r"\+ 9223372036854775807\)", "- 9223372036854775809)"),
    "ties to the version created first": replaced(
        r"\+ coalesce\(history\.created, ", "- coalesce(history.created, "
    ),
    "ties to the version without a created time": replaced(
        r"history\.created, -9223372036854775808", "history.created, 9223372036854775807"
    ),
    "ties not settled": replaced(r"\+ coalesce\(history\.created, \S+\)\)", "+ 0)"),
    "equal spine rows merged": replaced(
        r"(FROM \()SELECT \*( FROM \w+ ORDER BY nth)", r"\1SELECT DISTINCT ON (instant, c0) *\2"
    ),
    "rows in another order": replaced(r"(ORDER BY (spine\.)?nth)", r"\1 DESC"),
    "one view in another order": replaced(r"(ORDER BY spine\.nth)", r"\1 DESC"),
    "rows without an answer dropped": replaced(r"ASOF LEFT JOIN", "ASOF JOIN"),
    "keys not compared": replaced(r"spine\.c0 = history\.k0 AND ", ""),
    "reads too little history": without_ttl_in_reach,
}
# Of the look-up that takes a maximum.
COUNTING_MUTANTS = {
    **MUTANTS,
    "the first event and not the last": replaced(
        r"max\(history\.event\) AS", "min(history.event) AS"
    ),
}
# Values of `ROWS_PER_SPINE_ROW` and `MOST_REPEATS` that make the one or the other.
WAYS = {
    "looking up": (-1, -1, MUTANTS),
    "counting": (-1, 10**9, COUNTING_MUTANTS),
    "carrying": (10**9, -1, CARRYING_MUTANTS),
}


def set_way(monkeypatch, way):
    rows, repeats, _ = WAYS[way]
    monkeypatch.setattr(point_in_time, "ROWS_PER_SPINE_ROW", rows)
    monkeypatch.setattr(point_in_time, "MOST_REPEATS", repeats)


def failures(repos, scenarios):
    """The truths that do not hold on the lake, or where the statement itself refuses."""
    for scenario in scenarios:
        try:
            found = plain(repos.run("lake", scenario))
        except ProfilestoreError:
            yield scenario.name
            continue
        if found != plain_grid(scenario.result):
            yield scenario.name


@pytest.mark.parametrize("way", WAYS)
def test_the_unchanged_join_fails_none(repos, all_scenarios, monkeypatch, way):
    set_way(monkeypatch, way)
    assert list(failures(repos, all_scenarios)) == []


@pytest.mark.parametrize(
    ("way", "name"),
    [(way, name) for way, (_, _, mutants) in WAYS.items() for name in mutants],
)
def test_a_wrong_join_fails_a_truth(way, name, repos, all_scenarios, monkeypatch):
    mutant = WAYS[way][2][name]
    set_way(monkeypatch, way)
    monkeypatch.setattr(store_module, "point_in_time_statement", mutant)
    assert next(failures(repos, all_scenarios), None) is not None
    assert getattr(mutant, "changes", 1) > 0
