"""How values read to people: in the terminal and on the pages alike."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from serving.documents import ClockNote

NOTHING = "–"
_MICROSECONDS, _FRACTION, _YEAR = "microseconds since 1970", "fraction", "year"
_UNITS_IN_THE_VALUE = {_MICROSECONDS, _FRACTION, _YEAR}
_WEEK_SECONDS = 7 * 24 * 60 * 60


def instant(at: datetime | None) -> str:
    """`2026-03-01 14:05`, UTC."""
    return NOTHING if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def feature_name(name: str) -> str:
    """`value_mean_90d` as `Value mean, 90 d`: windows as numbers with a unit."""
    words = name.split("_")
    window = words[-1]
    if len(words) > 1 and window[:-1].isdigit() and window[-1] in "mhd":
        unit = {"m": "min", "h": "h", "d": "d"}[window[-1]]
        return f"{' '.join(words[:-1]).capitalize()}, {window[:-1]} {unit}"
    if len(words) > 1 and window == "lifetime":
        return f"{' '.join(words[:-1]).capitalize()}, ever"
    return " ".join(words).capitalize()


def value_and_unit(value: Any, unit: str | None = None) -> tuple[str, str]:
    """A feature's value, short, and its unit in the right number; empty where it says itself."""
    text = _bare(value, unit)
    if (
        unit is None
        or text == NOTHING
        or unit in _UNITS_IN_THE_VALUE
        or isinstance(value, datetime)
    ):
        return text, ""
    return text, unit[:-1] if text == "1" and unit.endswith("s") else unit


def value_text(value: Any, unit: str | None = None) -> str:
    """A feature's value with its unit, short."""
    return " ".join(part for part in value_and_unit(value, unit) if part)


def _bare(value: Any, unit: str | None) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return instant(value)
    if unit == _MICROSECONDS and isinstance(value, int):
        return instant(datetime.fromtimestamp(value // 1_000_000, UTC))
    if unit == _FRACTION and isinstance(value, (float, Decimal)):
        return f"{value:.1%}"
    if unit == _YEAR:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (float, Decimal)):
        return f"{value:,.2f}"
    if isinstance(value, list):
        return ", ".join(_bare(element, unit) for element in value) or NOTHING
    return str(value)


def ago(at: datetime | None, now: datetime) -> str:
    """How long before `now`: `3 h ago`, `12 days ago`, `just now`."""
    if at is None:
        return "never"
    seconds = int((now - at).total_seconds())
    if seconds < 60:
        return "just now" if seconds > -60 else f"at {instant(at)}"
    for size, unit in ((86_400 * 365, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute")):
        count = seconds // size
        if count:
            return f"{count:,} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def clock_sentence(clock: ClockNote | None) -> str:
    """What a reader must know of the times they see; empty when times are as they were."""
    if clock is None or not clock.shift_seconds:
        return ""
    moved = abs(clock.shift_seconds)
    if moved % _WEEK_SECONDS:
        distance = f"{moved:,} seconds"
    else:
        weeks = moved // _WEEK_SECONDS
        distance = f"{weeks:,} week{'' if weeks == 1 else 's'}"
    direction = "on" if clock.shift_seconds > 0 else "back"
    return (
        f"This log ended on {clock.log_last_event_at:%-d %B %Y}. Its times are moved {direction} "
        f"by {distance}, since {clock.since:%-d %B %Y}, so that “recent” means something today."
    )
