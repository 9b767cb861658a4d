"""The clients of a service, as `access.yaml` declares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from profilestore.errors import InputError

SCOPES: Mapping[str, str] = {
    "profiles:read": "profiles, who can be asked for, tags, and people who are alike",
    "recommendations:read": "recommendations, their reasons, and items that are alike",
    "events:write": "tell what people did",
    "features:read": "features by name, as from Feast's own server",
    "features:write": "write features to the online store",
    "models:read": "which models there are, what they reached, and how good the data is",
    "models:write": "choose the model that serves",
    "metrics:read": "how the service fares",
}
"""What a client may be let do."""

_DIGEST = r"^sha256:[0-9a-f]{64}$"


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Client(_Declared):
    keys: tuple[Annotated[str, Field(pattern=_DIGEST)], ...] = ()
    scopes: frozenset[str]
    purposes: frozenset[str] | None = None
    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: frozenset[str]) -> frozenset[str]:
        unknown = sorted(scopes - SCOPES.keys())
        if unknown:
            raise ValueError(f"found {', '.join(unknown)}, needed some of {', '.join(SCOPES)}")
        return scopes


class _Tokens(_Declared):
    jwks: str
    issuer: str
    audience: str


class _File(_Declared):
    clients: dict[Annotated[str, Field(min_length=1, max_length=64)], _Client]
    tokens: _Tokens | None = None


@dataclass(frozen=True)
class Client:
    """Who asks.

    Attributes:
        name: as in `access.yaml`; empty for whoever it is, where nobody is declared.
        scopes: names of `SCOPES`; None is all.
        purposes: what it may read for; None is anything.
        requests_per_second: None is without limit.
    """

    name: str
    scopes: frozenset[str] | None
    purposes: frozenset[str] | None = None
    requests_per_second: float | None = None

    def may(self, scope: str) -> bool:
        return self.scopes is None or scope in self.scopes


ANYONE = Client("", None)
"""Who asks where no clients are declared: whoever is on this machine."""


@dataclass(frozen=True)
class TokenIssuer:
    """Whose tokens are taken.

    Attributes:
        jwks: address, or file, of the issuer's public keys (RFC 7517).
        issuer, audience: what a token has to say of itself.
    """

    jwks: str
    issuer: str
    audience: str


@dataclass(frozen=True)
class Access:
    """All clients.

    Attributes:
        clients: by name.
        by_key: digest of an API key -> whose it is.
        issuer: None where no tokens are taken.
    """

    clients: Mapping[str, Client]
    by_key: Mapping[str, Client] = field(repr=False)
    issuer: TokenIssuer | None = None


def load_access(path: Path) -> Access:
    """What the file declares.

    Raises:
        InputError: it is not there, or not as it has to be; the message says where.
    """
    declared = read_file(path)
    clients = {
        name: Client(name, one.scopes, one.purposes, one.requests_per_second)
        for name, one in declared.clients.items()
    }
    by_key: dict[str, Client] = {}
    for name, one in declared.clients.items():
        for key in one.keys:
            if key in by_key:
                raise InputError(
                    f"{path}: clients {by_key[key].name} and {name} have the same key. "
                    "Give one of them another: `profilestore access-key <client>`."
                )
            by_key[key] = clients[name]
    tokens = declared.tokens
    issuer = None
    if tokens is not None:
        jwks = tokens.jwks
        if not jwks.startswith(("https://", "http://")):
            jwks = str(path.parent / jwks)
        issuer = TokenIssuer(jwks, tokens.issuer, tokens.audience)
    return Access(clients, by_key, issuer)


def read_file(path: Path) -> _File:
    """The file, checked.

    Raises:
        InputError: as `load_access`.
    """
    try:
        said: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is gone: it declares who may ask.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    try:
        return _File.model_validate(said if isinstance(said, dict) else {})
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        )
        raise InputError(f"{path}: {wrong}. docs/serving.md has an example.") from None
