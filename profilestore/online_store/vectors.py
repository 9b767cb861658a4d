"""The nearest entities by a stored vector: exact while they are few, by an index when many.

An index is built over what the last materialisation wrote, once a process, and again after the
next. Pushed records are few: they are compared exactly, and stand in for what they supersede.
"""

from __future__ import annotations

import heapq
import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from feast.feature_view import FeatureView
from feast.filter_models import ComparisonFilter, CompoundFilter
from feast.type_map import feast_value_type_to_python_type

from profilestore.errors import InputError
from profilestore.online_store.reading import Row
from profilestore.online_store.response import to_proto

# Above this many vectors the exact search of one query takes longer than ten milliseconds.
MOST_EXACT = 100_000
# Threads that enter an almost empty graph at once do not see each other's nodes, and can leave
# some that no search reaches: the first ones are added by one thread.
_ADDED_ALONE = 1_000
# An index asked for more than one in so many of its vectors compares them all instead.
_ONE_IN = 10
_METRICS = {
    "l2": "l2sq",
    "euclidean": "l2sq",
    "cosine": "cos",
    "ip": "ip",
    "dot": "ip",
    "inner_product": "ip",
}

Rows = Iterable[tuple[bytes, Row]]


@dataclass(frozen=True)
class Neighbour:
    """An entity (as in LMDB), its record, and how far away it is: Euclidean distance,
    1 - cosine, or the negated inner product."""

    entity: bytes
    record: Row
    distance: float


def metric_of(name: str | None, view: str) -> str:
    """usearch's name of a metric that Feast's users name in several ways.

    Raises:
        InputError: there is no such metric.
    """
    found = _METRICS.get((name or "L2").lower())
    if found is None:
        raise InputError(
            f"feature view {view!r}: no distance metric {name!r}; there are L2, cosine and "
            f"inner_product."
        )
    return found


def vector_feature(table: FeatureView, requested: Sequence[str]) -> str:
    """The feature whose vectors are searched: the one declared with vector_index, or else the only
    list of floats among those requested, or of the view.

    Raises:
        InputError: there is none, or more than one.
    """
    declared = [field.name for field in table.features if field.vector_index]
    lists = [
        field.name
        for field in table.features
        if field.dtype.to_value_type().name in ("FLOAT_LIST", "DOUBLE_LIST")
    ]
    for candidates in (declared, [name for name in lists if name in requested], lists):
        if len(candidates) == 1:
            return str(candidates[0])
    raise InputError(
        f"feature view {table.name!r}: which feature is the vector? Declare one of "
        f"{', '.join(lists) or 'its features (none is a list of floats)'} with vector_index=True."
    )


def check_length(table: FeatureView, feature: str, size: int) -> None:
    """Whether a query has the length that the feature declares, if it declares one.

    Raises:
        InputError: it has another.
    """
    declared = next(f.vector_length for f in table.features if f.name == feature)
    if declared and declared != size:
        raise _wrong_length(table.name, size, declared)


def _wrong_length(view: str, size: int, wanted: int) -> InputError:
    return InputError(
        f"feature view {view!r}: the query has {size} numbers, and its vectors have {wanted}. "
        f"Embed the query as they were embedded."
    )


class Vectors:
    """Some entities' vectors, searched exactly or by an index.

    Args:
        rows: (entity, vector); those of another length than `size` are left out.
        metric: of `metric_of`.
    """

    def __init__(self, rows: Iterable[tuple[bytes, Sequence[float]]], size: int, metric: str):
        self.entities: list[bytes] = []
        # The length of one that was left out.
        self.other_size = 0
        kept = []
        for entity, vector in rows:
            if vector is not None and len(vector) == size:
                self.entities.append(entity)
                kept.append(np.asarray(vector, np.float32))
            elif vector:
                self.other_size = len(vector)
        self._metric = metric
        matrix = np.stack(kept) if kept else np.zeros((0, size), np.float32)
        self._index = None
        if len(kept) > MOST_EXACT:
            from usearch.index import Index

            self._index = Index(ndim=size, metric=metric, dtype="f32")
            alone, together = np.split(np.arange(len(kept)), [_ADDED_ALONE])
            self._index.add(alone, matrix[alone], threads=1)
            if len(together):
                self._index.add(together, matrix[together])
        else:
            self._matrix = matrix
            self._norms = np.linalg.norm(matrix, axis=1)

    def nearest(self, query: np.ndarray, count: int) -> list[tuple[float, bytes]]:
        """The `count` nearest, nearest first."""
        count = min(count, len(self.entities))
        if count == 0:
            return []
        if self._index is not None:
            every = count * _ONE_IN > len(self.entities)
            found = self._index.search(query, count, exact=every)
            distances = np.asarray(found.distances, np.float64)
            if self._metric == "l2sq":
                distances = np.sqrt(np.maximum(distances, 0))
            if self._metric == "ip":
                distances = distances - 1  # usearch has 1 - product
            return [
                (float(d), self.entities[int(n)])
                for d, n in zip(distances, found.keys, strict=True)
            ]
        distances = self._distances(query)
        order = np.argpartition(distances, count - 1)[:count]
        order = order[np.argsort(distances[order], kind="stable")]
        return [(float(distances[n]), self.entities[n]) for n in order]

    def _distances(self, query: np.ndarray) -> np.ndarray:
        if self._metric == "l2sq":
            return np.asarray(np.linalg.norm(self._matrix - query, axis=1))
        product = self._matrix @ query
        if self._metric == "ip":
            return np.asarray(-product)
        size = self._norms * np.linalg.norm(query)
        cosine = np.divide(product, size, out=np.zeros_like(product), where=size > 0)
        return np.asarray(1 - cosine)


class VectorIndexes:
    """The vectors of this process, by view; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[Any, ...], tuple[Any, Vectors]] = {}

    def get(self, key: tuple[Any, ...], version: Any, build: Callable[[], Vectors]) -> Vectors:
        """The vectors of `key` as of `version`."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] != version:
                kept = self._kept[key] = version, build()
            return kept[1]


def search(
    view: str,
    base: Vectors,
    pushed: dict[bytes, Row],
    fetch: Callable[[bytes], Row | None],
    vector_at: int,
    query: Sequence[float],
    count: int,
    metric: str,
) -> list[Neighbour]:
    """The nearest of what was materialised and what was pushed.

    Args:
        pushed: entity -> record of all that is newer than what was materialised.
        fetch: the record of a materialised entity; None when it no longer counts.
        vector_at: position of the vector in a record's values.

    Raises:
        InputError: there are vectors, and all have another length.
    """
    wanted = np.asarray(query, np.float32)
    recent = Vectors(
        ((entity, record.values[vector_at]) for entity, record in pushed.items()),
        len(wanted),
        metric,
    )
    other = base.other_size or recent.other_size
    if other and not base.entities and not recent.entities:
        raise _wrong_length(view, len(wanted), other)
    found = [Neighbour(e, pushed[e], d) for d, e in recent.nearest(wanted, count)]
    asked = count + len(pushed)
    while True:
        near = base.nearest(wanted, asked)
        older = []
        for distance, entity in near:
            record = None if entity in pushed else fetch(entity)
            if record is not None:
                older.append(Neighbour(entity, record, distance))
        if len(older) >= count or len(near) < asked:
            return heapq.nsmallest(count, [*found, *older], key=lambda one: one.distance)
        asked *= 2


def matching(
    rows: Rows, table: FeatureView, filters: ComparisonFilter | CompoundFilter
) -> Iterator[tuple[bytes, Row]]:
    """The rows that a filter of Feast lets through; a null matches nothing but `ne` and `nin`.

    Raises:
        InputError: the filter names a feature that the view has not.
    """
    names = [field.name for field in table.features]
    kinds = [field.dtype.to_value_type().name for field in table.features]
    _check(filters, names, table.name)
    for entity, record in rows:
        values = {
            name: feast_value_type_to_python_type(to_proto(kind, value))
            for name, kind, value in zip(names, kinds, record.values, strict=True)
        }
        if _matches(filters, values):
            yield entity, record


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, wanted: value in wanted,
    "nin": lambda value, wanted: value not in wanted,
}


def _matches(filters: ComparisonFilter | CompoundFilter, values: dict[str, Any]) -> bool:
    if isinstance(filters, CompoundFilter):
        together = all if filters.type == "and" else any
        return together(_matches(one, values) for one in filters.filters)
    value = values[filters.key]
    if value is None:
        return filters.type in ("ne", "nin")
    return bool(_COMPARE[filters.type](value, filters.value))


def _check(filters: ComparisonFilter | CompoundFilter, names: list[str], view: str) -> None:
    if isinstance(filters, CompoundFilter):
        for one in filters.filters:
            _check(one, names, view)
    elif filters.key not in names:
        raise InputError(
            f"feature view {view!r}: the filter names {filters.key!r}; it has {', '.join(names)}."
        )
