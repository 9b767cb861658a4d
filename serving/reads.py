"""What each route reads of the feature store, said at the route.

`profilestore plan` names the routes beside a change of a column that they use. A test asks every
route and compares what it says here with what the store was asked for and what shows in the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute

from profilestore.encoding import Feature

Handler = TypeVar("Handler", bound=Callable[..., object])


@dataclass(frozen=True)
class Reads:
    """Some features of one feature service.

    Attributes:
        service: its name; None for the one that the current bundle was trained on, of which
            everything that the bundle's encoding names is used as well.
        uses: whether a feature of it makes a difference to the answer.
    """

    service: str | None
    uses: Callable[[Feature], bool]


@dataclass(frozen=True)
class Endpoint:
    """A route, as `GET /v1/users`, and what it reads."""

    name: str
    reads: tuple[Reads, ...]


def reads(*what: Reads) -> Callable[[Handler], Handler]:
    """Say at a route what it reads: `@reads(ITEMS)`, below `@app.get`."""

    def said(handler: Handler) -> Handler:
        handler.reads = what  # type: ignore[attr-defined]
        return handler

    return said


def endpoints_of(app: FastAPI) -> list[Endpoint]:
    """The routes of an application that read features, by name."""
    found = [
        Endpoint(f"{method} {route.path_format}", route.endpoint.reads)
        for route in app.routes
        if isinstance(route, APIRoute) and getattr(route.endpoint, "reads", ())
        for method in sorted(route.methods)
    ]
    return sorted(found, key=lambda endpoint: endpoint.name)
