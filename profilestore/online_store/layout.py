"""How the records of a view are laid out, and which of them count. One entry a view."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from profilestore.errors import InputError
from profilestore.online_store.database import VIEWS, Snapshot
from profilestore.online_store.keys import VIEW
from profilestore.online_store.record import Schema, run_number, stamp_of

_NEXT = b"\x00next"
_MOST_SCHEMAS = 2**16


@dataclass(frozen=True)
class Layout:
    """What is known of a view's records.

    Attributes:
        number: stands at the end of each of its keys; never used again for another view.
        schemas: every layout that was ever written; a record names its own by position.
        run: the last materialisation.
        floor: records of materialisations before this one are gone: the source has no longer
            anything of their entities.
        since: the earliest event time that was asked of the source, microseconds; None before the
            first whole materialisation.
        pushed: whether there may be pushed records.
        loads: another number after each change of the materialised records.
        erasures: how often entities were deleted.
    """

    number: int
    schemas: tuple[Schema, ...] = ()
    run: int = 0
    floor: int = 0
    since: int | None = None
    pushed: bool = False
    loads: int = 0
    erasures: int = 0

    @cached_property
    def suffix(self) -> bytes:
        """The end of its keys."""
        return VIEW.pack(self.number)

    def newer(self, batch: Any, live: Any) -> Any:
        """The buffer that counts of a materialised and a pushed record; either may be None."""
        if batch is not None and run_number(batch) < self.floor:
            batch = None
        if live is None or (batch is not None and stamp_of(batch) >= stamp_of(live)):
            return batch
        return live

    def records(self, snapshot: Snapshot, part: bytes) -> Iterator[tuple[bytes, Any]]:
        """All of the view's keys and buffers in a part, in key order."""
        for key, buffer in snapshot.begin_with(part, b""):
            if key[-VIEW.size :] == self.suffix:
                yield key, buffer

    def with_schema(self, schema: Schema) -> tuple[Layout, int]:
        """A layout that has this schema, and the schema's position."""
        if schema in self.schemas:
            return self, self.schemas.index(schema)
        if len(self.schemas) == _MOST_SCHEMAS:
            raise InputError("a view has changed its features 65,536 times: materialise it anew.")
        return replace(self, schemas=(*self.schemas, schema)), len(self.schemas)


def read_layout(snapshot: Snapshot, project: str, view: str) -> Layout | None:
    """The layout of a view; None when nothing was ever written of it."""
    found = snapshot.get(VIEWS, _key(project, view))
    return None if found is None else _parsed(bytes(found))


def make_layout(snapshot: Snapshot, project: str, view: str) -> Layout:
    """As `read_layout`, with a number of its own for a view that has none."""
    found = read_layout(snapshot, project, view)
    if found is not None:
        return found
    last = snapshot.get(VIEWS, _NEXT)
    number = 0 if last is None else int(bytes(last))
    snapshot.put(VIEWS, _NEXT, str(number + 1).encode())
    # Begins anywhere: a view that was deleted and made anew is not taken for the one before.
    return Layout(number, loads=secrets.randbits(48))


def write_layout(snapshot: Snapshot, project: str, view: str, layout: Layout) -> None:
    """Replace a view's layout."""
    text = json.dumps(
        {
            "number": layout.number,
            "schemas": [json.loads(schema.to_json()) for schema in layout.schemas],
            "run": layout.run,
            "floor": layout.floor,
            "since": layout.since,
            "pushed": layout.pushed,
            "loads": layout.loads,
            "erasures": layout.erasures,
        }
    )
    snapshot.put(VIEWS, _key(project, view), text.encode())


def forget_layout(snapshot: Snapshot, project: str, view: str) -> None:
    """Remove a view's layout."""
    snapshot.delete(VIEWS, [_key(project, view)])


def layouts(snapshot: Snapshot, project: str) -> dict[str, Layout]:
    """Every view of a project."""
    start = _key(project, "")
    return {
        key[len(start) :].decode(): _parsed(bytes(value))
        for key, value in snapshot.begin_with(VIEWS, start)
    }


def _key(project: str, view: str) -> bytes:
    return f"{project}\x00{view}".encode()


@lru_cache(maxsize=4096)
def _parsed(text: bytes) -> Layout:
    found = json.loads(text)
    schemas = tuple(
        Schema(tuple((name, kind) for name, kind in schema)) for schema in found.pop("schemas")
    )
    return Layout(schemas=schemas, **found)
