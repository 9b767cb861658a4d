"""Conditional requests (RFC 9110): who has an answer already is told so, and not told again.

A document's tag is weak: it says that the document is the same but for the instant it was asked at.
"""

from __future__ import annotations

import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Quotes within a text have a backslash before them: this is a field, and never part of a value.
_ASKED_AT = re.compile(rb'"asked_at":"[^"]*"')


class Conditional:
    """Adds `ETag` to documents that are read, and answers `If-None-Match` with 304."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        begun: Message | None = None
        parts: list[bytes] = []

        async def hold(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _is_document(message):
                begun = message
            elif begun is None:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await _answer(scope, send, begun, b"".join(parts))

        await self._app(scope, receive, hold)


def _is_document(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return message["status"] == 200 and kind == "application/json" and "etag" not in headers


async def _answer(scope: Scope, send: Send, begun: Message, body: bytes) -> None:
    tag = f'W/"{hashlib.blake2b(_ASKED_AT.sub(b"", body), digest_size=12).hexdigest()}"'
    headers = MutableHeaders(raw=begun["headers"])
    headers["ETag"] = tag
    # It may be kept by who asked, and by nobody between; and is asked for again each time.
    headers.setdefault("Cache-Control", "private, no-cache")
    if _matches(Headers(scope=scope).get("if-none-match", ""), tag):
        for name in ("content-length", "content-type"):
            del headers[name]
        begun["status"], body = 304, b""
    await send(begun)
    await send({"type": "http.response.body", "body": body})


def _matches(wanted: str, tag: str) -> bool:
    """Weak comparison: a strong tag of the same text is the same."""
    return wanted.strip() == "*" or any(
        one.strip().removeprefix("W/") == tag.removeprefix("W/") for one in wanted.split(",")
    )
