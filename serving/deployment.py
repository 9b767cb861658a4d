"""What a running service holds: online store, bundle, people and clock of one deployment.

Each is loaded when the service starts and again when its files change, which is seen by a `stat`
at each use. What cannot be loaded stays out and says why; the rest is served.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from profilestore.artifacts import CURRENT, Bundle, load_current
from profilestore.encoding import Feature
from profilestore.errors import MissingStageError, ProfilestoreError
from profilestore.feature_server import FeatureServer
from profilestore.feature_store import (
    FeatureStore,
    Materialized,
    Neighbour,
    StoredRow,
    ViewRecord,
)
from profilestore.quality import QUALITY, Quality
from profilestore.segmentation import RESULTS, Segmentation, load_segmentation
from profilestore.settings import Settings
from profilestore.sources import Clock, read_clock
from profilestore.sources.clock import ACTIVE_FILE
from profilestore.tags import TAGS, Tags
from serving.audit import note_everybody, note_people
from serving.documents import MissingPart
from serving.items import Items
from serving.people import People
from serving.recommendations.policy import Policy, load_policy
from serving.telemetry import timed

_log = logging.getLogger("profilestore.serving")
_CHUNK = 200
_PAUSE_SECONDS = 0.001
_PERSON = "user"
T = TypeVar("T")


class Store(Protocol):
    """What serving needs of `profilestore.feature_store.FeatureStore`."""

    def features(self, service: str) -> list[Feature]: ...

    def view_tags(self, service: str) -> dict[str, dict[str, str]]: ...

    def purposes(self) -> dict[str, str]: ...

    def nearest(
        self, service: str, entity: str, vector: Sequence[float], count: int
    ) -> list[Neighbour]: ...

    def online(
        self,
        service: str,
        entity: str,
        keys: Sequence[str],
        *,
        now: datetime | None = None,
        views: Collection[str] | None = None,
    ) -> list[dict[str, ViewRecord]]: ...

    def as_of(
        self,
        service: str,
        entity: str,
        key: str,
        at: datetime,
        *,
        views: Collection[str] | None = None,
    ) -> dict[str, ViewRecord]: ...

    def people(
        self,
        service: str,
        at: datetime,
        columns: Sequence[str],
        *,
        who: Sequence[str] | None = None,
    ) -> pa.Table: ...

    def tagged(self, entity: str, tag: str) -> list[Feature]: ...

    def materialised_rows(self, view: str, keys: Sequence[str]) -> list[StoredRow | None]: ...

    def push_rows(self, view: str, rows: Mapping[str, StoredRow]) -> None: ...


class SharedStore:
    """A store that many threads may use: one at a time reads.

    Feast promises nothing about threads: its registry refreshes itself unguarded, and so do some
    of its online stores open their connections. Long reads go in pieces, so that a person who
    asks waits for one piece and not for nine thousand items.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._features: dict[str, list[Feature]] = {}
        self._view_tags: dict[str, dict[str, dict[str, str]]] = {}
        self._tagged: dict[tuple[str, str], list[Feature]] = {}
        self._purposes: dict[str, str] | None = None

    def features(self, service: str) -> list[Feature]:
        with self._lock:
            if service not in self._features:
                self._features[service] = self._store.features(service)
            return self._features[service]

    def view_tags(self, service: str) -> dict[str, dict[str, str]]:
        with self._lock:
            if service not in self._view_tags:
                self._view_tags[service] = self._store.view_tags(service)
            return self._view_tags[service]

    def tagged(self, entity: str, tag: str) -> list[Feature]:
        with self._lock:
            if (entity, tag) not in self._tagged:
                self._tagged[entity, tag] = self._store.tagged(entity, tag)
            return self._tagged[entity, tag]

    def materialised_rows(self, view: str, keys: Sequence[str]) -> list[StoredRow | None]:
        with self._lock, timed("online", "read"):
            return self._store.materialised_rows(view, keys)

    def push_rows(self, view: str, rows: Mapping[str, StoredRow]) -> None:
        with self._lock, timed("online", "write"):
            self._store.push_rows(view, rows)

    def purposes(self) -> dict[str, str]:
        with self._lock:
            if self._purposes is None:
                self._purposes = self._store.purposes()
            return self._purposes

    def nearest(
        self, service: str, entity: str, vector: Sequence[float], count: int
    ) -> list[Neighbour]:
        """As `FeatureStore.nearest`."""
        with self._lock, timed("online", "search"):
            found = self._store.nearest(service, entity, vector, count)
        if entity == _PERSON:
            note_people((one.key for one in found), [f"service:{service}"])
        return found

    def online(
        self,
        service: str,
        entity: str,
        keys: Sequence[str],
        *,
        now: datetime | None = None,
        views: Collection[str] | None = None,
    ) -> list[dict[str, ViewRecord]]:
        """As `FeatureStore.online`.

        Raises:
            ProfilestoreError: the online store is torn, or lacks the table of a view.
        """
        rows: list[dict[str, ViewRecord]] = []
        for start in range(0, len(keys), _CHUNK):
            if start:
                # A lock is not fair: who takes it again at once keeps everybody else out.
                time.sleep(_PAUSE_SECONDS)
            with self._lock, timed("online", "read"):
                try:
                    rows += self._store.online(
                        service, entity, keys[start : start + _CHUNK], now=now, views=views
                    )
                except sqlite3.Error as error:
                    raise ProfilestoreError(
                        f"the online store cannot be read ({error}). Run `make apply materialize`."
                    ) from error
        if entity == _PERSON and rows:
            note_people(keys, rows[0])
        return rows

    def as_of(
        self,
        service: str,
        entity: str,
        key: str,
        at: datetime,
        *,
        views: Collection[str] | None = None,
    ) -> dict[str, ViewRecord]:
        """As `FeatureStore.as_of`. It takes seconds: never of a store that is read online."""
        with self._lock, timed("offline", "as_of"):
            found = self._store.as_of(service, entity, key, at, views=views)
        if entity == _PERSON:
            note_people([key], found)
        return found

    def people(
        self,
        service: str,
        at: datetime,
        columns: Sequence[str],
        *,
        who: Sequence[str] | None = None,
    ) -> pa.Table:
        """As `FeatureStore.people`. It takes seconds: never of a store that is read online."""
        views = {column.partition("__")[0] for column in columns}
        if who is None:
            note_everybody(views)
        else:
            note_people(who, views)
        with self._lock, timed("offline", "people"):
            return self._store.people(service, at, columns, who=who)


class Watched(Generic[T]):
    """Something read from files, and read again when one of them changes.

    Args:
        what: its name in messages.
        load: reads it.
        files: the files whose change means that it has to be read again.
    """

    def __init__(self, what: str, load: Callable[[], T], files: Sequence[Path]) -> None:
        self.what = what
        self._load = load
        self._files = files
        self._lock = threading.Lock()
        self._stamp: object = None
        self._value: T | None = None
        self._error: ProfilestoreError | None = None

    def get(self) -> T:
        """The latest that could be loaded.

        Raises:
            ProfilestoreError: there is none, with the reason of the last attempt.
        """
        stamp = _stamp(self._files)
        # While one thread reads the new one, the others are served with the old one.
        if stamp != self._stamp and self._lock.acquire(blocking=self._value is None):
            try:
                if stamp != self._stamp:
                    self._reload()
                    self._stamp = stamp
            finally:
                self._lock.release()
        value, error = self._value, self._error
        if value is not None:
            return value
        if error is None:  # a good one came between reading the two
            return self.get()
        raise type(error)(*error.args)

    def renew(self) -> None:
        """Read the latest now: whoever asks from here on gets it, and nobody the one before."""
        with self._lock:
            stamp = _stamp(self._files)
            if stamp != self._stamp:
                self._reload()
                self._stamp = stamp

    def _reload(self) -> None:
        try:
            value, error = self._load(), None
        except MissingStageError as missing:
            # Taken away on purpose (a change of source does that): what we hold is no longer true.
            value, error = None, missing
        except Exception as broken:
            said = str(broken) if isinstance(broken, ProfilestoreError) else repr(broken)
            value, error = self._value, ProfilestoreError(f"the {self.what} is broken: {said}")
            _log.error("%s%s", error, "; the one before stays in use" if value is not None else "")
        # Value last: a thread between the two lines sees an old pair or a complete new one.
        self._error = error
        self._value = value


class Deployment:
    """Everything that is loaded, for one `Settings`.

    Args:
        open_store, load_bundle, read_people, read_clock, load_segments, read_tags,
            open_feature_server: where things come from; tests put others in their place.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        open_store: Callable[[Settings], Store] = FeatureStore,
        load_bundle: Callable[[Settings], Bundle] = load_current,
        read_people: Callable[[Settings], Materialized] = Materialized.read,
        read_clock: Callable[[Settings], Clock] = read_clock,
        load_segments: Callable[[Settings], Segmentation] = load_segmentation,
        read_tags: Callable[[Settings], Tags] = Tags.read,
        open_feature_server: Callable[[Settings], FeatureServer] = FeatureServer,
    ) -> None:
        # Whoever empties or refills the online store leaves another note: then its file may be
        # another one too, and an open connection would go on reading the old one.
        self._note = note = settings.online / "materialized.json"
        self._store: Watched[Store] = Watched(
            "feature registry",
            lambda: SharedStore(open_store(settings)),
            [settings.registry, note],
        )
        self._items = Watched("items", lambda: Items(self._store.get()), [settings.registry, note])
        self._past = Watched(
            "feature registry", lambda: SharedStore(open_store(settings)), [settings.registry]
        )
        self._feature_server = Watched(
            "feature registry", lambda: open_feature_server(settings), [settings.registry, note]
        )
        self._people = Watched("online store", lambda: People(read_people(settings)), [note])
        self._bundle = Watched(
            "model bundle", lambda: load_bundle(settings), [settings.models / CURRENT]
        )
        self._clock = Watched(
            "log's clock", lambda: read_clock(settings), [settings.raw / ACTIVE_FILE]
        )
        self._tags = Watched("tags", lambda: read_tags(settings), [settings.online / TAGS])
        self._quality = Watched(
            "report on the data", lambda: Quality.read(settings), [settings.data / QUALITY]
        )
        self._policy = Watched(
            "policy of recommendations",
            lambda: load_policy(settings),
            [settings.recommendations_file],
        )
        self._segments = Watched(
            "segmentation", lambda: load_segments(settings), [settings.profiles / RESULTS]
        )

    def store(self) -> Store:
        """The online store, safe for threads.

        Raises:
            MissingStageError: nothing was applied, or nothing was materialised.
        """
        self._people.get()
        return self._store.get()

    def items(self) -> Items:
        """Titles and the like of items.

        Raises:
            MissingStageError: nothing was applied, or nothing was materialised.
        """
        self._people.get()
        return self._items.get()

    def past(self) -> Store:
        """The offline store, safe for threads; another one than `store`, which is not kept waiting.

        Raises:
            MissingStageError: nothing was applied.
        """
        return self._past.get()

    def feature_server(self) -> FeatureServer:
        """What Feast's clients ask. It is there before anything is materialised, as Feast's own.

        Raises:
            MissingStageError: nothing was applied.
        """
        return self._feature_server.get()

    def people(self) -> People:
        """Who is in the online store.

        Raises:
            MissingStageError: nothing was materialised.
        """
        return self._people.get()

    def materialisation(self) -> object:
        """Another value whenever the online store was filled anew."""
        return _stamp([self._note])

    def bundle(self) -> Bundle:
        """The current bundle, if the feature service still has every column that it reads.

        Raises:
            MissingStageError: nothing was trained.
            ProfilestoreError: the bundle is torn, or made for other features than are registered.
        """
        bundle = self._bundle.get()
        self.check_reads(bundle)
        return bundle

    def renew_bundle(self) -> None:
        """Serve the current bundle from here on, if it changed."""
        self._bundle.renew()

    def check_reads(self, bundle: Bundle) -> None:
        """Whether the feature service still has every column that a bundle reads.

        Raises:
            ProfilestoreError: it has not.
        """
        known = {feature.column for feature in self.store().features(bundle.feature_service)}
        unknown = sorted(set(bundle.encoding.columns) - known)
        if unknown:
            raise ProfilestoreError(
                f"model {bundle.version} reads {', '.join(unknown)}, which the feature service "
                f"{bundle.feature_service} does not have. Run `make train`."
            )

    def tags(self) -> Tags:
        """The dictionary of tags.

        Raises:
            MissingStageError: nothing was counted yet.
        """
        return self._tags.get()

    def quality(self) -> Quality:
        """How good the data of the latest build is.

        Raises:
            MissingStageError: no build was measured.
        """
        return self._quality.get()

    def policy(self) -> Policy:
        """What was set of recommendations.

        Raises:
            ProfilestoreError: its file is not as it has to be, and never was.
        """
        return self._policy.get()

    def segmentation(self) -> Segmentation:
        """The segments of people, if the feature service still has every column that they read.

        Raises:
            MissingStageError: none were made.
            ProfilestoreError: they are torn, or made of other features than are registered.
        """
        found = self._segments.get()
        known = {feature.column for feature in self.store().features(found.feature_service)}
        unknown = sorted(set(found.encoding.columns) - known)
        if unknown:
            raise ProfilestoreError(
                f"the segments of {found.version} read {', '.join(unknown)}, which the feature "
                f"service {found.feature_service} does not have. Run `python -m training profiles`."
            )
        return found

    def clock(self) -> Clock | None:
        """The clock of the log; None where the raw log is not at hand."""
        try:
            return self._clock.get()
        except ProfilestoreError:
            return None

    def missing(self) -> list[MissingPart]:
        """What stands between this service and being ready, in the order in which it is built."""
        parts: Mapping[str, tuple[Callable[[], object], str]] = {
            "feature registry": (self._store.get, "make apply"),
            "online store": (self._people.get, "make materialize"),
            "model bundle": (self._bundle.get, "make train"),
        }
        found = []
        for what, (get, run) in parts.items():
            try:
                get()
            except ProfilestoreError as error:
                found.append(MissingPart(what=what, reason=str(error), run=run))
        if not found:
            try:
                self.bundle()
            except ProfilestoreError as error:
                found.append(MissingPart(what="model bundle", reason=str(error), run="make train"))
        return found


def _stamp(files: Sequence[Path]) -> tuple[tuple[int, int, int] | None, ...]:
    stamps = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(stamps)
