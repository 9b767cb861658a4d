"""Feast's layout in Redis, written by pipelined commands that are built a column at a time.

One hash an entity: its key is Feast's serialised entity key and the project, a field is the murmur
hash of `<view>:<feature>` and holds a serialised `Value`, and `_ts:<view>` holds the event time.
Feast's other clients read it.
(https://github.com/feast-dev/feast/blob/master/docs/specs/online_store_format.md)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.feature_view import FeatureView
from feast.infra.online_stores.helpers import _mmh3, compute_versioned_name
from feast.infra.online_stores.online_store import OnlineStore
from feast.repo_config import RepoConfig
from google.protobuf.timestamp_pb2 import Timestamp

from profilestore.compute_engine import wire
from profilestore.compute_engine.rows import Rows
from profilestore.errors import ProfilestoreError
from profilestore.online_store.columns import between

# Commands sent before their replies are read.
_PIPELINE = 10_000
_RECEIVED = 2**16
_MORE = object()
_NOTHING = pa.scalar(b"", pa.binary())


class RedisHashes:
    """A connection of Feast's Redis client during one materialisation."""

    def __init__(self, connection: Any, config: RepoConfig) -> None:
        self._connection = connection
        self._project = config.project.encode()
        self._expire = config.online_store.key_ttl_seconds
        self._overwrite = config.online_store.skip_dedup
        self._versions = config.registry.enable_online_feature_view_versioning

    @classmethod
    @contextmanager
    def connected(cls, store: OnlineStore, config: RepoConfig) -> Iterator[RedisHashes]:
        """Raises:
        ProfilestoreError: the server does not answer, or refuses a command.
        """
        import redis

        where = f"Redis at {config.online_store.connection_string.split(',')[0]}"
        try:
            pool = store._get_client(config.online_store).connection_pool
            connection = pool.get_connection()
            try:
                yield cls(connection, config)
            except BaseException:
                # Replies may be waiting in it.
                connection.disconnect()
                raise
            finally:
                pool.release(connection)
        except redis.RedisError as error:
            raise ProfilestoreError(
                f"{where}: {str(error).rstrip('.')}. Entities written before keep their new "
                f"values; run it again."
            ) from error

    def write(self, view: FeatureView, rows: Rows) -> None:
        """Write a hash's fields for each row, unless what is there became true later."""
        keys = between(b"", rows.entities, self._project)
        name = compute_versioned_name(view, self._versions)
        stamp = f"_ts:{name}".encode()
        fields = [(stamp, wire.timestamps(rows.event))]
        fields += [
            (
                _mmh3(f"{name}:{feature.name}"),
                wire.values(feature.dtype.to_value_type().name, rows.columns[feature.name]),
            )
            for feature in view.features
        ]
        commands = _commands(b"HSET", keys, [part for field in fields for part in field])
        if self._expire:
            after = _commands(b"EXPIRE", keys, [str(self._expire).encode()])
            commands = pc.binary_join_element_wise(commands, after, _NOTHING)
        for first in range(0, len(keys), _PIPELINE):
            some = slice(first, first + _PIPELINE)
            chosen = commands[some]
            if not self._overwrite:
                chosen = chosen.filter(self._not_newer(stamp, keys[some], rows.event[some]))
            self._run(chosen, replies=2 if self._expire else 1)

    def _not_newer(self, stamp: bytes, keys: pa.Array, event: np.ndarray) -> pa.Array:
        """Whether what is there, if anything, is at most as new as `event`."""
        found = self._run(_commands(b"HGET", keys, [stamp]))
        if not any(found):
            return pa.array(np.ones(len(keys), bool))
        there = np.array(
            [
                -(2**63) if message is None else Timestamp.FromString(message).ToMicroseconds()
                for message in found
            ]
        )
        return pa.array(there <= event)

    def _run(self, commands: pa.Array, *, replies: int = 1) -> list[Any]:
        if not len(commands):
            return []
        begin, end = commands.offset, commands.offset + len(commands)
        offsets = np.frombuffer(commands.buffers()[1], np.int32)
        data = commands.buffers()[2]
        self._connection.send_packed_command(
            [memoryview(data)[int(offsets[begin]) : int(offsets[end])]]
        )
        return self._replies(len(commands) * replies)

    def _replies(self, count: int) -> list[Any]:
        """That many replies; the client's own way to read one costs more than the command."""
        import hiredis
        import redis

        reader = hiredis.Reader(notEnoughData=_MORE, replyError=redis.ResponseError)
        found: list[Any] = []
        while len(found) < count:
            reply = reader.gets(False)
            if reply is _MORE:
                try:
                    data = self._connection._sock.recv(_RECEIVED)
                except OSError as error:
                    raise redis.ConnectionError(f"while reading its replies: {error}") from error
                if not data:
                    raise redis.ConnectionError("it closed the connection")
                reader.feed(data)
            elif isinstance(reply, Exception):
                raise reply
            else:
                found.append(reply)
        return found


def _commands(name: bytes, keys: pa.Array, arguments: list[bytes | pa.Array]) -> pa.Array:
    """A command a row in Redis's protocol: its parts, each with its length before it.

    (https://redis.io/docs/latest/develop/reference/protocol-spec/)
    """
    pieces: list[Any] = [f"*{2 + len(arguments)}\r\n".encode() + _bulk(name) + b"$"]
    pieces += _sized(keys)
    for argument in arguments:
        if isinstance(argument, bytes):
            pieces[-1] += _bulk(argument)
        else:
            pieces[-1] += b"$"
            pieces += _sized(argument)
    return pc.binary_join_element_wise(
        *(pa.scalar(p, pa.binary()) if isinstance(p, bytes) else p for p in pieces), _NOTHING
    )


def _sized(column: pa.Array) -> list[Any]:
    """A row's length, a line's end, its bytes, a line's end."""
    size = pc.binary_length(column).cast(pa.string()).cast(pa.binary())
    return [size, b"\r\n", column, b"\r\n"]


def _bulk(argument: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(argument), argument)
