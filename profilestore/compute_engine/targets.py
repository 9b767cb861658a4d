"""Where materialised rows go: our online store, Redis, or any other of Feast's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from typing import Protocol

import pyarrow as pa
from feast.feature_view import FeatureView
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig

from profilestore.compute_engine.redis_hashes import RedisHashes
from profilestore.compute_engine.rows import Rows
from profilestore.instants import from_micros, to_micros
from profilestore.online_store import LMDBOnlineStore
from profilestore.online_store.columns import records
from profilestore.online_store.keys import entity_key
from profilestore.online_store.loading import Load, commit
from profilestore.online_store.record import NEVER
from profilestore.online_store.response import to_proto


class ViewWriter(Protocol):
    """Takes the rows of one view.

    Attributes:
        since: from when on earlier materialisations have asked, if the store knows.
    """

    since: datetime | None

    def add(self, rows: Rows) -> None:
        """Some rows."""

    def end(self, whole_since: datetime | None) -> None:
        """All rows were given; they are all that the source has from that time on, or a part."""


class Target(Protocol):
    """An online store during one materialisation."""

    def view(self, view: FeatureView) -> ViewWriter:
        """A writer for one view."""

    def commit(self) -> None:
        """Everything was given."""


def target_for(store: OnlineStore, config: RepoConfig) -> AbstractContextManager[Target]:
    """The quickest way into a store; left before `commit`, as little as it can is written."""
    if isinstance(store, LMDBOnlineStore):
        return _LMDB.open(store, config)
    # A cluster's hashes are on several servers.
    if (
        type(store).__name__ == "RedisOnlineStore"
        and config.online_store.redis_type != "redis_cluster"
    ):
        return _Redis.open(store, config)
    return _Any.open(store, config)


class _LMDB:
    """All views in one transaction."""

    def __init__(self, store: LMDBOnlineStore, config: RepoConfig, stack: ExitStack) -> None:
        self._store = store
        self._config = config
        self._stack = stack
        self._ended: list[tuple[Load, int | None]] = []

    @classmethod
    @contextmanager
    def open(cls, store: LMDBOnlineStore, config: RepoConfig) -> Iterator[Target]:
        with ExitStack() as stack:
            yield cls(store, config, stack)

    def view(self, view: FeatureView) -> ViewWriter:
        load = self._stack.enter_context(self._store.load(self._config, view))
        return _LMDBWriter(load, self._ended)

    def commit(self) -> None:
        commit(self._ended)


class _LMDBWriter:
    def __init__(self, load: Load, ended: list[tuple[Load, int | None]]) -> None:
        self._load = load
        self._ended = ended
        self.since = None if load.since is None else from_micros(load.since)

    def add(self, rows: Rows) -> None:
        load = self._load
        packed = records(
            load.schema,
            load.position,
            rows.columns,
            event=rows.event,
            created=rows.created,
            written=load.written,
            run=load.run,
        )
        load.add(rows.entities, packed)

    def end(self, whole_since: datetime | None) -> None:
        micros = None if whole_since is None else to_micros(whole_since)
        self._ended.append((self._load, micros))


class _Redis:
    """Feast's layout, by pipelined commands; an entity's views are whole, a run is not."""

    def __init__(self, hashes: RedisHashes) -> None:
        self._hashes = hashes

    @classmethod
    @contextmanager
    def open(cls, store: OnlineStore, config: RepoConfig) -> Iterator[Target]:
        with RedisHashes.connected(store, config) as hashes:
            yield cls(hashes)

    def view(self, view: FeatureView) -> ViewWriter:
        return _RedisWriter(self._hashes, view)

    def commit(self) -> None:
        """Written already."""


class _RedisWriter:
    since: datetime | None = None

    def __init__(self, hashes: RedisHashes, view: FeatureView) -> None:
        self._hashes = hashes
        self._view = view

    def add(self, rows: Rows) -> None:
        self._hashes.write(self._view, rows)

    def end(self, whole_since: datetime | None) -> None:
        """Nothing is left to do."""


class _Any:
    """A store that takes a message a value, through Feast's own interface."""

    def __init__(self, store: OnlineStore, config: RepoConfig) -> None:
        self._store = store
        self._config = config

    @classmethod
    @contextmanager
    def open(cls, store: OnlineStore, config: RepoConfig) -> Iterator[Target]:
        yield cls(store, config)

    def view(self, view: FeatureView) -> ViewWriter:
        return _AnyWriter(self._store, self._config, view)

    def commit(self) -> None:
        """Written already."""


class _AnyWriter:
    since: datetime | None = None

    def __init__(self, store: OnlineStore, config: RepoConfig, view: FeatureView) -> None:
        self._store = store
        self._config = config
        self._view = view
        self._size = config.materialization_config.online_write_batch_size or 10_000

    def add(self, rows: Rows) -> None:
        columns = {
            feature.name: _messages(feature.dtype.to_value_type().name, rows.columns[feature.name])
            for feature in self._view.features
        }
        values = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        created: list[datetime | None] = [None] * len(rows.event)
        if rows.created is not None:
            created = [None if at == NEVER else from_micros(int(at)) for at in rows.created]
        data = [
            (entity_key(key), features, from_micros(int(event)), learned)
            for key, features, event, learned in zip(
                rows.entities.to_pylist(), values, rows.event, created, strict=True
            )
        ]
        for first in range(0, len(data), self._size):
            self._store.online_write_batch(
                self._config, self._view, data[first : first + self._size], lambda _: None
            )

    def end(self, whole_since: datetime | None) -> None:
        """Nothing is left to do."""


def _messages(kind: str, column: pa.Array) -> list[Value]:
    return [to_proto(kind, value) for value in column.to_pylist()]
