"""Secret keys of a deployment, each in a file that its owner alone can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from profilestore.disk import to_disk
from profilestore.errors import InputError

_BYTES = 32


def load_or_create(path: Path, what: str, otherwise: str) -> bytes:
    """The key in a file, which is made with 32 random bytes at the first call: mode 0600, in a
    folder of mode 0700. Two processes that start at once get the same key.

    Args:
        what: its name in messages.
        otherwise: what happens where another key takes its place, in words.

    Raises:
        InputError: the file is readable by others, is no key, or cannot be read. The message never
            holds the key.
    """
    try:
        if not path.exists():
            create(path)
        return _read(path, what, otherwise)
    except OSError as error:
        raise InputError(f"{path}: the {what} cannot be read or made: {error}") from None


def load(path: Path, what: str, otherwise: str) -> bytes:
    """The key in a file, which has to be there; else as `load_or_create`."""
    if not path.exists():
        raise InputError(
            f"{path}: the {what} is not there any more. Bring it back; without it {otherwise}."
        )
    return load_or_create(path, what, otherwise)


def create(path: Path) -> None:
    """Make the file of a key; one that another process made meanwhile stays."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
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


def _read(path: Path, what: str, otherwise: str) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InputError(
            f"{path}: found mode {mode:04o}, so others on this machine can read the {what}; "
            f"needed 0600. Run `chmod 600 {path}`, and make a new key if someone may have read it."
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise InputError(
            f"{path}: this is no {what}; needed {2 * _BYTES} hexadecimal digits. Put the right "
            f"file back, or delete it for a new key ({otherwise})."
        )
    return key
