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
import os
import secrets
import stat
from pathlib import Path
from typing import Protocol

from profilestore.disk import to_disk
from profilestore.errors import InputError
from profilestore.settings import Settings

KIND = "user"
"""Said inside the HMAC, so that a person and, one day, another kind of thing with the same raw id
get different pseudonyms."""

PREFIX = "u-"
INNER_VARIABLE = "pseudonym_ipad"
OUTER_VARIABLE = "pseudonym_opad"

_SHORTEST_PHRASE = 16
_KEY_BYTES = 32
_BLOCK_BYTES = 64  # of SHA-256
_DIGITS = 32  # 16 bytes


class _Executes(Protocol):
    """What is needed of a DuckDB connection or cursor (dbt-duckdb hands out a wrapped one)."""

    def execute(self, query: str, parameters: object = ..., /) -> object: ...


def load_or_create_key(settings: Settings) -> bytes:
    """The key of this deployment.

    From `settings.pseudonym_key` when it is set (any text of at least 16 characters), otherwise
    from `settings.key_file`, which is made with 32 random bytes at the first call: mode 0600, in a
    folder of mode 0700. Two processes that start at once get the same key.

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
    path = settings.key_file
    try:
        if not path.exists():
            _create_key_file(path)
        return _read_key_file(path)
    except OSError as error:
        raise InputError(f"{path}: the pseudonym key cannot be read or made: {error}") from None


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


def _create_key_file(path: Path) -> None:
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a rename, a link never replaces a key that another process made meanwhile.
            os.link(draft, path)
        except FileExistsError:
            return
        to_disk(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _read_key_file(path: Path) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InputError(
            f"{path}: found mode {mode:04o}, so others on this machine can read the pseudonym key; "
            f"needed 0600. Run `chmod 600 {path}`, and make a new key if someone may have read it."
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise InputError(
            f"{path}: this is no pseudonym key; needed {2 * _KEY_BYTES} hexadecimal digits. Put "
            "the right file back, or delete it for a new key (every pseudonym then changes)."
        )
    return key
