"""Entity keys as bytes, one at a time.

Feast's serialisation (version 3): the number of join keys, their names sorted, their typed values
in that order. Every part is prefixed with its length, so no key of an entity is the beginning of
another's, and all records of an entity are those that begin with its key.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from feast.infra.key_encoding_utils import deserialize_entity_key, serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import ValueType as ProtoType

# LMDB's longest key is 511 bytes; what it holds takes the first, a view's number the last four.
LONGEST = 506
VIEW = struct.Struct(">I")
# Stands where a key has its number of join keys, which is never that large.
_DIGEST = b"\xff\xff\xff\xff"

_LENGTH = struct.Struct("<I")
_WHOLE = {
    "INT32": struct.Struct("<i"),
    "INT64": struct.Struct("<q"),
    "UNIX_TIMESTAMP": struct.Struct("<q"),
}


def entity_bytes(key: EntityKey) -> bytes:
    """One entity, as the records of all its views begin."""
    return bytes(serialize_entity_key(key, entity_key_serialization_version=3))


def entity_key(stored: bytes) -> EntityKey:
    """The entity of `entity_bytes`."""
    found: EntityKey = deserialize_entity_key(stored, entity_key_serialization_version=3)
    return found


def head_bytes(join_keys: Sequence[str]) -> bytes:
    """What all keys of an entity with these join keys begin with."""
    parts = [_LENGTH.pack(len(join_keys))]
    for name in sorted(join_keys):
        encoded = name.encode()
        parts += [_LENGTH.pack(ProtoType.STRING), _LENGTH.pack(len(encoded)), encoded]
    return b"".join(parts)


def text_key(join_key: str) -> Callable[[str], bytes]:
    """As `entity_bytes` for entities with one join key that is a text, without messages."""
    build = key_builder(((join_key, "STRING"),))
    assert build is not None
    return lambda value: build((value,))


@lru_cache(maxsize=256)
def key_builder(
    join_keys: tuple[tuple[str, str], ...],
) -> Callable[[Sequence[Any]], bytes] | None:
    """As `entity_bytes` from Python's values, without messages.

    Args:
        join_keys: name and Feast type of each, in the order in which values will be given.

    Returns:
        A function of a row's values; None for types that need Feast's own way.
    """
    order = sorted(range(len(join_keys)), key=lambda n: join_keys[n][0])
    parts: list[tuple[int, bytes, struct.Struct | None]] = []
    for n in order:
        kind = join_keys[n][1]
        if kind == "STRING":
            parts.append((n, _LENGTH.pack(ProtoType.STRING), None))
        elif kind in _WHOLE:
            pack = _WHOLE[kind]
            parts.append((n, struct.pack("<II", ProtoType.Enum.Value(kind), pack.size), pack))
        else:
            return None
    head = head_bytes([name for name, _ in join_keys])
    if len(parts) == 1 and parts[0][2] is None:
        head += parts[0][1]

        def text(values: Sequence[Any]) -> bytes:
            encoded: bytes = values[0].encode()
            return head + _LENGTH.pack(len(encoded)) + encoded

        return text

    def build(values: Sequence[Any]) -> bytes:
        pieces = [head]
        for n, before, pack in parts:
            if pack is not None:
                pieces += [before, pack.pack(values[n])]
            else:
                encoded = values[n].encode()
                pieces += [before, _LENGTH.pack(len(encoded)), encoded]
        return b"".join(pieces)

    return build


def short(entity: bytes) -> bytes:
    """The entity as it stands in LMDB: itself, or its digest where it is too long."""
    if len(entity) <= LONGEST:
        return entity
    return _DIGEST + blake2b(entity, digest_size=32).digest()


def short_all(entities: Sequence[bytes]) -> Sequence[bytes]:
    """`short` of each."""
    if max(map(len, entities), default=0) <= LONGEST:
        return entities
    return [short(entity) for entity in entities]


def is_digest(entity: Any) -> bool:
    """Whether an entity's key was too long, so that only its digest is known here."""
    return bytes(entity[:4]) == _DIGEST


def said(stored: bytes) -> str:
    """The key of a record (entity and view), for a message."""
    entity, view = stored[: -VIEW.size], stored[-VIEW.size :]
    number = VIEW.unpack(view)[0]
    try:
        if is_digest(entity):
            raise ValueError
        key = entity_key(entity)
        values = (getattr(value, value.WhichOneof("val")) for value in key.entity_values)
        names = ", ".join(f"{n}={v}" for n, v in zip(key.join_keys, values, strict=True))
    except Exception:
        names = f"the entity with the bytes {entity.hex()}"
    return f"{names} in view number {number}"
