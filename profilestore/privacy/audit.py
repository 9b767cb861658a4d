"""Who read what of whom: an append-only log, each of whose lines seals all that stand before it.

```
data/audit/2026-03-01.jsonl    a line for each answer that told something of somebody
data/audit/lock                held while a line is written; says which file is the last
```

A line is JSON: `n` (1 for the first there ever was), `at`, `client`, `route` (its template),
`request` (its id), `status`, `purpose`, `reads` (views, and the people whose they were; `everybody`
in their place where all were looked through), in the first line of a file `after` (the seal before
it), and last `seal`: HMAC-SHA-256 of the seal before and the rest of the line, under a key of its
own. A line that is changed, moved, or taken out from between two others breaks the chain; that the
newest are gone is seen by a seal that was noted elsewhere.

People have names of their own here (`audit_name`): without the key nobody finds a person in it, or
the same person in a profile.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from profilestore.disk import open_lines, write_all
from profilestore.errors import ProfilestoreError
from profilestore.privacy.keys import load_or_create
from profilestore.settings import Settings

EVERYBODY = "everybody"
_SEAL = b',"seal":"'
_TAIL = 1 << 16
_SYNC_SECONDS = 1.0


@dataclass(frozen=True)
class Read:
    """One answer that told something of somebody.

    Attributes:
        client: who asked; empty where nobody is declared.
        route: the template of the path.
        request: the id of the request.
        status: of the answer.
        purpose: what it was asked for, if that was said.
        reads: views (or `service:<name>`) that were read together, and the pseudonyms of the
            people whose they were, or `EVERYBODY`.
    """

    at: datetime
    client: str
    route: str
    request: str
    status: int
    purpose: str | None
    reads: Sequence[tuple[Sequence[str], Sequence[str] | str]]


@dataclass(frozen=True)
class Checked:
    """A log whose chain holds.

    Attributes:
        lines: how many there are.
        first: the number of the first: what stood before was removed when its time had come.
        head: `<number>:<seal>` of the last line, to be noted elsewhere; empty without any.
    """

    lines: int
    first: int
    head: str


class AuditError(ProfilestoreError):
    """The log is not as it was written."""


class AuditLog:
    """The log of one home; for threads, and for several processes.

    Args:
        folder: made with the first line.
        key: seals the lines and names the people.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key
        self._at_log = threading.Lock()
        self._handle: int | None = None
        self._lock_handle: int | None = None
        self._name = ""
        self._size = 0
        self._number, self._seal = 0, ""
        self._synced = 0.0
        self.audit_name = lru_cache(1 << 16)(self._audit_name)

    @classmethod
    def of(cls, settings: Settings) -> AuditLog:
        """The log of a home.

        Raises:
            InputError: its key cannot be read.
        """
        key = load_or_create(
            settings.audit_key_file, "key of the audit log", "what is in the log cannot be checked"
        )
        return cls(settings.audit, key)

    def append(self, read: Read) -> None:
        """Write one line. It outlives this process at once, and the machine within a second.

        Raises:
            ProfilestoreError: the disk refused; the log is as it was.
        """
        said = {
            "n": 0,
            "at": read.at.isoformat(),
            "client": read.client,
            "route": read.route,
            "request": read.request,
            "status": read.status,
            "purpose": read.purpose,
            "reads": [
                {
                    "views": views,
                    "people": people
                    if isinstance(people, str)
                    else [self.audit_name(one) for one in people],
                }
                for views, people in read.reads
            ],
        }
        with self._at_log:
            try:
                self._write(said, f"{read.at:%Y-%m-%d}.jsonl")
            except OSError as error:
                raise ProfilestoreError(
                    f"{self._folder}: what is read of people cannot be noted "
                    f"({error.strerror or error}), so nothing is told. Free some space."
                ) from None

    def close(self) -> None:
        """Let go of the files; a later line opens them again."""
        with self._at_log:
            for handle in (self._handle, self._lock_handle):
                if handle is not None:
                    os.fsync(handle)
                    os.close(handle)
            self._handle = self._lock_handle = None

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every line in its order, once its seal was checked.

        Raises:
            AuditError: names the first line that is not as it was written.
        """
        number, seal = 0, ""
        for path in _files(self._folder):
            with path.open("rb") as file:
                for place, text in enumerate(file, 1):
                    if not text.endswith(b"\n"):
                        break  # a line that a process is writing, or was killed while it wrote
                    body, found, rest = text.rpartition(_SEAL)
                    where = f"{path}, line {place}"
                    try:
                        line: dict[str, Any] = orjson.loads(text)
                        own = int(line["n"])
                    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                        raise AuditError(f"{where}: this is no line of an audit log.") from None
                    if not number and place == 1 and own != 1:
                        # Whoever removed what was older left the seal that the rest hangs on.
                        number, seal = own - 1, str(line.get("after", ""))
                    if own != number + 1:
                        raise AuditError(
                            f"{where}: found number {own}, needed {number + 1}: lines were taken "
                            "out, or put in."
                        )
                    # The seal ends the line: what stood behind it would be said, and not sealed.
                    own_seal = self._sealed(seal, body)
                    if not found or not hmac.compare_digest(_ending(own_seal), rest):
                        raise AuditError(
                            f"{where} (number {own}): the seal does not fit: this line, or one "
                            "before it, is not as it was written."
                        )
                    number, seal = own, own_seal
                    yield line

    def check(self, head: str | None = None) -> Checked:
        """Whether the whole chain holds.

        Args:
            head: `<number>:<seal>` that was noted before: that line has to be there still.

        Raises:
            AuditError: it does not, or the line of `head` is not there.
        """
        lines, first, last, is_found = 0, 0, "", head is None
        for line in self.lines():
            lines, first = lines + 1, first or line["n"]
            last = f"{line['n']}:{line['seal']}"
            is_found = is_found or last == head
        if not is_found:
            raise AuditError(
                f"{self._folder}: there is no line {head}: the log was cut after it was noted, or "
                "is another one."
            )
        return Checked(lines, first, last)

    def _write(self, said: dict[str, Any], day: str) -> None:
        if self._lock_handle is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock_handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock_handle, fcntl.LOCK_EX)
        try:
            self._catch_up()
            # A clock that was set back goes on with the last file: order is by number, not time.
            if day > self._name:
                self._open(day)
                said["after"] = self._seal
            assert self._handle is not None
            said["n"] = self._number + 1
            body = orjson.dumps(said)[:-1]
            seal = self._sealed(self._seal, body)
            text = body + _SEAL + _ending(seal)
            try:
                write_all(self._handle, text)
            except OSError:
                os.ftruncate(self._handle, self._size)
                raise
            self._size += len(text)
            self._number, self._seal = said["n"], seal
        finally:
            fcntl.flock(self._lock_handle, fcntl.LOCK_UN)
        now = time.monotonic()
        if now - self._synced > _SYNC_SECONDS:
            os.fsync(self._handle)
            self._synced = now

    def _catch_up(self) -> None:
        """Go to the end, which another process may have moved."""
        assert self._lock_handle is not None
        newest = os.pread(self._lock_handle, 64, 0).decode("ascii", "replace")
        if (
            self._handle is not None
            and newest == self._name
            and os.fstat(self._handle).st_size == self._size
        ):
            return
        self._number, self._seal = 0, ""
        # The last file may be empty: a process was killed before its first line.
        for path in reversed(_files(self._folder)):
            self._open(path.name)
            if self._handle is not None and self._size:
                last = orjson.loads(_last_line(self._handle, self._size))
                self._number, self._seal = last["n"], last["seal"]
                break

    def _open(self, name: str) -> None:
        handle, size = open_lines(self._folder / name)
        if self._handle is not None:
            os.close(self._handle)
        self._handle, self._name, self._size = handle, name, size
        assert self._lock_handle is not None
        os.ftruncate(self._lock_handle, 0)
        os.pwrite(self._lock_handle, name.encode("ascii"), 0)

    def _sealed(self, before: str, body: bytes) -> str:
        return hmac.digest(self._key, before.encode() + body, "sha256").hex()

    def _audit_name(self, user_id: str) -> str:
        return "a-" + hmac.digest(self._key, b"person:" + user_id.encode(), "sha256").hex()[:32]


def _ending(seal: str) -> bytes:
    """What ends a line, after `_SEAL`."""
    return seal.encode() + b'"}\n'


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _last_line(handle: int, size: int) -> bytes:
    """The last line of a file that ends with one."""
    length = _TAIL
    while True:
        tail = os.pread(handle, min(length, size), max(0, size - length)).rstrip(b"\n")
        _, found, line = tail.rpartition(b"\n")
        if found or length >= size:
            return line
        length *= 2
