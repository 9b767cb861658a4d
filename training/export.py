"""From trained towers to a bundle: what serving runs, without TensorFlow, and its measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from profilestore.artifacts import QueryTower, new_bundle, tensor_name
from profilestore.encoding import vocabularies_to_json
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.config import TrainConfig
from training.dataset import Dataset, gather
from training.evaluate import ItemTimeline, predict
from training.report import write_report
from training.runtime import tf

# How far the vectors of the exported query tower may be from those of the trained one.
_TOLERANCE = 1e-4


def export_bundle(
    settings: Settings,
    store: FeatureStore,
    config: TrainConfig,
    dataset: Dataset,
    query_tower: tf.keras.Model,
    candidate_tower: tf.keras.Model,
    metrics: Mapping[str, Any],
) -> Path:
    """Write the bundle and make it the current one; its folder.

    The item vectors are of items as they are now. The exported query tower is compared with the
    trained one before anything is replaced.

    Raises:
        ProfilestoreError: the exported tower answers otherwise than the trained one.
    """
    now = datetime.now(UTC)
    now_us = int(now.timestamp() * 1_000_000)
    timeline = ItemTimeline(store, config, dataset, now_us, now_us, settings.data / "training")
    vectors = np.zeros((len(dataset.item_ids), config.dimension), np.float32)
    every = np.arange(len(timeline.item))
    vectors[timeline.item] = predict(candidate_tower, timeline.inputs, every)
    manifest = {
        "created_at": now.isoformat(),
        "feature_service": config.feature_service,
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
        np.save(folder / "item_vectors.npy", vectors)
        (folder / "query_tower.tflite").write_bytes(_to_litert(query_tower))
        _check_same(folder / "query_tower.tflite", query_tower, dataset)
        with redirect_stdout(StringIO()):  # Keras prints the signature of what it exports
            query_tower.export(str(folder / "saved_model" / "query_tower"))
            candidate_tower.export(str(folder / "saved_model" / "candidate_tower"))
        _write_json(folder / "metrics.json", metrics)
        write_report(folder, version, manifest, metrics)
    return settings.models / version


def _to_litert(query_tower: tf.keras.Model) -> bytes:
    """The query tower as a LiteRT model for one row, its inputs under the names serving gives."""
    inputs = query_tower.input
    signature = {
        tensor_name(name): tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, tensor_name(name))
        for name, tensor in inputs.items()
    }

    @tf.function(input_signature=[signature])
    def vector_of(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        given = {name: row[tensor_name(name)] for name in inputs}
        return {"vector": query_tower(given, training=False)}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [vector_of.get_concrete_function()], query_tower
    )
    return bytes(converter.convert())


def _check_same(path: Path, query_tower: tf.keras.Model, dataset: Dataset) -> None:
    rows = np.linspace(0, len(dataset.split) - 1, 50).astype(np.int64)
    exported = QueryTower(path)
    wanted = predict(query_tower, dataset.query, rows)
    found = np.stack([exported(gather(dataset.query, rows[[i]])) for i in range(len(rows))])
    difference = float(np.abs(found - wanted).max())
    if difference > _TOLERANCE:
        raise ProfilestoreError(
            f"the exported query tower differs from the trained one by {difference:.1e} "
            f"(at most {_TOLERANCE:.0e} is accepted); the last good bundle stays in place."
        )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
