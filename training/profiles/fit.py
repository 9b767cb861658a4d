"""One run, from the feature service to `data/profiles/`.

    encoding.json     the columns, and what stands for a missing one
    encoder.tflite    numbers of a person -> vector and error of its reconstruction
    oddness.npy       float64 [quantiles], errors of the training window: what is how odd
    segments.json     names and centres; a person's segment is the one of the nearest centre
    results.json, report.md, plots

No row in it is about one person. The folder is whole or not there.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from profilestore.disk import draft_of, replace_folder, settle, tree_to_disk
from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.dataset import TEST, TRAIN, VALIDATION
from training.feature_list import FeatureList
from training.people import People, draw, events_of, everyone_at, load_people, sample_of
from training.profiles.anomaly import Oddness, Representation, auc, errors, planted
from training.profiles.autoencoder import DenoisingAutoencoder, train_autoencoder
from training.profiles.config import DEFAULT, ProfilesConfig, load_profiles_config
from training.profiles.export import Encoder, difference, to_litert
from training.profiles.pca import PrincipalComponents
from training.profiles.report import write_report
from training.profiles.segments import cluster, name_segments
from training.profiles.standard import Standard

# How far the vectors of the exported encoder may be from those of the trained one.
_TOLERANCE = 1e-4


def fit_profiles(
    settings: Settings, config_path: Path | None = None, *, snapshot: int | None = None
) -> Path:
    """Learn, compare, cluster, write; the folder.

    Args:
        snapshot: of the lake, to learn from; by default the latest.
    """
    path = config_path or DEFAULT
    config = load_profiles_config(path)
    store = FeatureStore(settings).pinned(snapshot)
    service = config.feature_service
    features = store.features(service)
    if config.features:
        features = FeatureList.read(path.parent / config.features).of(features, service)
    started = time.monotonic()
    scratch = settings.training_scratch
    everybody = events_of(store, service, config.windows)
    events = sample_of(everybody, config.people, config.seed)
    spine = draw(events, config.moments, config.seed)
    people = load_people(store, service, features, events, spine, scratch)
    at_end = load_people(store, service, features, events, everyone_at(events, TRAIN), scratch)
    print(
        f"{len(events.names):,} of {len(everybody.names):,} people, {len(spine.user):,} rows in "
        f"{time.monotonic() - started:.1f} s, from lake snapshot {store.lake_snapshot()}"
    )
    return write_profiles(settings, store, config, features, people, at_end)


def write_profiles(
    settings: Settings,
    store: FeatureStore,
    config: ProfilesConfig,
    features: list[Feature],
    people: People,
    at_end: People,
) -> Path:
    """Learn from rows of people, and put what came of it in the place of the last run; the folder.

    Args:
        at_end: everybody at the end of the training window, once: who is clustered.

    Raises:
        InputError: a window without rows, a number that is none, or too few people.
        ProfilestoreError: the exported encoder answers otherwise than the trained one.
    """
    standard = Standard.of(people.encoding, people.numbers, people.rows(TRAIN))
    train, validation, test = (
        standard.table(people.numbers[people.rows(split)]) for split in (TRAIN, VALIDATION, TEST)
    )
    started = time.monotonic()
    autoencoder, curve = train_autoencoder(train, validation, config)
    seconds = time.monotonic() - started
    plain = PrincipalComponents.of(train, config.dimension)
    compared = {
        one.name: _figures(one, Oddness.of(errors(one, train)), validation, test, config.seed)
        for one in (autoencoder, plain)
    }
    everyone = standard.table(at_end.numbers)
    vectors = autoencoder.vectors(everyone)
    clusters = cluster(vectors, config)
    segments = name_segments(
        clusters,
        everyone,
        standard.columns,
        {feature.column: feature.description for feature in features},
        people.encoding.ages,
    )
    results: dict[str, Any] = {
        "created_at": datetime.now(UTC).isoformat(),
        "feature_service": config.feature_service,
        "lake_snapshot": store.lake_snapshot(),
        "registry_hash": store.registry_hash(),
        "config": config.to_json(),
        "columns": standard.columns,
        "left_out": {**people.encoding.left_out, **standard.left_out},
        "rows": {"train": len(train), "validation": len(validation), "test": len(test)},
        "curve": curve,
        "training_seconds": seconds,
        "representations": compared,
        "segments": {
            "people": len(everyone),
            "curve": clusters.curve,
            "found": [asdict(segment) for segment in segments],
        },
    }
    folder = settings.profiles
    settle(folder)
    draft = draft_of(folder)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _write_encoder(draft, standard, autoencoder, people)
    np.save(draft / "oddness.npy", Oddness.of(errors(autoencoder, train)).quantiles)
    named = [
        {"name": segment.name, "centre": centre.tolist()}
        for segment, centre in zip(segments, clusters.centres, strict=True)
    ]
    _write_json(draft / "segments.json", named)
    _write_json(draft / "results.json", results)
    write_report(draft, results, vectors, clusters.assigned)
    tree_to_disk(draft)
    replace_folder(draft, folder)
    settle(folder)
    _say(results, folder)
    return folder


def _figures(
    representation: Representation, oddness: Oddness, validation, test, seed: int
) -> dict[str, float]:
    of_test = errors(representation, test)
    return {
        "validation_error": float(errors(representation, validation).mean()),
        "test_error": float(of_test.mean()),
        "planted_auc": auc(errors(representation, planted(test, seed)), of_test),
        "beyond_99": float((oddness.percentile(of_test) > 99).mean()),
    }


def _write_encoder(
    folder: Path, standard: Standard, autoencoder: DenoisingAutoencoder, people: People
) -> None:
    """The exported encoder, compared with the trained one before it is anybody's."""
    _write_json(folder / "encoding.json", people.encoding.to_json())
    exported = to_litert(Encoder(standard, autoencoder.model), people.encoding.floats)
    (folder / "encoder.tflite").write_bytes(exported)
    some = people.numbers[np.linspace(0, len(people.numbers) - 1, 50).astype(np.int64)]
    apart = difference(exported, some, autoencoder.vectors(standard.table(some)))
    if apart > _TOLERANCE:
        raise ProfilestoreError(
            f"the exported encoder differs from the trained one by {apart:.1e} (at most "
            f"{_TOLERANCE:.0e} is accepted); what the last run left stays in place."
        )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _say(results: dict[str, Any], folder: Path) -> None:
    for name, one in results["representations"].items():
        print(
            f"{name:12} validation error {one['validation_error']:.4f}, "
            f"AUC of planted rows {one['planted_auc']:.4f}"
        )
    for number, segment in enumerate(results["segments"]["found"]):
        print(f"segment {number}: {segment['people']:,} people, {segment['name']}")
    print(f"report: {folder / 'report.md'}")
