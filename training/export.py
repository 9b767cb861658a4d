"""From trained towers to a bundle: what serving runs, without TensorFlow, and its measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from profilestore.artifacts import QueryTower, head_output, new_bundle, tensor_name
from profilestore.calibration import Calibration
from profilestore.encoding import vocabularies_to_json
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.config import TrainConfig
from training.dataset import Dataset, gather
from training.evaluate import ItemTimeline, predict, predict_scores
from training.kept_ranks import KeptRanks
from training.labels import Label
from training.report import write_report
from training.runtime import tf
from training.towers import QueryTower as TrainedTower
from training.towers import inputs_of

# How far the vectors of the exported query tower may be from those of the trained one.
_TOLERANCE = 1e-4


def export_bundle(
    settings: Settings,
    store: FeatureStore,
    config: TrainConfig,
    dataset: Dataset,
    query_tower: TrainedTower,
    candidate_tower: tf.keras.Model,
    heads: Mapping[str, tuple[Label, Calibration]],
    metrics: Mapping[str, Any],
    kept: KeptRanks,
) -> Path:
    """Write the bundle and make it the current one; its folder.

    The item vectors are of items as they are now. The exported query tower is compared with the
    trained one before anything is replaced.

    Args:
        metrics: for the report and metrics.json.
        kept: the ranks behind them.

    Raises:
        ProfilestoreError: the exported tower answers otherwise than the trained one.
    """
    now = datetime.now(UTC)
    now_us = int(now.timestamp() * 1_000_000)
    timeline = ItemTimeline(store, config, dataset, now_us, now_us, settings.training_scratch)
    vectors = np.zeros((len(dataset.item_ids), config.dimension), np.float32)
    every = np.arange(len(timeline.item))
    vectors[timeline.item] = predict(candidate_tower, timeline.inputs, every)
    manifest = {
        "created_at": now.isoformat(),
        "feature_service": config.feature_service,
        "item_encoding": dataset.candidate_encoding.to_json(),
        "seen_items": metrics["protocol"]["seen_items"],
        "registry_hash": store.registry_hash(),
        "lake_snapshot": dataset.lake_snapshot,
        "config": config.to_json(),
        "tensorflow": tf.__version__,
    }
    version = f"{now:%Y%m%dT%H%M%SZ}"
    with new_bundle(settings, version, manifest) as folder:
        _write_json(folder / "encoding.json", dataset.query_encoding.to_json())
        (folder / "vocabularies.json").write_text(vocabularies_to_json(dataset.vocabularies))
        _write_json(folder / "item_ids.json", dataset.item_ids)
        _write_json(
            folder / "heads.json",
            {
                name: {
                    **asdict(label.head),
                    "classes": label.classes,
                    "calibration": calibration.to_json(),
                }
                for name, (label, calibration) in heads.items()
            },
        )
        np.save(folder / "item_vectors.npy", vectors)
        (folder / "query_tower.tflite").write_bytes(_to_litert(query_tower))
        _check_same(folder / "query_tower.tflite", query_tower, dataset)
        with redirect_stdout(StringIO()):  # Keras prints the signature of what it exports
            query_tower.export(str(folder / "saved_model" / "query_tower"))
            candidate_tower.export(str(folder / "saved_model" / "candidate_tower"))
        _write_json(folder / "metrics.json", metrics)
        kept.write(folder)
        write_report(folder, version, manifest, metrics)
    return settings.models / version


def _to_litert(query_tower: TrainedTower) -> bytes:
    """The query tower as a LiteRT model for one row, its inputs under the names serving gives."""
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
    return bytes(converter.convert())


def _check_same(path: Path, query_tower: TrainedTower, dataset: Dataset) -> None:
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


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
