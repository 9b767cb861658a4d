"""The live log: a file of JSON lines for each day on which events arrived.

```
data/live/events/2026-03-01.jsonl     grows by whole lines; on the disk before anybody is told so
```

It is the one place that nothing else can be derived without: whatever else is lost is made anew
from it. A last line that a killed process left torn is cut when the log is opened; nobody was told
that it was taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from profilestore.disk import open_lines, to_disk, write_all
from profilestore.errors import ProfilestoreError


class Position(NamedTuple):
    """A place between two lines: the file, and the bytes of it that stand before."""

    file: str
    offset: int


class Line(NamedTuple):
    """A line without its end, and the place after it."""

    text: bytes
    end: Position


class LiveLog:
    """One process appends; whoever reads sees whole lines, and perhaps the beginning of one.

    Args:
        folder: made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not folder.exists():
            folder.mkdir(parents=True)
            to_disk(folder.parent)
            to_disk(folder.parent.parent)
        self._broken: str | None = None
        self._handle: int | None = None
        self._name = ""
        self._size = 0
        for name in self._names()[-1:]:
            self._open(name)

    @property
    def end(self) -> Position:
        """Up to where lines are on the disk."""
        return Position(self._name, self._size)

    def append(self, lines: bytes, day: datetime) -> Position:
        """Write whole lines to the file of a day, all or none; the end, once they are on the disk.

        A day before that of the last file (a clock that was set back) goes on with the last file.

        Raises:
            ProfilestoreError: the disk refused; the log is as it was.
        """
        if self._broken is not None:
            raise ProfilestoreError(self._broken)
        try:
            name = f"{day:%Y-%m-%d}.jsonl"
            if name > self._name:
                self._open(name)
            assert self._handle is not None
            write_all(self._handle, lines)
            os.fsync(self._handle)
        except OSError as error:
            self._undo(error)
            raise ProfilestoreError(
                f"{self._folder}: the live log could not be written ({error.strerror}): the events "
                "were not taken. Free some space, and send them again."
            ) from None
        self._size += len(lines)
        return self.end

    def lines(self, after: Position) -> Iterator[Line]:
        """All lines that stand after a place, in the order in which they were written."""
        for name in self._names():
            if name < after.file:
                continue
            offset = after.offset if name == after.file else 0
            with (self._folder / name).open("rb") as file:
                file.seek(offset)
                for text in file:
                    if not text.endswith(b"\n"):
                        break
                    offset += len(text)
                    yield Line(text[:-1], Position(name, offset))

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob("*.jsonl"))

    def _open(self, name: str) -> None:
        handle, size = open_lines(self._folder / name)
        self.close()
        self._handle, self._name, self._size = handle, name, size

    def _undo(self, error: OSError) -> None:
        """Cut what a failed write left. Where even that fails nothing more is taken."""
        if self._handle is None:
            return
        try:
            os.ftruncate(self._handle, self._size)
            os.fsync(self._handle)
        except OSError:
            self._broken = (
                f"{self._folder / self._name}: the live log could not be written "
                f"({error.strerror}), nor what was begun be taken back. See to the disk, and start "
                "the service again."
            )
