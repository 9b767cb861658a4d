"""More requests than can be answered: some are refused at once, so that the others are not late.

Whoever is refused learns when to ask again, and costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.telemetry.metrics import SHED

# What says how the service is has to be heard above all when it is busy.
_ALWAYS = ("/healthz", "/readyz", "/health", "/metrics")


class Shedding:
    """Answers so many requests at a time, and refuses the rest.

    Args:
        most: how many at a time.
        refuse: makes the answer to one that is refused.
    """

    def __init__(self, app: ASGIApp, most: int, refuse: Callable[[Request], Response]) -> None:
        self._app = app
        self._most = most
        self._refuse = refuse
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._answering >= self._most:
            SHED.inc()
            await self._refuse(Request(scope))(scope, receive, send)
            return
        self._answering += 1
        try:
            # Whoever came at the same time is counted before the first is answered.
            await asyncio.sleep(0)
            await self._app(scope, receive, send)
        finally:
            self._answering -= 1
