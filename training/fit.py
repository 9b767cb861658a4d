"""One training run, from the feature service to the current bundle."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.batches import Source
from training.config import AUTO, TrainConfig, load_config
from training.dataset import (
    ITEM_VOCABULARY,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    catalogue_at,
    evenly,
    load_dataset,
)
from training.evaluate import ItemTimeline, TwoTowerScorer
from training.export import export_bundle
from training.head_evaluation import judge_heads
from training.heads import head_of
from training.kept_ranks import KeptRanks
from training.labels import Label, read_labels
from training.loop import Checkpoints, last_checkpoint, train
from training.measurement import measure, say
from training.negatives import Negatives
from training.pretrain import co_occurrence, spectral_embedding
from training.prior import popularity_weights
from training.ranking import VALIDATION_ROWS, Seen, rank_all
from training.runtime import DEVICE, tf
from training.towers import Moments, QueryTower, candidate_tower, embeddings
from training.two_tower import TwoTower
from training.warm_start import begin
from training.windows import windows_of_rows

# From this share of events with an item of before, such items are ranked and recommended.
_MANY_REPEATS = 0.1
# Of item ids, whatever the log says: a model that sees none learns none.
_MOST_HIDDEN = 0.9
# Spans of the training window from which it is read what popularity looks like.
_PRIOR_SPANS = 32


def fit(
    settings: Settings,
    config_path: Path | None = None,
    *,
    snapshot: int | None = None,
    resume: bool = False,
    warm_start: str | None = None,
) -> Path:
    """Train, evaluate beside the baselines, export; the bundle's folder.

    Args:
        snapshot: of the lake, to cut the training set from; by default the latest.
        warm_start: bundle to begin from, instead of what the config names.
        resume: go on from the last checkpoint, with the snapshot that it was begun with.
    """
    config = load_config(config_path)
    if warm_start is not None:
        config = replace(config, warm_start=warm_start)
    if resume and snapshot is None:
        snapshot = last_checkpoint(settings.checkpoints)["run"]["lake_snapshot"]
    store = FeatureStore(settings).pinned(snapshot)
    tf.keras.utils.set_random_seed(config.seed)
    print(f"device: {DEVICE}")

    started = time.monotonic()
    scratch = settings.training_scratch
    dataset = load_dataset(store, config, scratch)
    print(
        f"{len(dataset.split):,} interactions with point-in-time features in "
        f"{time.monotonic() - started:.1f} s, from lake snapshot {dataset.lake_snapshot}: "
        f"train {len(dataset.rows(TRAIN)):,}, "
        f"validation {len(dataset.rows(VALIDATION)):,}, test {len(dataset.rows(TEST)):,}"
    )
    config = with_id_dropout(config, dataset)
    labels, left_out = read_labels(store, config, dataset)
    for name, reason in left_out.items():
        print(f"head {name} is left out: {reason}")
    source = training_source(store, config, dataset, labels, scratch)
    model = build(config, dataset, labels, popularity_of_items(store, config, dataset, scratch))
    taken = begin(settings, config, model, source, dataset)
    validation, test = dataset.rows(VALIDATION), dataset.rows(TEST)
    timeline = ItemTimeline(
        store,
        config,
        dataset,
        int(dataset.asked_at_us[validation[0]]),
        int(dataset.asked_at_us[test[-1]]),
        scratch,
    )
    seen = seen_to_filter(config, dataset)
    started = time.monotonic()
    some = evenly(validation, VALIDATION_ROWS)

    def reached() -> float:
        scorer = TwoTowerScorer(model.query_tower, model.candidate_tower, dataset, timeline)
        return rank_all(dataset, some, scorer, seen).metrics()["ndcg@10"]

    checkpoints = Checkpoints(
        settings.checkpoints,
        config.checkpoint_steps,
        {
            **config.to_json(),
            "lake_snapshot": dataset.lake_snapshot,
            "registry_hash": store.registry_hash(),
        },
    )
    curve = train(model, config, source, reached, checkpoints=checkpoints, resume=resume)
    seconds = time.monotonic() - started

    measurement = measure(
        settings,
        dataset,
        timeline,
        TwoTowerScorer(model.query_tower, model.candidate_tower, dataset, timeline),
        seen,
    )
    calibrations, head_metrics = judge_heads(model.query_tower, dataset, labels)
    metrics = measurement.metrics | {
        "warm_start": taken and asdict(taken),
        "curve": curve,
        "training_seconds": seconds,
        "device": DEVICE,
        "heads": head_metrics,
        "heads_left_out": left_out,
    }
    path = export_bundle(
        settings,
        store,
        config,
        dataset,
        model.query_tower,
        model.candidate_tower,
        {name: (labels[name], calibrations[name]) for name in labels},
        metrics,
        KeptRanks.of(dataset, test, measurement.rankings),
    )
    checkpoints.clear()
    say(metrics)
    print(f"bundle and report: {path}")
    return path


def with_id_dropout(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """The config with a share of ids to hide: as many as are new, so that training is what
    tomorrow will be."""
    if config.id_dropout != AUTO:
        return config
    item = dataset.item[dataset.rows(TRAIN)]
    lately = item[-(-9 * len(item) // 10) :]
    before = np.zeros(len(dataset.item_ids), bool)
    before[item[: len(item) - len(lately)]] = True
    share = min(_MOST_HIDDEN, round(float(np.mean(~before[lately])), 2))
    print(f"id_dropout: {share} of item ids are hidden, as many as lately were new")
    return replace(config, id_dropout=share)


def training_source(
    store: FeatureStore,
    config: TrainConfig,
    dataset: Dataset,
    labels: Mapping[str, Label],
    scratch: Path,
) -> Source:
    """What batches are made of: the training window's positions, in spans of time."""
    rows = dataset.rows(TRAIN)
    spans = np.array_split(rows, -(-len(rows) // config.stretch))
    span = np.zeros(len(dataset.split), np.int64)
    for n, of_span in enumerate(spans):
        span[of_span] = n
    lists = dataset.query_encoding.histories(ITEM_VOCABULARY)
    windows = windows_of_rows(
        {name: dataset.query[name] for name in lists},
        dataset.history_column,
        dataset.user * len(spans) + span,
        rows,
        config.context,
    )
    negatives = Negatives(config.negatives, config.draws, dataset.item, spans)
    instants = [int(dataset.asked_at_us[of_span[0]]) for of_span in spans]
    return Source(
        windows=windows,
        span=span[windows.row[np.searchsorted(windows.window, np.arange(len(windows.length)))]],
        person={
            name: array
            for name, array in dataset.query.items()
            if name.removesuffix("__weights") not in lists
        },
        candidate=dataset.candidate,
        catalogue=(
            []
            if negatives.kind == "batch"
            else catalogue_at(store, config, dataset, instants, scratch)
        ),
        negatives=negatives,
        labels={name: label.values for name, label in labels.items()},
    )


def popularity_of_items(
    store: FeatureStore, config: TrainConfig, dataset: Dataset, scratch: Path
) -> npt.NDArray[np.float32] | None:
    """What the items' numbers say of how often each is turned to, from some spans of the training
    window; None where they have none, or vectors have a length that says nothing."""
    if not config.popularity or config.cosine or not dataset.candidate_encoding.floats:
        return None
    rows = dataset.rows(TRAIN)
    spans = np.array_split(rows, -(-len(rows) // config.stretch))
    spans = [spans[n] for n in evenly(np.arange(len(spans)), _PRIOR_SPANS)]
    moments = Moments.of(dataset.candidate["numbers"], rows)
    instants = [int(dataset.asked_at_us[span[0]]) for span in spans]
    catalogues = catalogue_at(store, config, dataset, instants, scratch)
    known = np.unique(dataset.item[rows])
    scale = np.sqrt(np.maximum(moments.variance, 1e-7))
    numbers = [
        ((catalogue["numbers"][known] - moments.mean) / scale).astype(np.float32)
        for catalogue in catalogues
    ]
    counts = [
        np.bincount(np.searchsorted(known, dataset.item[span]), minlength=len(known))
        for span in spans
    ]
    return popularity_weights(numbers, counts)


def build(
    config: TrainConfig,
    dataset: Dataset,
    labels: Mapping[str, Label],
    popularity: npt.NDArray[np.float32] | None,
) -> TwoTower:
    """The untrained model; its normalisers know the training window only."""
    rows = dataset.rows(TRAIN)
    # What runs along a history says nothing at first: the items alone start from where they belong.
    started = {
        name: np.zeros((len(dataset.vocabularies[name]), config.dimension), np.float32)
        for column in dataset.query_encoding.along
        if (name := dataset.query_encoding.id_lists[column]) != ITEM_VOCABULARY
    }
    if config.pretrain:
        similarity = co_occurrence(
            dataset.user[rows],
            dataset.candidate["item_id"][rows].astype(np.int64),
            len(dataset.vocabularies[ITEM_VOCABULARY]),
            config.pretrain_shrink,
        )
        part = spectral_embedding(
            similarity, config.dimension // config.parts, config.pretrain_scale, config.seed
        )
        started[ITEM_VOCABULARY] = np.tile(part, config.parts)
    shared = embeddings(config, dataset.vocabularies, started)
    query_numbers, candidate_numbers = (
        Moments.of(arrays["numbers"], rows) for arrays in (dataset.query, dataset.candidate)
    )
    return TwoTower(
        config,
        QueryTower(
            config,
            dataset.query_encoding,
            shared,
            query_numbers,
            popularity=popularity is not None,
            heads={
                name: head_of(config, label.head, len(label.classes))
                for name, label in labels.items()
            },
        ),
        candidate_tower(config, dataset.candidate_encoding, shared, candidate_numbers, popularity),
        len(dataset.item_ids),
    )


def seen_to_filter(config: TrainConfig, dataset: Dataset) -> Seen | None:
    """What people have turned to already, if it is neither ranked nor recommended again."""
    seen = Seen(dataset)
    kept = config.seen_items == "kept"
    if config.seen_items == "auto":
        share = float(seen.repeated(dataset.rows(TRAIN)).mean())
        print(f"{share:.1%} of the training window's events are with an item of before")
        kept = share >= _MANY_REPEATS
    return None if kept else seen
