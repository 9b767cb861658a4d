"""Encryption at rest: AES-256-GCM (NIST SP 800-38D), each value under its own name.

A sealed value is a random nonce of 12 bytes, the ciphertext, and a tag of 16. The name under which
it is kept is authenticated with it: what is changed, cut, or put under another name is refused.
With random nonces one key may seal 2^32 values before two of them share a nonce with a probability
of 2^-33; make a new key before that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE, TAG = 12, 16


class BrokenSealError(Exception):
    """A value is not what was sealed under its name with this key.

    Args:
        name: of the value.
    """

    def __init__(self, name: bytes) -> None:
        super().__init__(name)
        self.name = name


class Seal:
    """One key.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._decrypt = self._cipher.decrypt

    def seal(self, name: bytes, value: Any) -> bytes:
        """A value (bytes, or a view of memory), to be kept under a name."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, value, name)

    def seal_all(self, items: Iterable[tuple[bytes, Any]]) -> list[tuple[bytes, bytes]]:
        """`seal` of each (name, value): (name, sealed value)."""
        named = list(items)
        encrypt, random = self._cipher.encrypt, os.urandom(NONCE * len(named))
        nonces = (random[at : at + NONCE] for at in range(0, len(random), NONCE))
        return [
            (name, nonce + encrypt(nonce, value, name))
            for (name, value), nonce in zip(named, nonces, strict=True)
        ]

    def open(self, name: bytes, sealed: Any) -> bytes:
        """The value that was sealed under a name.

        Raises:
            BrokenSealError: it is another one, or was sealed under another name or key.
        """
        try:
            return self._decrypt(sealed[:NONCE], sealed[NONCE:], name)
        except (InvalidTag, ValueError):
            raise BrokenSealError(name) from None

    def open_all(self, names: Sequence[bytes], sealed: Sequence[Any]) -> list[bytes | None]:
        """`open` of each; None stays None.

        Raises:
            BrokenSealError: as `open`.
        """
        decrypt = self._decrypt
        try:
            return [
                None if value is None else decrypt(value[:NONCE], value[NONCE:], name)
                for name, value in zip(names, sealed, strict=True)
            ]
        except (InvalidTag, ValueError):
            # Which one it was is looked for only now.
            return [
                None if value is None else self.open(name, value)
                for name, value in zip(names, sealed, strict=True)
            ]
