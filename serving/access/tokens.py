"""JSON Web Tokens (RFC 7519) of one issuer, checked with its public keys (RFC 7517)."""

from __future__ import annotations

import json
from pathlib import Path

import jwt

from profilestore.errors import ProfilestoreError
from serving.access.clients import Access, Client, TokenIssuer

# Only those whose key for checking is public: with the others whoever can check can sign.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
_NEEDED = ["exp", "iss", "aud"]
_CLOCK_SKEW_SECONDS = 30


class TokenRefusedError(Exception):
    """A token is not to be believed; the text says why."""


class Tokens:
    """Checks tokens. Safe for several threads; it may have to fetch the issuer's keys."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self._issuer = issuer
        self._remote: jwt.PyJWKClient | None = None
        if issuer.jwks.startswith(("https://", "http://")):
            self._remote = jwt.PyJWKClient(issuer.jwks, cache_keys=True, timeout=5)

    def client(self, access: Access, token: str) -> Client:
        """Whose token it is: the client named by `client_id` (RFC 9068), else by `sub`; with those
        of its scopes that the token's own `scope` has.

        Raises:
            TokenRefusedError: it is not valid now, or names nobody who is declared.
            ProfilestoreError: the issuer's keys cannot be had.
        """
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=_ALGORITHMS,
                audience=self._issuer.audience,
                issuer=self._issuer.issuer,
                leeway=_CLOCK_SKEW_SECONDS,
                options={"require": _NEEDED},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise ProfilestoreError(
                f"the keys of the token's issuer cannot be had from {self._issuer.jwks}: {error}"
            ) from None
        except jwt.PyJWTError as error:
            raise TokenRefusedError(str(error)) from None
        name = claims.get("client_id", claims.get("sub"))
        known = access.clients.get(name) if isinstance(name, str) else None
        if known is None:
            raise TokenRefusedError("It names no client that access.yaml declares")
        said = claims.get("scope", "")
        scopes = frozenset(said.split() if isinstance(said, str) else ())
        return Client(
            known.name,
            scopes if known.scopes is None else known.scopes & scopes,
            known.purposes,
            known.requests_per_second,
        )

    def _key(self, token: str) -> jwt.PyJWK:
        if self._remote is not None:
            return self._remote.get_signing_key_from_jwt(token)
        try:
            keys = jwt.PyJWKSet.from_dict(json.loads(Path(self._issuer.jwks).read_text()))
        except (OSError, ValueError, jwt.PyJWKSetError) as error:
            raise ProfilestoreError(
                f"the keys of the token's issuer cannot be read: {error}"
            ) from None
        named = jwt.get_unverified_header(token).get("kid")
        for key in keys.keys:
            if key.key_id == named:
                return key
        raise jwt.InvalidKeyError("It is signed with a key that the issuer does not have")
