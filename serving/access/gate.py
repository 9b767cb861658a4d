"""What stands before a route: who asks is known, may ask that, and not too often."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from serving import problems
from serving.access.buckets import Buckets
from serving.access.clients import ANYONE, Access, Client, TokenIssuer
from serving.access.keys import digest

_HEADER = "X-API-Key"
_ADMITTED = "profilestore.admitted"
SCHEMES: dict[str, dict[str, str]] = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": _HEADER,
        "description": "A client's API key.",
    },
    "Token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A client's token.",
    },
    "Browser": {
        "type": "http",
        "scheme": "basic",
        "description": "For pages: any name, and an API key as the password.",
    },
}
"""The ways to say who asks, as OpenAPI describes them."""

PROBLEMS = (problems.UNAUTHENTICATED, problems.FORBIDDEN, problems.TOO_MANY)


class Gate:
    """Lets through who may ask.

    Args:
        access: gives the clients that are declared; None where anyone may ask anything.
    """

    def __init__(self, access: Callable[[], Access] | None) -> None:
        self._access = access
        self._buckets = Buckets()
        self._tokens: dict[TokenIssuer, Any] = {}

    @property
    def is_open(self) -> bool:
        """Whether anyone may ask anything."""
        return self._access is None

    def needs(self, scope: str) -> Any:
        """A dependency of a route: the client, who may do what `scope` says.

        Raises (when asked):
            ProblemError: nobody is known by what was sent, or may not, or asks too often.
        """

        async def client(request: Request) -> Client:
            return await self.check(request, scope)

        client.scope = scope  # type: ignore[attr-defined]  # which the documentation reads
        return Depends(client)

    async def check(self, request: Request, scope: str) -> Client:
        """Who asks, if they may."""
        if self._access is None:
            return ANYONE
        # Whoever was let through on a quicker way pays once for the request.
        admitted: tuple[str, Client] | None = request.scope.get(_ADMITTED)
        if admitted is not None and admitted[0] == scope:
            return admitted[1]
        access = self._access()
        client = await self._client(access, request)
        request.scope["client_name"] = client.name
        if not client.may(scope):
            raise problems.ProblemError(
                problems.FORBIDDEN,
                f"{client.name} may not do this: it needs the scope {scope}.",
            )
        if client.requests_per_second is not None:
            seconds = self._buckets.take(client.name, client.requests_per_second)
            if seconds:
                raise problems.ProblemError(
                    problems.TOO_MANY,
                    f"{client.name} may ask {client.requests_per_second:g} times a second.",
                    headers={"Retry-After": str(math.ceil(seconds))},
                )
        request.scope[_ADMITTED] = (scope, client)
        return client

    async def _client(self, access: Access, request: Request) -> Client:
        key = request.headers.get(_HEADER)
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        kind, said = scheme.lower(), said.strip()
        if key is None and kind == "basic":
            key = _password(said)
        if key is not None:
            client = access.by_key.get(digest(key))
            if client is None:
                raise _unknown(request, "No client has this key.")
            return client
        if kind == "bearer" and access.issuer is not None:
            return await run_in_threadpool(self._by_token, request, access, access.issuer, said)
        ways = f"an API key in {_HEADER}"
        if access.issuer is not None:
            ways += ", or a token in Authorization"
        raise _unknown(request, f"Say who asks: {ways}.")

    def _by_token(
        self, request: Request, access: Access, issuer: TokenIssuer, token: str
    ) -> Client:
        # Imported here: it brings a library of cryptography, which most services never need.
        from serving.access.tokens import TokenRefusedError, Tokens

        if issuer not in self._tokens:
            self._tokens[issuer] = Tokens(issuer)
        tokens = self._tokens[issuer]
        try:
            client: Client = tokens.client(access, token)
        except TokenRefusedError as error:
            raise _unknown(request, f"The token is refused: {error}.") from None
        return client


def _password(said: str) -> str | None:
    try:
        _, colon, password = base64.b64decode(said, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None


def _unknown(request: Request, detail: str) -> problems.ProblemError:
    # A browser asks for a password when it is challenged so; a client of ours reads the problem.
    is_page = "text/html" in request.headers.get("accept", "")
    challenge = 'Basic realm="Profilestore"' if is_page else "Bearer"
    return problems.ProblemError(
        problems.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenge}
    )
