"""Taking events: to the disk, to the index, and only then the answer.

Requests that come while one is being written share the next write: one wait for the disk serves
them all. Whoever finds the log free writes for everybody who waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from profilestore.errors import MissingStageError, ProfilestoreError
from profilestore.instants import from_micros, to_micros
from profilestore.privacy.pseudonyms import load_or_create_key
from profilestore.settings import Settings
from serving.deployment import Deployment
from serving.live.event import EventsTaken, EventTaken, LiveEvent, Told, told
from serving.live.index import EventIndex
from serving.live.log import LiveLog
from serving.live.rows import LiveRows
from serving.telemetry import timed
from serving.telemetry.metrics import EVENTS

_WATCH_SECONDS = 1.0
_log = logging.getLogger("profilestore.serving")


@dataclass
class _Request:
    """Some events that wait to be taken, and what became of them."""

    events: Sequence[LiveEvent]
    taken: EventsTaken | None = None
    error: Exception | None = None
    is_done: bool = field(default=False)


class _Opened:
    """Log and index of one home, which no other process has."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.live
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _claim(folder)
            try:
                self.key = load_or_create_key(settings)
                self.log = LiveLog(folder / "events")
                self.index = EventIndex(folder / "index", self.log)
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise ProfilestoreError(
                f"{folder}: the live log cannot be opened ({error.strerror or error})."
            ) from None

    def close(self) -> None:
        self.index.close()
        self.log.close()
        os.close(self._lock)


class Intake:
    """Where events are taken; opened with the first, or by `open`.

    Args:
        settings: whose home the log lies in.
        deployment: whose online store shows what was told; without one events are only kept.
        now: the clock.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        deployment: Deployment | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._now = now
        self._waiting: list[_Request] = []
        self._at_waiting = threading.Lock()
        self._at_log = threading.Lock()
        self._opened: _Opened | None = None
        self._latest = 0
        self._rows = None if deployment is None else LiveRows(deployment)
        self._filled = (lambda: None) if deployment is None else deployment.materialisation
        # Of which filling the online store has everything that was told; None of none.
        self._shown: object = None
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    def now(self) -> datetime:
        """What time it is."""
        return self._now()

    def begin(self) -> None:
        """`open`, if events were ever taken here, and from now on bring what was told into every
        new filling of the online store. What stands against it is logged, and told to whoever sends
        the next event."""
        self._ended.clear()
        if self._settings.live.exists():
            try:
                self.open()
                self.show()
            except ProfilestoreError as error:
                _log.error("no events are taken: %s", error)
        self._watcher = threading.Thread(target=self._watch, name="live rows", daemon=True)
        self._watcher.start()

    def end(self) -> None:
        """The opposite of `begin`."""
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        self.close()

    def show(self) -> None:
        """Bring what was told into the online store, if that was filled since."""
        with self._at_log:
            if self._opened is not None and (self._shown is None or self._shown != self._filled()):
                self._show(self._opened, ())

    def _watch(self) -> None:
        while not self._ended.wait(_WATCH_SECONDS):
            try:
                self.show()
            except Exception as error:
                _log.error("the online store could not be brought up to date: %s", error)

    def open(self) -> None:
        """Read what there is of the log, and go on where a process that was killed has stopped.

        Raises:
            ProfilestoreError: another process takes the events of this home, or the disk refused.
        """
        with self._at_log:
            self._open()

    def close(self) -> None:
        """Let go of the log; a later event opens it again."""
        with self._at_log:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def take(self, events: Sequence[LiveEvent]) -> EventsTaken:
        """Take all of these; when it returns they are on the disk, each once.

        An event whose id was taken before changes nothing.

        Raises:
            ProfilestoreError: as `open`; or the disk refused. They may be sent again.
        """
        request = _Request(events)
        with self._at_waiting:
            self._waiting.append(request)
        with self._at_log:
            if not request.is_done:
                with self._at_waiting:
                    together, self._waiting = self._waiting, []
                self._take_together(together)
        if request.error is not None:
            raise request.error
        assert request.taken is not None
        return request.taken

    def _take_together(self, requests: Sequence[_Request]) -> None:
        try:
            answers = self._write(requests)
        except Exception as error:
            for request in requests:
                request.error = error
        else:
            for request, taken in zip(requests, answers, strict=True):
                request.taken = taken
        for request in requests:
            request.is_done = True

    def _write(self, requests: Sequence[_Request]) -> list[EventsTaken]:
        opened = self._open()
        # A clock that is set back must not bring the order of arrival into disorder.
        arrived = max(to_micros(self._now()), self._latest + 1)
        known = opened.index.known(
            {event.event_id for request in requests for event in request.events}
        )
        new: list[Told] = []
        answers = []
        for request in requests:
            states = []
            for event in request.events:
                is_new = event.event_id not in known
                if is_new:
                    known.add(event.event_id)
                    # An instant of its own for each: what was learned by one says which they are.
                    self._latest = arrived + len(new)
                    new.append(told(event, opened.key, self._latest))
                states.append(
                    EventTaken(event_id=event.event_id, state="accepted" if is_new else "repeated")
                )
            accepted = sum(state.state == "accepted" for state in states)
            EVENTS.labels("accepted").inc(accepted)
            EVENTS.labels("repeated").inc(len(states) - accepted)
            answers.append(
                EventsTaken(
                    accepted=accepted,
                    repeated=len(states) - accepted,
                    is_shown=False,
                    events=states,
                )
            )
        if new:
            lines = b"".join(event.to_line() for event in new)
            with timed("live", "append"):
                end = opened.log.append(lines, from_micros(arrived))
            try:
                opened.index.add(new, end)
            except Exception:
                # The log has them and the index does not: it reads them when it is opened again.
                self._abandon(opened)
                raise
        is_shown = self._show(opened, dict.fromkeys(event.user_id for event in new))
        return [answer.model_copy(update={"is_shown": is_shown}) for answer in answers]

    def _show(self, opened: _Opened, people: Iterable[str]) -> bool:
        """Whether the online store has everything that was told."""
        if self._rows is None:
            return False
        filled = self._filled()
        if filled != self._shown:
            # It was filled anew, or never had what is in the log: everybody's rows, not only these.
            people = opened.index.people()
        try:
            self._rows.refresh(people, opened.index)
        except MissingStageError:
            self._shown = None
        except Exception as error:
            self._shown = None
            _log.error("events are in the log, but not in the online store yet: %s", error)
        else:
            self._shown = filled
        return self._shown is not None

    def _open(self) -> _Opened:
        if self._opened is None:
            self._opened = _Opened(self._settings)
            self._latest = max(self._latest, self._opened.index.latest)
        return self._opened

    def _abandon(self, opened: _Opened) -> None:
        self._opened = None
        with contextlib.suppress(Exception):
            opened.close()


def _claim(folder: Path) -> int:
    """A lock that ends with the process, however that ends."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ProfilestoreError(
            f"{folder}: another process takes the events of this home. Send them to that one, or "
            "stop it."
        ) from None
    return handle
