"""The records of several views of one entity, one behind the other, read as one.

Most views have features of fixed width alone, and records of one schema, none of them pushed. Such
records are all as long: what stands behind each other for each entity is a table of its own, and
one pass reads all views.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from profilestore.online_store.record import MANY, Column, Records, Schema

Feature = tuple[str, str]


class SideBySide:
    """How to read records of these schemas, one of each an entity.

    Args:
        schemas: each with features of fixed width alone.
        wanted: the features to read of each; of its own schema.
    """

    def __init__(self, schemas: Sequence[Schema], wanted: Sequence[Sequence[Feature]]) -> None:
        kinds = [kind for schema in schemas for kind in schema.head_fields]
        self._struct = struct.Struct("<" + "".join(schema.head_format for schema in schemas))
        self._dtype = np.dtype([(f"f{n}", kind) for n, kind in enumerate(kinds)])
        # Of each schema, where its head begins among the fields, and which it is asked for.
        self._parts: list[tuple[int, bytes, list[int]]] = []
        self._needed: dict[int, str] = {}
        first = 0
        for schema, features in zip(schemas, wanted, strict=True):
            columns = [first + field for field in schema.fixed_fields(features) or ()]
            self._parts.append((first, bytes(schema.null_bytes), columns))
            self._needed |= {n: f"f{n}" for n in (*range(first, first + 6), *columns)}
            first += len(schema.head_fields)

    def read(self, buffers: Sequence[Any], rows: int) -> list[Records] | None:
        """The records of each schema; None where one is missing, or has a null.

        Args:
            buffers: entity by entity, one of each schema.
            rows: how many entities; one at least.
        """
        try:
            table = b"".join(buffers)
        except TypeError:  # one is not there
            return None
        fields: Mapping[int, Column] | Sequence[Column]
        if rows < MANY:
            values = list(zip(*self._struct.iter_unpack(table), strict=True))
            has_all = all(values[first + 5].count(none) == rows for first, none, _ in self._parts)
            fields = values
        else:
            array = np.frombuffer(table, self._dtype)
            arrays = {n: array[name] for n, name in self._needed.items()}
            has_all = not any(arrays[first + 5].any() for first, _, _ in self._parts)
            fields = arrays
        if not has_all:
            return None
        return [
            Records(
                *(fields[first], fields[first + 1], fields[first + 2], fields[first + 3]),
                columns=[fields[n] for n in columns],
                has_all=True,
            )
            for first, _, columns in self._parts
        ]


@lru_cache(maxsize=256)
def side_by_side(
    schemas: tuple[Schema, ...], wanted: tuple[tuple[Feature, ...], ...]
) -> SideBySide:
    """The same for whoever asks the same again."""
    return SideBySide(schemas, wanted)
