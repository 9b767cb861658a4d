"""What a request read of whom, noted where it is read and written before it is told.

Whatever is read of people passes through a few functions (the stores, Feast's feature server, the
list of people), which call `note_people`. The middleware gives each request something to note on,
and writes one line of the audit log before the first byte of the answer; where that cannot be
written nothing is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from profilestore.errors import ProfilestoreError
from profilestore.privacy.audit import EVERYBODY, AuditLog, Read
from serving.telemetry.lines import request_id
from serving.telemetry.requests import route_of


@dataclass
class _Reading:
    """What one request has read so far."""

    purpose: str | None = None
    views: dict[str, set[str]] = field(default_factory=dict)
    of_everybody: set[str] = field(default_factory=set)

    def grouped(self) -> list[tuple[tuple[str, ...], list[str] | str]]:
        """People of whom the same was read, together."""
        found: list[tuple[tuple[str, ...], list[str] | str]] = []
        if self.of_everybody:
            found.append((tuple(sorted(self.of_everybody)), EVERYBODY))
        by_views: dict[tuple[str, ...], list[str]] = {}
        for user_id, views in self.views.items():
            by_views.setdefault(tuple(sorted(views)), []).append(user_id)
        return found + list(by_views.items())


_current: ContextVar[_Reading | None] = ContextVar("reading", default=None)


def is_noted() -> bool:
    """Whether anybody asks what is read."""
    return _current.get() is not None


def note_people(people: Iterable[str], views: Iterable[str]) -> None:
    """These views (or `service:<name>`, or a list) of these people are read."""
    reading = _current.get()
    if reading is not None:
        names = tuple(views)
        for user_id in people:
            reading.views.setdefault(user_id, set()).update(names)


def note_everybody(views: Iterable[str]) -> None:
    """These views are looked through, of all people."""
    reading = _current.get()
    if reading is not None:
        reading.of_everybody.update(views)


def note_purpose(purpose: str | None) -> None:
    """What the request reads for."""
    reading = _current.get()
    if reading is not None and purpose:
        reading.purpose = purpose


class Audited:
    """Writes a line of the audit log for each answer that tells something of somebody.

    Args:
        log: where to.
        refuse: what is answered where it cannot be written.
    """

    def __init__(
        self,
        app: ASGIApp,
        log: AuditLog,
        refuse: Callable[[Request, ProfilestoreError], Response],
    ) -> None:
        self._app = app
        self._log = log
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reading = _Reading()
        token = _current.set(reading)
        is_refused = False

        async def noted(message: Message) -> None:
            nonlocal is_refused
            if is_refused:
                return
            if message["type"] == "http.response.start" and (reading.views or reading.of_everybody):
                try:
                    self._write(scope, message["status"], reading)
                except ProfilestoreError as error:
                    is_refused = True
                    await self._refuse(Request(scope), error)(scope, receive, send)
                    return
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            _current.reset(token)

    def _write(self, scope: Scope, status: int, reading: _Reading) -> None:
        self._log.append(
            Read(
                at=datetime.now(UTC),
                client=scope.get("client_name", ""),
                route=route_of(scope),
                request=request_id.get() or "",
                status=status,
                purpose=reading.purpose,
                reads=reading.grouped(),
            )
        )
