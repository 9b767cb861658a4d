"""From trained towers to a bundle: what serving runs, without TensorFlow, and its measurements."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from profilestore.artifacts import INDEX, new_bundle
from profilestore.calibration import Calibration
from profilestore.encoding import Arrays, vocabularies_to_json
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import FeatureStore
from profilestore.item_index import best_index
from profilestore.settings import Settings
from training.config import TrainConfig
from training.dataset import VALIDATION, Dataset, evenly, gather
from training.evaluate import ItemTimeline, predict
from training.kept_ranks import KeptRanks
from training.labels import Label
from training.litert import Tower, write_towers
from training.model_card import write_model_card
from training.report import write_report
from training.runtime import tf
from training.saved_towers import SavedTower
from training.towers import QueryTower
from training.trained_vectors import write_vectors

# How far a saved tower may be from the trained one; of large numbers, as a share.
_TOLERANCE_SAVED = 1e-6
# Of the validation window, whose queries say what the index of items finds.
_QUERIES = 500


def export_bundle(
    settings: Settings,
    store: FeatureStore,
    config: TrainConfig,
    dataset: Dataset,
    query_tower: QueryTower,
    candidate_tower: tf.keras.Model,
    heads: Mapping[str, tuple[Label, Calibration]],
    metrics: Mapping[str, Any],
    kept: KeptRanks,
    ndcg: Callable[[Tower], float],
) -> Path:
    """Write the bundle and make it the current one; its folder.

    The item vectors are of items as they are now. The exported query tower is compared with the
    trained one before anything is replaced.

    Args:
        metrics: for the report and metrics.json.
        kept: the ranks behind them.
        ndcg: NDCG@10 of the model with another query tower.

    Raises:
        ProfilestoreError: an exported tower answers otherwise than the trained one, or there is no
            room for it.
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
    asked = evenly(dataset.rows(VALIDATION), _QUERIES)
    index, quality = best_index(vectors, predict(query_tower, dataset.query, asked))
    manifest["item_index"] = {"breadth": quality.breadth}
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
        index.save(folder / INDEX)
        variants = write_towers(folder, query_tower, dataset, ndcg)
        _save_towers(folder / "saved_model", query_tower, candidate_tower, dataset)
        measured = {**metrics, "query_tower": variants, "item_index": quality.to_json()}
        _write_json(folder / "metrics.json", measured)
        kept.write(folder)
        write_report(folder, version, manifest, measured)
        write_model_card(folder, version, manifest, measured)
        # Last, and before the bundle is there: vectors in the lake are those of the latest bundle.
        write_vectors(settings, store, config, dataset, query_tower, vectors, version, now)
    return settings.models / version


def _save_towers(
    folder: Path, query_tower: QueryTower, candidate_tower: tf.keras.Model, dataset: Dataset
) -> None:
    towers = {
        "query_tower": (query_tower, dataset.query),
        "candidate_tower": (candidate_tower, dataset.candidate),
    }
    try:
        with redirect_stdout(StringIO()):  # Keras prints the signature of what it exports
            for name, (tower, _) in towers.items():
                tower.export(str(folder / name))
    except tf.errors.OpError as error:  # TensorFlow's own name for a disk that is full
        raise OSError(error.message) from error
    _check_saved(folder, towers, np.linspace(0, len(dataset.split) - 1, 200).astype(np.int64))


def _check_saved(
    folder: Path, towers: Mapping[str, tuple[tf.keras.Model, Arrays]], rows: npt.NDArray[np.int64]
) -> None:
    """Whether what was saved gives the same vectors when it is read again.

    Args:
        towers: of each, by the name of its folder, the trained one and the inputs of all rows.

    Raises:
        ProfilestoreError: it does not.
    """
    for name, (trained, inputs) in towers.items():
        saved = SavedTower(folder / name)(gather(inputs, rows)).numpy()
        wanted = predict(trained, inputs, rows)
        difference = float((np.abs(saved - wanted) / np.maximum(1.0, np.abs(wanted))).max())
        if difference > _TOLERANCE_SAVED:
            raise ProfilestoreError(
                f"the saved {name} differs from the trained one by {difference:.1e} (at most "
                f"{_TOLERANCE_SAVED:.0e} is accepted); the last good bundle stays in place."
            )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
