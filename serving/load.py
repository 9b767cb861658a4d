"""More requests than can be answered: some are refused at once, so that the others are not late.

Whoever is refused learns when to ask again, and costs next to nothing.

How many are too many follows from how fast they are answered: by Little's law (J. D. C. Little,
1961) a request that finds `n` others waits for `n` times the time between two answers. Some that
come at once are no reason to refuse any: a browser asks for all parts of a page together, and
clients that wait for their answers are never more than they are. Where more come than are answered
the queue grows past that; from then on, and until nobody was refused for a while, nobody is let in
who would have to wait for long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.telemetry.metrics import SHED

# What says how the service is has to be heard above all when it is busy.
_ALWAYS = ("/healthz", "/readyz", "/health", "/metrics")


# So many at a time are no overload; and so few are never too many: the time between answers was
# measured on others, and may be wrong.
_AT_ONCE, _FEW = 16, 2
# An overload is over when nobody was refused for so many seconds.
_OVER = 1.0
# Of the newest time between two answers in what is expected of the next.
_WEIGHT = 1 / 32


class Shedding:
    """Answers so many requests at a time as it can answer soon, and refuses the rest.

    Args:
        most: how many at a time, however fast they are answered.
        longest_wait: seconds that a request may be expected to wait for those before it, where
            there is an overload.
        refuse: makes the answer to one that is refused.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        app: ASGIApp,
        most: int,
        longest_wait: float,
        refuse: Callable[[Request], Response],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._most = most
        self._longest_wait = longest_wait
        self._refuse = refuse
        self._clock = clock
        self._answering = 0
        # Seconds between two answers while somebody waits; and when the last such time began.
        self._pace = 0.0
        self._since = 0.0
        self._refused_at = -_OVER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._is_too_many():
            SHED.inc()
            await self._refuse(Request(scope))(scope, receive, send)
            return
        if not self._answering:
            self._since = self._clock()
        self._answering += 1
        try:
            # Whoever came at the same time is counted before the first is answered.
            await asyncio.sleep(0)
            await self._app(scope, receive, send)
        finally:
            self._answering -= 1
            now = self._clock()
            # One that takes seconds says little about those that come after it.
            seconds = min(now - self._since, self._longest_wait)
            self._pace += _WEIGHT * (seconds - self._pace)
            self._since = now

    def _is_too_many(self) -> bool:
        if self._answering >= self._most:
            return True
        if self._answering < _FEW or self._answering * self._pace <= self._longest_wait:
            return False
        now = self._clock()
        if self._answering < _AT_ONCE and now - self._refused_at >= _OVER:
            return False
        self._refused_at = now
        return True
