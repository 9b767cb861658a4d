"""The shortest way to online features, for the request that services send most.

What is asked of `POST /get-online-features` is most often plain: a service or names, some entities,
a body in one piece. It is answered here, before FastAPI has looked at it. Whatever is not plain, or
cannot be answered, goes the usual way with every byte that was read of it, and is answered or
refused there: one place says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import Gate
from serving.access.purposes import check_service
from serving.bodies import MOST_BYTES
from serving.deployment import Deployment
from serving.feast_routes import AT_ONCE, FEATURES, READ, note_asked
from serving.telemetry import timed

_FIELDS = {"entities", "feature_service", "features", "full_feature_names"}
_LONGEST_NAME, _LONGEST_REFERENCE, _MOST_REFERENCES, _MOST_KEYS = 256, 512, 2000, 1000
_JSON = (b"content-type", b"application/json")


class QuickFeatures:
    """Answers plain requests, and hands on all others.

    Args:
        routes: those of the app, one of which is the usual way.
    """

    def __init__(
        self, app: ASGIApp, served: Deployment, gate: Gate, routes: Iterable[BaseRoute]
    ) -> None:
        self._app = app
        self._served = served
        self._gate = gate
        self._routes = routes
        self._route: BaseRoute | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["path"] != FEATURES
            or scope["method"] != "POST"
            or not _is_plain(scope["headers"])
        ):
            await self._app(scope, receive, send)
            return
        message = await receive()
        body = await self._answer(scope, message)
        if body is None:
            await self._app(scope, _again(message, receive), send)
            return
        scope["route"] = self._usual()
        headers = [(b"content-length", b"%d" % len(body)), _JSON, (b"vary", b"Accept-Encoding")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, message: Message) -> bytes | None:
        if message["type"] != "http.request" or message.get("more_body"):
            return None
        body = message["body"]
        if len(body) > MOST_BYTES:
            return None
        try:
            asked = orjson.loads(body)
            if not _is_plainly_asked(asked):
                return None
            entities, service = asked["entities"], asked.get("feature_service")
            features = () if service is not None else asked["features"]
            if not self._gate.is_open:
                client = await self._gate.check(Request(scope), READ)
                if client.purposes is not None:
                    if service is None:
                        return None
                    check_service(client, self._served, service)
            note_asked(entities, service, features)
            with timed("online", "features"):
                return self._served.feature_server().get_online_features(
                    entities,
                    features=features,
                    service=service,
                    full_feature_names=asked.get("full_feature_names", False),
                )
        except Exception:
            # The usual way meets it again, and has the words for it.
            return None

    def _usual(self) -> BaseRoute:
        if self._route is None:
            self._route = next(
                one for one in self._routes if getattr(one, "path", None) == FEATURES
            )
        return self._route


def _is_plain(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the body is JSON as it is, and so may the answer be."""
    is_json = False
    for name, value in headers:
        if name == b"content-type":
            is_json = value == b"application/json"
        elif name == b"accept-encoding" and (b"gzip" in value or b"*" in value):
            return False
    return is_json


def _is_plainly_asked(asked: Any) -> bool:
    if type(asked) is not dict or not asked.keys() <= _FIELDS:
        return False
    return (
        _are_columns(asked.get("entities"))
        and type(asked.get("full_feature_names", False)) is bool
        and (
            _is_name(asked.get("feature_service"))
            if "features" not in asked
            else "feature_service" not in asked and _are_references(asked["features"])
        )
    )


def _are_columns(entities: Any) -> bool:
    if type(entities) is not dict or not 0 < len(entities) <= _MOST_KEYS:
        return False
    rows = len(next(iter(entities.values()))) if _are_lists(entities) else 0
    return 0 < rows <= AT_ONCE and all(
        0 < len(name) <= _LONGEST_NAME and len(values) == rows for name, values in entities.items()
    )


def _are_lists(entities: dict[str, Any]) -> bool:
    return all(type(values) is list for values in entities.values())


def _is_name(name: Any) -> bool:
    return type(name) is str and 0 < len(name) <= _LONGEST_NAME


def _are_references(features: Any) -> bool:
    return (
        type(features) is list
        and 0 < len(features) <= _MOST_REFERENCES
        and all(type(one) is str and len(one) <= _LONGEST_REFERENCE for one in features)
    )


def _again(message: Message, receive: Receive) -> Callable[..., Any]:
    """What was received once, and then what follows."""
    first = [message]

    async def received() -> Message:
        return first.pop() if first else await receive()

    return received
