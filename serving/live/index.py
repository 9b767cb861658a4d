"""What the live log says, to be found by event and by person.

Derived from the log, line by line, and made anew when it is deleted. How far it has read stands in
the same transaction as what it read: killed at any moment, it goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb

from serving.live.event import Told
from serving.live.log import Line, LiveLog, Position

_MAP_BYTES = 1 << 36  # addresses, not disk
_CHUNK = 10_000
_PLACE = struct.Struct(">QQ")  # when an event arrived, and how many there were before
_END = b"end"
_LATEST = b"latest"
_BEGINNING = Position("", 0)


class EventIndex:
    """Events by id, and each person's by when they arrived.

    Args:
        folder: of the files; made when it is not there.
        log: what it is of. What the log has and the index lacks is read at once.
    """

    def __init__(self, folder: Path, log: LiveLog) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Without `metasync` a loss of power may take the last transactions, never the file: what
        # is missing is read from the log again.
        self._environment = lmdb.open(
            str(folder), map_size=_MAP_BYTES, max_dbs=3, subdir=True, metasync=False
        )
        self._ids = self._environment.open_db(b"ids")
        self._people = self._environment.open_db(b"people")
        self._about = self._environment.open_db(b"about")
        self._catch_up(log)

    def close(self) -> None:
        """Let go of the files."""
        self._environment.close()

    def known(self, event_ids: Iterable[str]) -> set[str]:
        """Those of these ids that were taken before."""
        with self._environment.begin(db=self._ids) as transaction:
            return {one for one in event_ids if transaction.get(_digest(one)) is not None}

    def add(self, events: Iterable[Told], end: Position) -> None:
        """Note events whose lines end at `end`; of equal ids the first."""
        latest = self.latest
        with self._environment.begin(write=True) as transaction:
            for event in events:
                if transaction.put(_digest(event.event_id), b"", db=self._ids, overwrite=False):
                    place = transaction.stat(self._people)["entries"]
                    transaction.put(
                        event.user_id.encode() + _PLACE.pack(event.received, place),
                        event.to_line(),
                        db=self._people,
                    )
                    latest = event.received
            transaction.put(_END, json.dumps(end).encode(), db=self._about)
            transaction.put(_LATEST, str(latest).encode(), db=self._about)

    def of_person(self, user_id: str, after: int) -> list[Told]:
        """A person's events that arrived after an instant (microseconds since 1970), in order."""
        prefix = user_id.encode()
        found = []
        with (
            self._environment.begin(db=self._people) as transaction,
            transaction.cursor() as cursor,
        ):
            more = cursor.set_range(prefix + _PLACE.pack(max(0, after + 1), 0))
            while more and cursor.key()[: -_PLACE.size] == prefix:
                found.append(Told.from_line(cursor.value()))
                more = cursor.next()
        return found

    def people(self) -> list[str]:
        """Everybody of whom there are events."""
        found = []
        with (
            self._environment.begin(db=self._people) as transaction,
            transaction.cursor() as cursor,
        ):
            more = cursor.first()
            while more:
                person = cursor.key()[: -_PLACE.size]
                found.append(person.decode())
                more = cursor.set_range(person + b"\xff" * _PLACE.size)
        return found

    @property
    def latest(self) -> int:
        """When the last event arrived, in microseconds since 1970; 0 without any."""
        with self._environment.begin(db=self._about) as transaction:
            noted = transaction.get(_LATEST)
        return 0 if noted is None else int(noted)

    def _catch_up(self, log: LiveLog) -> None:
        for lines in _chunks(log.lines(self._end())):
            self.add([Told.from_line(line.text) for line in lines], lines[-1].end)

    def _end(self) -> Position:
        with self._environment.begin(db=self._about) as transaction:
            noted = transaction.get(_END)
        return _BEGINNING if noted is None else Position(*json.loads(noted))


def _chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _digest(event_id: str) -> bytes:
    return hashlib.sha256(event_id.encode()).digest()[:16]
