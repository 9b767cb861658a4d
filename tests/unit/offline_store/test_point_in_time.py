"""The text of the statements; what they mean is in tests/spec."""

from __future__ import annotations

import duckdb

from profilestore.offline_store.point_in_time import (
    Column,
    Reach,
    Spine,
    View,
    identifier,
    literal,
    point_in_time_statement,
    within,
)

SPINE = Spine(
    columns=(Column("user_id", "BIGINT"), Column("event_timestamp", "TIMESTAMP WITH TIME ZONE")),
    time=1,
)
VIEW = View(
    relation="lake.main.user_activity",
    keys=((0, Column("user_id", "BIGINT")),),
    event=Column("event_timestamp", "TIMESTAMP"),
    created=Column("loaded_at", "TIMESTAMP"),
    features=((Column("clicks", "BIGINT"), "clicks"),),
    ttl=5,
    rows=1_000_000,
)


def test_it_is_one_statement():
    for known_only in (False, True):
        text = point_in_time_statement(SPINE, [VIEW, VIEW], known_only=known_only)
        assert len(duckdb.extract_statements(text)) == 1


def test_only_what_is_asked_for_is_read():
    text = point_in_time_statement(SPINE, [VIEW])
    read = {part.split('"')[1] for part in text.split("source.")[1:]}
    assert read == {"user_id", "event_timestamp", "loaded_at", "clicks"}
    assert "*" not in text.replace("history.*", "")


def test_history_outside_the_spine_is_not_read():
    text = point_in_time_statement(SPINE, [VIEW], reach=Reach(first=100, last=200, rows=1))
    assert 'source."event_timestamp" >= make_timestamp(95)' in text
    assert 'source."event_timestamp" <= make_timestamp(200)' in text
    assert "loaded_at" in text
    known = point_in_time_statement(
        SPINE, [VIEW], reach=Reach(first=100, last=200, rows=1), known_only=True
    )
    assert 'source."loaded_at" <= make_timestamp(200)' in known


def test_keys_are_looked_for_first_where_few_are_asked_for():
    few = point_in_time_statement(SPINE, [VIEW], reach=Reach(first=1, last=2, rows=10))
    assert "SEMI JOIN asked_0" in few
    most = point_in_time_statement(SPINE, [VIEW], reach=Reach(first=1, last=2, rows=500_000))
    assert "SEMI JOIN asked_0" not in most


def test_where_most_is_asked_for_the_asof_join_carries_the_features():
    reach = Reach(first=1, last=2, rows=500_000)
    text = point_in_time_statement(SPINE, [VIEW], reach=reach)
    assert "ASOF LEFT JOIN" in text
    assert "found_0" not in text
    # What was known has to be looked up.
    known = point_in_time_statement(SPINE, [VIEW], reach=reach, known_only=True)
    assert "found_0" in known


def test_where_little_is_asked_for_the_asof_join_carries_no_features():
    text = point_in_time_statement(SPINE, [VIEW])
    found = text.split("found_0 AS")[1].split("latest_0 AS")[0]
    assert "ASOF JOIN" in found
    assert "f0" not in found


def test_a_view_without_ttl_has_no_limit():
    text = point_in_time_statement(SPINE, [VIEW])
    assert "asked.instant - 5" in text
    unlimited = View(**{**VIEW.__dict__, "ttl": None})
    assert "asked.instant -" not in point_in_time_statement(SPINE, [unlimited])


def test_a_query_is_read_once():
    once = View(**{**VIEW.__dict__, "read_once": True})
    assert "history_0 AS MATERIALIZED" in point_in_time_statement(SPINE, [once])
    assert "history_0 AS NOT MATERIALIZED" in point_in_time_statement(SPINE, [VIEW])


def test_other_types_are_compared_as_microseconds():
    assert within(Column("day", "DATE"), 1, None) == ['epoch_us(source."day") >= 1']
    zoned = within(Column("at", "TIMESTAMP WITH TIME ZONE"), None, 7)
    assert zoned == ['source."at" <= make_timestamptz(7)']
    assert within(Column("at", "TIMESTAMP"), None, None) == []


def test_names_and_texts_cannot_leave_their_quotes():
    assert identifier('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"
