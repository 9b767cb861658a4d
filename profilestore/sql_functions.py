"""The functions of ours that the models call in SQL. Each gets a few thousand rows at a time, as
Arrow arrays.

    embed_text(VARCHAR) -> FLOAT[]
    hold_vectors(FLOAT[][]) -> BIGINT: keeps them under a number made from what they are
    running_means(held BIGINT, which BIGINT[], amounts DOUBLE[], happened BIGINT[], steps BIGINT[],
        since BIGINT, half_life BIGINT) -> STRUCT(mean FLOAT[], recent FLOAT[])[]
    hold_population(STRUCT(tag VARCHAR, since BIGINT, events BIGINT, kind_events BIGINT)[])
        -> BIGINT: keeps it likewise
    running_tags(held BIGINT, tags VARCHAR[], happened BIGINT[], steps BIGINT[], since BIGINT,
        half_life BIGINT, kept BIGINT) -> STRUCT(step BIGINT, tags VARCHAR[], shares DOUBLE[],
        lifts DOUBLE[], confidences DOUBLE[], events BIGINT[], first BIGINT[], last BIGINT[])[]
    running_latest(places BIGINT[], kept BIGINT, first BIGINT) -> INTEGER[][]: which of the list,
        from 1

What they compute: `profilestore.text_embedding`, `profilestore.evidence`, `profilestore.history`.
The text may be null, which gives a null; nothing else may.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection
from duckdb.func import FunctionNullHandling, PythonUDFType
from numpy.typing import NDArray

from profilestore.errors import ProfilestoreError
from profilestore.evidence import (
    Ints,
    Population,
    Singles,
    Tags,
    decay,
    running_means,
    running_tags,
    wilson_lower_bound,
)
from profilestore.history import running_latest
from profilestore.text_embedding import DIMENSIONS, embed

# A list: DuckLake stores no arrays of a fixed length.
_VECTOR = "FLOAT[]"
_TAGS = (
    "STRUCT(step BIGINT, tags VARCHAR[], shares DOUBLE[], lifts DOUBLE[], confidences DOUBLE[], "
    "events BIGINT[], first BIGINT[], last BIGINT[])[]"
)
_POPULATION = "STRUCT(tag VARCHAR, since BIGINT, events BIGINT, kind_events BIGINT)[]"
_DAY = 86_400_000_000
Held = TypeVar("Held", Singles, Population)

# By a hash of what they are: the same ones have the same number, so a query that names them is a
# function of its tables all the same.
_vectors_held: dict[int, Singles] = {}
_populations_held: dict[int, Population] = {}


def register(connection: DuckDBPyConnection) -> None:
    """Give a connection, and all of its cursors, these functions."""
    for name, function, parameters, result in (
        ("embed_text", _embed_text, ["VARCHAR"], _VECTOR),
        ("hold_vectors", _hold_vectors, [f"{_VECTOR}[]"], "BIGINT"),
        (
            "running_means",
            _running_means,
            ["BIGINT", "BIGINT[]", "DOUBLE[]", "BIGINT[]", "BIGINT[]", "BIGINT", "BIGINT"],
            f"STRUCT(mean {_VECTOR}, recent {_VECTOR})[]",
        ),
        ("hold_population", _hold_population, [_POPULATION], "BIGINT"),
        (
            "running_tags",
            _running_tags,
            ["BIGINT", "VARCHAR[]", "BIGINT[]", "BIGINT[]", "BIGINT", "BIGINT", "BIGINT"],
            _TAGS,
        ),
        ("running_latest", _running_latest, ["BIGINT[]", "BIGINT", "BIGINT"], "INTEGER[][]"),
    ):
        connection.create_function(
            name,
            function,
            parameters,  # type: ignore[arg-type]  # the stubs know no names of types
            result,
            type=PythonUDFType.ARROW,
            # DuckDB's own way of leaving out nulls mixes up the rows after one, where what is
            # returned is an array (1.5.5).
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _embed_text(texts: pa.ChunkedArray) -> pa.Array:
    known = [one for one in texts.to_pylist() if one is not None]
    is_null = texts.is_null().to_numpy()
    matrix = np.zeros((len(texts), DIMENSIONS), np.float32)
    matrix[~is_null] = embed(known)
    return _vectors(matrix, pa.array(is_null))


def _hold_vectors(lists: pa.ChunkedArray) -> pa.Array:
    numbers = []
    for one in _whole(lists):
        found = _matrix(one.values)
        numbers.append(_hash(found))
        _vectors_held[numbers[-1]] = found
    return pa.array(numbers, pa.int64())


def _running_means(
    held: pa.ChunkedArray,
    which: pa.ChunkedArray,
    amounts: pa.ChunkedArray,
    happened: pa.ChunkedArray,
    steps: pa.ChunkedArray,
    since: pa.ChunkedArray,
    half_life: pa.ChunkedArray,
) -> pa.Array:
    means, recent = [], []
    for number, own, amount, at, step, start, half in zip(
        held.to_pylist(),
        *map(_numbers, (which, amounts, happened, steps)),
        since.to_pylist(),
        half_life.to_pylist(),
        strict=True,
    ):
        vectors = _taken(_vectors_held, number)
        means.append(running_means(vectors, own, amount, step, start))
        recent.append(running_means(vectors, own, amount * decay(at, half), step, start))
    nothing = np.empty((0, DIMENSIONS), np.float32)
    rows = pa.StructArray.from_arrays(
        [
            _vectors(np.concatenate(means or [nothing])),
            _vectors(np.concatenate(recent or [nothing])),
        ],
        ["mean", "recent"],
    )
    return pa.ListArray.from_arrays(_ends([len(one) for one in means]), rows)


def _hold_population(lists: pa.ChunkedArray) -> pa.Array:
    numbers = []
    for one in _whole(lists):
        columns = dict(zip(one.values.type.names, one.values.flatten(), strict=True))
        tags = columns.pop("tag").to_pylist()
        since, events, kind_events = (column.to_numpy() for column in columns.values())
        numbers.append(_hash("\0".join(tags).encode(), since, events, kind_events))
        _populations_held[numbers[-1]] = Population(tags, since, events, kind_events)
    return pa.array(numbers, pa.int64())


def _running_tags(
    held: pa.ChunkedArray,
    tags: pa.ChunkedArray,
    happened: pa.ChunkedArray,
    steps: pa.ChunkedArray,
    since: pa.ChunkedArray,
    half_life: pa.ChunkedArray,
    kept: pa.ChunkedArray,
) -> pa.Array:
    whole = _whole(tags)
    spelled = whole.values.dictionary_encode()
    # In the order of names: of tags that weigh the same the first one comes first.
    names = sorted(spelled.dictionary.to_pylist())
    ranks = {name: rank for rank, name in enumerate(names)}
    rank = np.array([ranks[name] for name in spelled.dictionary.to_pylist()], np.int64)
    numbers = pa.array(rank[spelled.indices.to_numpy()])
    people = zip(
        _numbers(pa.ListArray.from_arrays(whole.offsets, numbers)),
        *map(_numbers, (happened, steps)),
        since.to_pylist(),
        half_life.to_pylist(),
        kept.to_pylist(),
        strict=True,
    )
    found = [
        running_tags(tag, decay(at, half), at, step, most, start)
        for tag, at, step, start, half, most in people
    ]
    every = Tags(*(np.concatenate([getattr(one, of.name) for one in found]) for of in fields(Tags)))
    (population,) = set(held.to_pylist())
    usual = _taken(_populations_held, population).shares(
        names, every.tag, every.step // _DAY * _DAY
    )
    # Each step of a person begins with its heaviest tag.
    starts = np.append(np.flatnonzero(every.place == 1), len(every.place))
    ends = pa.array(starts, pa.int32())
    lists = {
        "tags": pa.array(names, pa.string()).take(pa.array(every.tag)),
        "shares": pa.array(every.share),
        "lifts": pa.array(every.share / usual),
        "confidences": pa.array(wilson_lower_bound(every.share, every.certainty).round(6)),
        "events": pa.array(every.events),
        "first": pa.array(every.first),
        "last": pa.array(every.last),
    }
    rows = pa.StructArray.from_arrays(
        [
            pa.array(every.step[starts[:-1]]),
            *(pa.ListArray.from_arrays(ends, one) for one in lists.values()),
        ],
        ["step", *lists],
    )
    return pa.ListArray.from_arrays(_ends([int((one.place == 1).sum()) for one in found]), rows)


def _running_latest(
    places: pa.ChunkedArray, kept: pa.ChunkedArray, first: pa.ChunkedArray
) -> pa.Array:
    found = [
        running_latest(own, most, start)
        for own, most, start in zip(
            _numbers(places), kept.to_pylist(), first.to_pylist(), strict=True
        )
    ]
    nothing = np.empty(0, np.int64)
    which = np.concatenate([one for one, _ in found] or [nothing])
    sizes = np.concatenate([sizes for _, sizes in found] or [nothing])
    # SQL counts from 1.
    lists = pa.ListArray.from_arrays(_ends(sizes), pa.array((which + 1).astype(np.int32)))
    return pa.ListArray.from_arrays(_ends([len(sizes) for _, sizes in found]), lists)


def _taken(held: dict[int, Held], number: int) -> Held:
    try:
        return held[number]
    except KeyError:
        raise ProfilestoreError(
            f"nothing is held under {number}; pass what hold_vectors or hold_population gave in "
            "the same query."
        ) from None


def _hash(*parts: NDArray[Any] | bytes) -> int:
    digest = hashlib.blake2b(digest_size=7)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return int.from_bytes(digest.digest(), "big")


def _numbers(lists: pa.ChunkedArray) -> list[np.ndarray]:
    """The numbers of each list."""
    whole = _whole(lists)
    values = whole.values.to_numpy(zero_copy_only=False)
    ends = whole.offsets.to_numpy()
    return [values[low:high] for low, high in pairwise(ends)]


def _whole(lists: pa.ChunkedArray | pa.Array) -> pa.Array:
    return lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists


def _matrix(vectors: pa.ListArray) -> Singles:
    flat = vectors.flatten().to_numpy(zero_copy_only=False)
    matrix: Singles = flat.reshape(-1, DIMENSIONS).copy()
    return matrix


def _vectors(matrix: Singles, is_null: pa.Array | None = None) -> pa.Array:
    ends = pa.array(np.arange(len(matrix) + 1) * DIMENSIONS, pa.int32())
    return pa.ListArray.from_arrays(ends, pa.array(matrix.ravel()), mask=is_null)


def _ends(lengths: Sequence[int] | Ints) -> pa.Array:
    ends: Ints = np.cumsum(np.concatenate(([0], lengths)), dtype=np.int64)
    return pa.array(ends, pa.int32())
