"""Keyed pseudonyms: the same value from Python and from plain DuckDB SQL.

A pseudonym is HMAC-SHA-256 (RFC 2104) of `"<kind>:" + raw id` under a secret key, cut to its first
16 bytes and written as `u-` and 32 hexadecimal digits. Without the key nobody can compute or check
one; with it, Python (one id from a request) and SQL (a whole log in staging) agree.

In SQL the key never stands in the text of a query. `set_session_key` puts its two padded forms
into session variables of one connection, and the expression of `pseudonym_sql` reads them.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from profilestore.errors import InputError
from profilestore.privacy.keys import load_or_create
from profilestore.settings import Settings

KIND = "user"
"""Said inside the HMAC, so that a person and, one day, another kind of thing with the same raw id
get different pseudonyms."""

PREFIX = "u-"
INNER_VARIABLE = "pseudonym_ipad"
OUTER_VARIABLE = "pseudonym_opad"

_SHORTEST_PHRASE = 16
_BLOCK_BYTES = 64  # of SHA-256
_DIGITS = 32  # 16 bytes


class _Executes(Protocol):
    """What is needed of a DuckDB connection or cursor (dbt-duckdb hands out a wrapped one)."""

    def execute(self, query: str, parameters: object = ..., /) -> object: ...


def load_or_create_key(settings: Settings) -> bytes:
    """The key of this deployment.

    From `settings.pseudonym_key` when it is set (any text of at least 16 characters), otherwise
    from `settings.key_file`, which is made at the first call (`profilestore.privacy.keys`).

    Raises:
        InputError: the phrase is too short, or the file is readable by others, is no key, or
            cannot be read. The message never holds the key.
    """
    phrase = settings.pseudonym_key
    if phrase is not None:
        if len(phrase) < _SHORTEST_PHRASE:
            raise InputError(
                f"PROFILESTORE_PSEUDONYM_KEY: found {len(phrase)} characters, needed at least "
                f"{_SHORTEST_PHRASE}. Set a longer one, or unset it to use {settings.key_file}."
            )
        return phrase.encode()
    return load_or_create(settings.key_file, "pseudonym key", "every pseudonym then changes")


def pseudonym(raw_id: str, key: bytes) -> str:
    """The pseudonym of one raw user id: `u-` and 32 hexadecimal digits."""
    digest = hmac.new(key, f"{KIND}:{raw_id}".encode(), hashlib.sha256).hexdigest()
    return PREFIX + digest[:_DIGITS]


def set_session_key(connection_or_cursor: _Executes, key: bytes) -> None:
    """Put the key where `pseudonym_sql` reads it: two variables of this one DuckDB session.

    A cursor is a session of its own: one made from a connection does not have the connection's
    variables. The key travels as a bound parameter, so no query text holds it.
    """
    # RFC 2104: a key longer than a block is hashed first, and a short one is padded with zeros.
    block = hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key
    block = block.ljust(_BLOCK_BYTES, b"\0")
    for name, pad in ((INNER_VARIABLE, 0x36), (OUTER_VARIABLE, 0x5C)):
        padded = bytes(byte ^ pad for byte in block)
        connection_or_cursor.execute(f"SET VARIABLE {name} = ?", [padded])


def pseudonym_sql(column_expr: str) -> str:
    """A DuckDB expression of type VARCHAR: the pseudonym of `column_expr` (null stays null).

    The query fails when the session has no key, because null for everybody would look like a log
    without users.
    """
    return (
        f"'{PREFIX}' || left(sha256({_variable(OUTER_VARIABLE)} || "
        f"from_hex(sha256({_variable(INNER_VARIABLE)} || "
        f"encode('{KIND}:' || cast({column_expr} as varchar))))), {_DIGITS})"
    )


def _variable(name: str) -> str:
    # The casts matter: DuckDB folds coalesce() of two untyped nulls to null, without the error.
    return (
        f"coalesce(getvariable('{name}')::blob, "
        f"error('no pseudonym key in this session: {name} is not set')::blob)"
    )
