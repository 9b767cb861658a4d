"""The functions of ours that the models call in SQL. Each gets a few thousand rows at a time, as
Arrow arrays.

    embed_text(VARCHAR) -> FLOAT[]
    hold_vectors(FLOAT[][]) -> BIGINT: keeps them under a number made from what they are
    running_means(held BIGINT, which BIGINT[], amounts DOUBLE[], happened BIGINT[], steps BIGINT[],
        half_life BIGINT) -> STRUCT(mean FLOAT[], recent FLOAT[])[]
    running_tags(tags BIGINT[], happened BIGINT[], steps BIGINT[], half_life BIGINT, kept BIGINT)
        -> STRUCT(step, place, tag, share, events, first, last, certainty)[]

What they compute: `profilestore.text_embedding`, `profilestore.evidence`. The text may be null,
which gives a null; nothing else may.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection
from duckdb.func import FunctionNullHandling, PythonUDFType

from profilestore.errors import ProfilestoreError
from profilestore.evidence import Ints, Singles, Tags, decay, running_means, running_tags
from profilestore.text_embedding import DIMENSIONS, embed

# A list: DuckLake stores no arrays of a fixed length.
_VECTOR = "FLOAT[]"
_TAGS = (
    "STRUCT(step BIGINT, place BIGINT, tag BIGINT, share DOUBLE, events BIGINT, "
    "first BIGINT, last BIGINT, certainty DOUBLE)[]"
)

# Vectors by a hash of what they are: the same ones have the same number, so a query that names
# them is a function of its tables all the same. Two builds of one process may be under way.
_held: dict[int, Singles] = {}


def register(connection: DuckDBPyConnection) -> None:
    """Give a connection, and all of its cursors, these functions."""
    for name, function, parameters, result in (
        ("embed_text", _embed_text, ["VARCHAR"], _VECTOR),
        ("hold_vectors", _hold_vectors, [f"{_VECTOR}[]"], "BIGINT"),
        (
            "running_means",
            _running_means,
            ["BIGINT", "BIGINT[]", "DOUBLE[]", "BIGINT[]", "BIGINT[]", "BIGINT"],
            f"STRUCT(mean {_VECTOR}, recent {_VECTOR})[]",
        ),
        ("running_tags", _running_tags, [*["BIGINT[]"] * 3, "BIGINT", "BIGINT"], _TAGS),
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
        digest = hashlib.blake2b(np.ascontiguousarray(found).tobytes(), digest_size=7).digest()
        numbers.append(int.from_bytes(digest, "big"))
        _held[numbers[-1]] = found
    return pa.array(numbers, pa.int64())


def _running_means(
    held: pa.ChunkedArray,
    which: pa.ChunkedArray,
    amounts: pa.ChunkedArray,
    happened: pa.ChunkedArray,
    steps: pa.ChunkedArray,
    half_life: pa.ChunkedArray,
) -> pa.Array:
    means, recent = [], []
    for number, own, amount, at, step, half in zip(
        held.to_pylist(),
        *map(_numbers, (which, amounts, happened, steps)),
        half_life.to_pylist(),
        strict=True,
    ):
        vectors = _vectors_held(number)
        means.append(running_means(vectors, own, amount, step))
        recent.append(running_means(vectors, own, amount * decay(at, half), step))
    nothing = np.empty((0, DIMENSIONS), np.float32)
    rows = pa.StructArray.from_arrays(
        [
            _vectors(np.concatenate(means or [nothing])),
            _vectors(np.concatenate(recent or [nothing])),
        ],
        ["mean", "recent"],
    )
    return pa.ListArray.from_arrays(_ends([len(one) for one in means]), rows)


def _running_tags(
    tags: pa.ChunkedArray,
    happened: pa.ChunkedArray,
    steps: pa.ChunkedArray,
    half_life: pa.ChunkedArray,
    kept: pa.ChunkedArray,
) -> pa.Array:
    people = zip(
        *map(_numbers, (tags, happened, steps)),
        half_life.to_pylist(),
        kept.to_pylist(),
        strict=True,
    )
    found = [
        running_tags(tag, decay(at, half), at, step, most) for tag, at, step, half, most in people
    ]
    names = [field.name for field in fields(Tags)]
    columns = [np.concatenate([getattr(one, name) for one in found]) for name in names]
    rows = pa.StructArray.from_arrays([pa.array(one) for one in columns], names)
    return pa.ListArray.from_arrays(_ends([len(one.step) for one in found]), rows)


def _vectors_held(number: int) -> Singles:
    try:
        return _held[number]
    except KeyError:
        raise ProfilestoreError(
            f"running_means: nothing is held under {number}; pass what hold_vectors gave in the "
            "same query."
        ) from None


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


def _ends(lengths: Sequence[int]) -> pa.Array:
    ends: Ints = np.cumsum([0, *lengths])
    return pa.array(ends, pa.int32())
