"""How values read to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from serving.documents import ClockNote
from serving.wording import ago, clock_sentence, feature_name, instant, value_text

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "events", "–"),
        (1, "events", "1 event"),
        (1234, "events", "1,234 events"),
        (0, None, "0"),
        (True, None, "yes"),
        (3.14159, None, "3.14"),
        (Decimal("2.5"), "EUR", "2.50 EUR"),
        (0.256, "fraction", "25.6%"),
        (1999, "year", "1999"),
        (AT, None, "2026-03-01 12:00"),
        (AT, "seconds", "2026-03-01 12:00"),
        (1767225600000000, "microseconds since 1970", "2026-01-01 00:00"),
        (["a", "b"], None, "a, b"),
        ([], None, "–"),
        ({"a": 1}, None, "{'a': 1}"),
    ],
)
def test_values(value, unit, text) -> None:
    assert value_text(value, unit) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("events_7d", "Events, 7 d"),
        ("value_mean_lifetime", "Value mean, ever"),
        ("clicks_15m", "Clicks, 15 min"),
        ("last_event_at", "Last event at"),
        ("7d", "7d"),
        ("lifetime", "Lifetime"),
    ],
)
def test_names(name: str, text: str) -> None:
    assert feature_name(name) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(seconds=-5), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(days=-1), "at 2026-03-02 12:00"),
    ],
)
def test_ages(before: timedelta, text: str) -> None:
    assert ago(AT - before, AT) == text


def test_nothing_is_never() -> None:
    assert ago(None, AT) == "never"
    assert instant(None) == "–"


def test_instants_are_utc() -> None:
    assert instant(AT.astimezone(timezone(timedelta(hours=5)))) == "2026-03-01 12:00"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (604_800, "moved on by 1 week,"),
        (-1_209_600, "moved back by 2 weeks,"),
        (3_601, "moved on by 3,601 seconds,"),
    ],
)
def test_the_clock(seconds: int, words: str) -> None:
    note = ClockNote(
        shift_seconds=seconds, since=AT, why="", log_first_event_at=AT, log_last_event_at=AT
    )
    assert words in clock_sentence(note)


def test_a_log_on_its_own_clock_needs_no_words() -> None:
    note = ClockNote(shift_seconds=0, since=AT, why="", log_first_event_at=AT, log_last_event_at=AT)
    assert clock_sentence(note) == ""
    assert clock_sentence(None) == ""
