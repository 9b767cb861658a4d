"""The query tower as serving runs it: LiteRT, in single precision, in half, and in eight bits.

The smaller ones are measured before they are kept: what NDCG@10 they lose is in the report, and one
that loses more than `MOST_LOST` is not in the bundle.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import QueryTower, head_output, tensor_name
from profilestore.encoding import Arrays
from profilestore.errors import ProfilestoreError
from training.dataset import Dataset, gather
from training.evaluate import predict, predict_scores
from training.runtime import tf
from training.towers import QueryTower as TrainedTower
from training.towers import inputs_of

FLOAT32 = "float32"
SMALLER = ("float16", "int8")
# Of NDCG@10, as a share of what it is in single precision.
MOST_LOST = 0.01
# How far the vectors of the exported query tower may be from those of the trained one.
_TOLERANCE = 1e-4

Tower = Callable[..., npt.NDArray[np.float32]]


def file_of(kind: str) -> str:
    """Name of the file in a bundle."""
    return "query_tower.tflite" if kind == FLOAT32 else f"query_tower.{kind}.tflite"


def to_litert(query_tower: TrainedTower, kind: str = FLOAT32) -> bytes:
    """The query tower for one row, its inputs under the names serving gives.

    Args:
        kind: `float32`; `float16`, whose weights are in half precision; or `int8`, whose large
            matrices are in eight bits and are multiplied in single precision.
    """
    inputs = inputs_of(query_tower.encoding)
    signature = {
        tensor_name(name): tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, tensor_name(name))
        for name, tensor in inputs.items()
    }

    @tf.function(input_signature=[signature])
    def answer_of(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        given = {name: row[tensor_name(name)] for name in inputs}
        vector, scores = query_tower.vectors_and_scores(given)
        return {"vector": vector, **{head_output(name): score for name, score in scores.items()}}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [answer_of.get_concrete_function()], query_tower
    )
    if kind != FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def by_rows(path: Path) -> Tower:
    """The exported tower, as a tower of the trainer's: row by row, as serving asks."""
    exported = QueryTower(path)

    def vectors(inputs: Arrays, training: bool = False) -> npt.NDArray[np.float32]:
        rows = range(len(next(iter(inputs.values()))))
        return np.stack([exported(gather(inputs, np.array([row]))) for row in rows])

    return vectors


def check_same(path: Path, query_tower: TrainedTower, dataset: Dataset) -> None:
    """Whether the exported tower answers as the trained one, on rows from all of the log.

    Raises:
        ProfilestoreError: it does not.
    """
    rows = np.linspace(0, len(dataset.split) - 1, 50).astype(np.int64)
    exported = QueryTower(path)
    answers = [exported.answer(gather(dataset.query, rows[[i]])) for i in range(len(rows))]
    wanted = {"vector": predict(query_tower, dataset.query, rows)}
    for name, scores in predict_scores(query_tower, dataset.query, rows).items():
        wanted[head_output(name)] = scores
    difference = max(
        float(np.abs(np.stack([answer[name] for answer in answers]) - values).max())
        for name, values in wanted.items()
    )
    if difference > _TOLERANCE:
        raise ProfilestoreError(
            f"the exported query tower differs from the trained one by {difference:.1e} "
            f"(at most {_TOLERANCE:.0e} is accepted); the last good bundle stays in place."
        )


def write_towers(
    folder: Path, query_tower: TrainedTower, dataset: Dataset, ndcg: Callable[[Tower], float]
) -> dict[str, dict[str, Any]]:
    """Write the query tower in each kind that is good enough; what each is like.

    Args:
        ndcg: NDCG@10 of the model with that query tower.

    Returns:
        of each kind: `bytes`, `milliseconds` of one row, `ndcg@10`, `lost` as a share, `kept`.

    Raises:
        ProfilestoreError: the one in single precision answers otherwise than the trained one.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in (FLOAT32, *SMALLER):
        path = folder / file_of(kind)
        path.write_bytes(to_litert(query_tower, kind))
        if kind == FLOAT32:
            check_same(path, query_tower, dataset)
        reached = ndcg(by_rows(path))
        whole = found[FLOAT32]["ndcg@10"] if found else reached
        lost = 1 - reached / whole if whole else 0.0
        found[kind] = {
            "bytes": path.stat().st_size,
            "milliseconds": _milliseconds(path, dataset),
            "ndcg@10": reached,
            "lost": lost,
            "kept": lost <= MOST_LOST,
        }
        if lost > MOST_LOST:
            path.unlink()
    return found


def _milliseconds(path: Path, dataset: Dataset) -> float:
    """Of one row, the median."""
    exported = QueryTower(path)
    seconds = []
    for row in np.linspace(0, len(dataset.split) - 1, 200).astype(np.int64):
        inputs = gather(dataset.query, np.array([row]))
        started = time.perf_counter()
        exported(inputs)
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds))
