"""What stands around every request: its number, its time, and the line that is left of it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import cache
from random import getrandbits

from prometheus_client import Histogram
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.telemetry.lines import SAID, request_id
from serving.telemetry.metrics import IN_FLIGHT, REQUESTS
from serving.telemetry.tracing import request_span

_log = logging.getLogger("profilestore.requests")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_HEADER = b"x-request-id"
# What another service may call a request: nothing that could be mistaken for more in a log.
_NAMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Requests:
    """Numbers, times and notes requests; outermost, so that nothing is answered unseen.

    A request may bring its own id in `X-Request-ID`, and finds it in the answer.

    Args:
        on_fault: what is answered where a fault of ours left a request without an answer.
    """

    def __init__(self, app: ASGIApp, on_fault: Callable[[Request, Exception], Response]) -> None:
        self._app = app
        self._on_fault = on_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _said(scope, _HEADER)
        # It tells requests apart, and is no secret.
        name = given if _NAMED.fullmatch(given) else f"{getrandbits(64):016x}"
        began = time.perf_counter()
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status, sent, has_begun = 500, 0, False

        async def note(message: Message) -> None:
            nonlocal status, sent, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                message.setdefault("headers", []).append((_HEADER, name.encode()))
            else:
                sent += len(message.get("body", b""))
            await send(message)

        token = request_id.set(name)
        IN_FLIGHT.inc()
        try:
            with request_span(method, scope) as span:
                try:
                    await self._app(scope, receive, note)
                except Exception as error:
                    if has_begun:
                        raise
                    answer = self._on_fault(Request(scope), error)
                    await answer(scope, receive, note)
                finally:
                    route = route_of(scope)
                    if span is not None:
                        span.update_name(f"{method} {route}")
                        span.set_attributes(
                            {
                                "http.request.method": method,
                                "http.route": route,
                                "http.response.status_code": status,
                            }
                        )
        finally:
            IN_FLIGHT.dec()
            seconds = time.perf_counter() - began
            _histogram(method, route, status).observe(seconds)
            if _log.isEnabledFor(logging.INFO):
                said = {
                    "method": method,
                    "route": route,
                    "status": status,
                    "milliseconds": round(1000 * seconds, 3),
                    "bytes": sent,
                    "client": scope.get("client_name") or None,
                }
                _log.info("request", extra={SAID: said})
            request_id.reset(token)


def _said(scope: Scope, header: bytes) -> str:
    for name, value in scope["headers"]:
        if name == header:
            return str(value, "latin-1")
    return ""


def route_of(scope: Scope) -> str:
    """The template of a request's path; never the path, which names a person."""
    found = scope.get("route")
    if found is not None:
        return str(found.path)
    return "/static" if scope["path"].startswith("/static/") else "none"


@cache
def _histogram(method: str, route: str, status: int) -> Histogram:
    return REQUESTS.labels(method, route, status)
