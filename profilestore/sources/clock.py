"""The log's own clock and ours.

Raw times are written as they are. Staging adds one constant number of seconds to each of them, so
that a log that ended in 2016 can be profiled "as of now": the clock is that number and its reason.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from profilestore.errors import InputError, MissingStageError
from profilestore.settings import Settings

CLOCK_FILE = "clock.json"
ACTIVE_FILE = "active.json"

_WEEK_SECONDS = 7 * 24 * 60 * 60


class Shift(Enum):
    """How the log's clock is brought to ours."""

    NONE = "none"
    TO_NOW = "to_now"

    def seconds(self, *, last_event_at: datetime, now: datetime) -> int:
        """Seconds to add to each time of the log.

        `TO_NOW` is the largest whole number of weeks that brings the last event to at most `now`:
        whole weeks keep the weekday and the hour of every event. It is below zero for a log that
        ends after `now`.
        """
        if self is Shift.NONE:
            return 0
        return (now - last_event_at) // timedelta(seconds=_WEEK_SECONDS) * _WEEK_SECONDS

    @property
    def why(self) -> str:
        if self is Shift.NONE:
            return "The log keeps its own times."
        return (
            "Moved by the largest whole number of weeks that keeps the last event in the past, "
            "so that weekdays and hours stay as they were."
        )


@dataclass(frozen=True)
class Clock:
    """How far the log's times are moved, and why. Written once per log as `clock.json`.

    Attributes:
        shift_seconds: what staging adds to each raw time.
        chosen_at: when the shift was chosen (UTC).
        first_event_at, last_event_at: the span of the log on its own clock (UTC).
        why: one sentence for people.
    """

    shift_seconds: int
    chosen_at: datetime
    first_event_at: datetime
    last_event_at: datetime
    why: str

    def to_log(self, at: datetime) -> datetime:
        """A platform time on the log's own clock."""
        return at - timedelta(seconds=self.shift_seconds)

    def from_log(self, at: datetime) -> datetime:
        """A time of the log on the platform's clock, as staging writes it."""
        return at + timedelta(seconds=self.shift_seconds)

    def to_json(self) -> str:
        values = {
            key: value.isoformat() if isinstance(value, datetime) else value
            for key, value in asdict(self).items()
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Active:
    """The raw log that is read.

    Attributes:
        source_pack: its folder below `data/raw/`.
        packs: the folders of staging models that read it.
        origin: where it came from.
    """

    source_pack: str
    packs: tuple[str, ...]
    origin: str


def active_log(settings: Settings) -> Active | None:
    """The active raw log; None when there is none.

    Raises:
        InputError: `active.json` was changed by hand into something else.
    """
    active = settings.raw / ACTIVE_FILE
    try:
        found = json.loads(active.read_text(encoding="utf-8"))
        packs = tuple(map(str, found.get("packs", [found["source_pack"]])))
        return Active(str(found["source_pack"]), packs, str(found["origin"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{active}: found something else than the JSON that `make logs` writes. Run it again."
        ) from None


def read_clock(settings: Settings) -> Clock:
    """The clock of the active pack.

    Raises:
        MissingStageError: no raw logs were written yet.
        InputError: `active.json` or `clock.json` was changed by hand into something else.
    """
    active = active_log(settings)
    if active is None:
        raise MissingStageError(f"no raw logs in {settings.raw}. Run `make logs` first.")
    path = settings.raw / active.source_pack / CLOCK_FILE
    if not path.exists():
        raise MissingStageError(
            f"the active log is {active.source_pack!r}, but there is no {path}. "
            "Run `make logs` first."
        )
    return read_clock_file(path)


def read_clock_file(path: Path) -> Clock:
    """One `clock.json`.

    Raises:
        InputError: it is not what `Clock.to_json` writes.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Clock(
            shift_seconds=int(found["shift_seconds"]),
            chosen_at=_time(found["chosen_at"]),
            first_event_at=_time(found["first_event_at"]),
            last_event_at=_time(found["last_event_at"]),
            why=str(found["why"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: this is not the clock that `make logs` writes ({type(error).__name__}: "
            f"{error}). Delete the folder {path.parent} and run `make logs` to choose it again."
        ) from None


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return at
