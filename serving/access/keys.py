"""API keys: two hundred and fifty-six random bits, of which only the digest is kept.

A key cannot be guessed, so a plain digest hides it: slow hashes are for what people think up.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

import yaml

from profilestore.errors import InputError
from serving.access.clients import SCOPES, read_file

_PREFIX = "ps_"  # so that a scanner knows one that lies about


def digest(key: str) -> str:
    """What `access.yaml` holds of a key."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def add_key(path: Path, client: str, scopes: list[str] | None = None) -> str:
    """Make a key for a client, and note its digest.

    Args:
        path: `access.yaml`; made if it is not there.
        scopes: of a client that is not declared yet.

    Returns:
        The key, which is written down nowhere.

    Raises:
        InputError: the client is new and has no scopes, or is there and is given some.
    """
    declared: dict[str, Any] = {"clients": {}}
    text = ""
    if path.exists():
        read_file(path)
        text = path.read_text(encoding="utf-8")
        declared = yaml.safe_load(text)
    if client in declared["clients"] and scopes:
        raise InputError(f"client {client} is in {path}: change its scopes there.")
    if client not in declared["clients"] and not scopes:
        raise InputError(
            f"client {client} is not in {path}: say what it may do, `--scope <one of "
            f"{', '.join(SCOPES)}>`."
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    about = declared["clients"].setdefault(client, {"keys": [], "scopes": scopes})
    about["keys"] = [*about.get("keys", []), digest(key)]
    comments = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("#"))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(comments + yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
        draft.chmod(0o600)
        read_file(draft)  # scopes that are none are refused before anything is changed
        draft.replace(path)
    except InputError as error:
        raise InputError(str(error).replace(str(draft), str(path))) from None
    finally:
        draft.unlink(missing_ok=True)
    return key
