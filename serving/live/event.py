"""An event as it is told to the service, checked, and as a line of the live log.

The fields are those of the warehouse's canonical event that a service can tell of a known person.
A person's raw identifier stops here: a line holds the pseudonym.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from profilestore.instants import from_micros, to_micros
from profilestore.privacy.pseudonyms import pseudonym

MOST_EVENTS = 1000
"""In one batch."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""What happened before is rejected as `time_too_early`, as in the warehouse."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far a sender's clock may be ahead of ours: dbt's `clock_skew_tolerance`; a test compares."""

_PSEUDONYM = re.compile(r"u-[0-9a-f]{32}")
_NAME = r"^[^\s\p{C}](?:[^\p{C}]*[^\s\p{C}])?$"  # no control characters, no space at either end

Name = Annotated[str, Field(min_length=1, max_length=256, pattern=_NAME)]
Number = Annotated[Decimal, Field(max_digits=18, decimal_places=4, allow_inf_nan=False)]


class LiveEvent(BaseModel):
    """One thing that a person did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: Annotated[str, Field(max_length=128, pattern=r"^[!-~]+$")] = Field(
        description="Names the event, whoever tells it and however often: the first telling counts."
    )
    user_id: Name = Field(
        description="Who: the id by which your logs name the person, of which only the pseudonym "
        "is kept; or the pseudonym itself."
    )
    event_type: Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")] = Field(
        description="What was done, such as `view`, `rating` or `purchase`."
    )
    item_id: Name | None = Field(
        default=None, description="To what; only a login, a search or a follow may be without."
    )
    event_timestamp: AwareDatetime | None = Field(
        default=None, description="When, with a zone; by default when it arrives."
    )
    value: Number | None = Field(
        default=None, description="What it came to: a rating, a price paid in US dollars."
    )
    session_hint: Name | None = Field(default=None, description="The source's own session.")
    geo: Name | None = Field(default=None, description="Where from.")


Events = Annotated[list[LiveEvent], Field(min_length=1, max_length=MOST_EVENTS)]
ONE: TypeAdapter[LiveEvent] = TypeAdapter(LiveEvent)
BATCH: TypeAdapter[list[LiveEvent]] = TypeAdapter(Events)

ITEMLESS = frozenset({"login", "search", "follow"})
"""Events that need not be about an item: dbt's `events_without_item`; a test compares."""


class EventTaken(BaseModel):
    """What became of one event of a request."""

    event_id: str
    state: Literal["accepted", "repeated"] = Field(
        description="`repeated`: an event of this id was taken before, and this one changes nothing"
    )


class EventsTaken(BaseModel):
    """The answer once all events of a request are on the disk, in the order of the request."""

    accepted: int
    repeated: int
    is_shown: bool = Field(
        description="Whether the next profile and the next recommendations know them. If not, they "
        "will once the online store can be written."
    )
    events: list[EventTaken]


@dataclass(frozen=True)
class FieldFault:
    """What is wrong with a field, beyond its type: where (`0.item_id`), and what."""

    where: tuple[str | int, ...]
    detail: str


def faults(events: list[LiveEvent], *, is_batch: bool, now: datetime) -> list[FieldFault]:
    """What the warehouse would reject of these, said at once."""
    found = []
    for place, event in enumerate(events):
        at: tuple[str | int, ...] = (place,) if is_batch else ()
        when = event.event_timestamp
        if event.item_id is None and event.event_type not in ITEMLESS:
            found.append(
                FieldFault(
                    (*at, "item_id"),
                    f"an event of type {event.event_type!r} needs an item; without one there may "
                    f"be {', '.join(sorted(ITEMLESS))}",
                )
            )
        if when is not None and when > now + CLOCK_SKEW:
            found.append(
                FieldFault(
                    (*at, "event_timestamp"),
                    f"found {when.isoformat()}, which has not come yet: it is {now.isoformat()}",
                )
            )
        if when is not None and when < EARLIEST:
            found.append(
                FieldFault(
                    (*at, "event_timestamp"),
                    f"found {when.isoformat()}; needed {EARLIEST.date()} or later",
                )
            )
    return found


@dataclass(frozen=True)
class Told:
    """An event of the live log.

    Attributes:
        user_id: pseudonym.
        happened, received: microseconds since 1970.
        value: as it was told; None without.
    """

    event_id: str
    user_id: str
    event_type: str
    item_id: str | None
    happened: int
    received: int
    value: Decimal | None = None
    session_hint: str | None = None
    geo: str | None = None

    @property
    def entered(self) -> int:
        """From when it counts: it has happened and is known."""
        return max(self.happened, self.received)

    def to_line(self) -> bytes:
        """Its line of the log, with the end."""
        fields = {
            "event_id": self.event_id,
            "user_id": self.user_id,
            "event_type": self.event_type,
            "item_id": self.item_id,
            "event_timestamp": from_micros(self.happened).isoformat(),
            "received_at": from_micros(self.received).isoformat(),
            "value": None if self.value is None else format(self.value, "f"),
            "session_hint": self.session_hint,
            "geo": self.geo,
        }
        said = {name: value for name, value in fields.items() if value is not None}
        # ASCII: no line end of any alphabet stands in it, and every byte is a character.
        return json.dumps(said, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Told:
        """What `to_line` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            said: dict[str, Any] = json.loads(line)
            value = said.get("value")
            return cls(
                event_id=said["event_id"],
                user_id=said["user_id"],
                event_type=said["event_type"],
                item_id=said.get("item_id"),
                happened=to_micros(datetime.fromisoformat(said["event_timestamp"])),
                received=to_micros(datetime.fromisoformat(said["received_at"])),
                value=None if value is None else Decimal(value),
                session_hint=said.get("session_hint"),
                geo=said.get("geo"),
            )
        except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"no line of a live log: {error!r}") from None


def told(event: LiveEvent, key: bytes, received: int) -> Told:
    """The event as it is kept: by pseudonym, with the instant at which it arrived."""
    when = event.event_timestamp
    raw = event.user_id
    return Told(
        event_id=event.event_id,
        user_id=raw if _PSEUDONYM.fullmatch(raw) else pseudonym(raw, key),
        event_type=event.event_type,
        item_id=event.item_id,
        happened=received if when is None else to_micros(when),
        received=received,
        value=event.value,
        session_hint=event.session_hint,
        geo=event.geo,
    )
