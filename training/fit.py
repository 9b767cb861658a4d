"""One training run, from the feature service to the current bundle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.batches import Source
from training.config import TrainConfig, load_config
from training.cut import Cut, cut_of
from training.dataset import ITEM_VOCABULARY, TEST, TRAIN, Dataset, catalogue_at, evenly
from training.devices import devices_in_scope, is_plain, steps_an_epoch, training_scope
from training.evaluate import TwoTowerScorer
from training.export import export_bundle
from training.head_evaluation import judge_heads
from training.heads import head_of
from training.kept_ranks import KeptRanks
from training.labels import Label
from training.loop import Checkpoints, last_checkpoint, made, train
from training.measurement import MODEL, measure, say
from training.negatives import Negatives
from training.pretrain import co_occurrence, spectral_embedding
from training.prior import popularity_weights
from training.runtime import DEVICE, tf
from training.towers import Moments, QueryTower, candidate_tower, embeddings
from training.tracking import new_log, tracker
from training.two_tower import TwoTower
from training.warm_start import Taken, begin
from training.windows import windows_of_rows

# Of item ids, whatever the log says: a model that sees none learns none.
_MOST_HIDDEN = 0.9
# Rows of the test window on which smaller query towers are compared.
_COMPARED = 2_000
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
    log = new_log()
    if resume:
        told = last_checkpoint(settings.checkpoints)
        log = told["log"]
        snapshot = told["run"]["lake_snapshot"] if snapshot is None else snapshot
    store = FeatureStore(settings).pinned(snapshot)
    tf.keras.utils.set_random_seed(config.seed)
    print(f"device: {DEVICE}")
    with tracker(settings, config, log) as opened:
        cut = cut_of(settings, config, store)
        exported = None if is_plain(config) else untrained(settings, config, cut)
        with training_scope(config):
            tf.keras.utils.set_random_seed(config.seed)
            model, source, taken = begun(settings, config, cut)
            checkpoints = checkpoints_of(settings, config, cut, log, devices_in_scope())
            opened.parameters({**config.to_json(), "device": DEVICE, **checkpoints.data})
            started = time.monotonic()
            curve = train(
                model,
                config,
                source,
                looks(cut, model, exported),
                checkpoints=checkpoints,
                resume=resume,
                tracker=opened,
            )
            seconds = time.monotonic() - started
            steps = steps_an_epoch(source, config)
        if exported is not None:
            exported.set_weights(model.get_weights())
            model = exported
        path, metrics = measured_bundle(
            settings,
            config,
            cut,
            model,
            {"warm_start": taken and asdict(taken), "curve": curve, "training_seconds": seconds},
        )
        of_test = {
            f"test_{name}": value
            for name, value in metrics["test"][MODEL].items()
            if value is not None
        }
        opened.figures(steps * (len(curve) - 1), of_test)
    checkpoints.clear()
    say(metrics)
    print(f"bundle and report: {path}")
    return path


def begun(
    settings: Settings, config: TrainConfig, cut: Cut
) -> tuple[TwoTower, Source, Taken | None]:
    """The model before its first step, what its batches are made of, and what of a warm start it
    took over."""
    scratch = settings.training_scratch
    source = training_source(cut.store, config, cut.dataset, cut.labels, scratch)
    model = build(
        config,
        cut.dataset,
        cut.labels,
        popularity_of_items(cut.store, config, cut.dataset, scratch),
    )
    return model, source, begin(settings, config, model, source, cut.dataset)


def untrained(settings: Settings, config: TrainConfig, cut: Cut) -> TwoTower:
    """The same towers on one device and in float32, as they are measured and exported."""
    model, source, _ = begun(settings, replace(config, warm_start=""), cut)
    made(model, config, source)
    return model


def looks(cut: Cut, model: TwoTower, exported: TwoTower | None) -> Callable[[], float]:
    """What says NDCG@10 on the validation window of a model in training.

    Args:
        exported: takes its weights to be measured; None measures the model itself.
    """
    if exported is None:
        return cut.validation(model)
    validate = cut.validation(exported)

    def reached() -> float:
        exported.set_weights(model.get_weights())
        return validate()

    return reached


def checkpoints_of(
    settings: Settings, config: TrainConfig, cut: Cut, log: str, devices: int
) -> Checkpoints:
    """Where a training keeps its state.

    Args:
        log: its name in its logs.
        devices: that it runs on, since as many batches make a step.
    """
    return Checkpoints(
        settings.checkpoints,
        config.checkpoint_steps,
        config.of_the_model(),
        {
            "lake_snapshot": cut.dataset.lake_snapshot,
            "registry_hash": cut.store.registry_hash(),
            "devices": devices,
        },
        log,
    )


def measured_bundle(
    settings: Settings, config: TrainConfig, cut: Cut, model: TwoTower, said: Mapping[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """Measure a model as it now is beside the baselines, and export it; folder and metrics.

    Args:
        said: of the training, for metrics.json and the report.
    """
    dataset, labels = cut.dataset, cut.labels
    scorer = TwoTowerScorer(model.query_tower, model.candidate_tower, dataset, cut.timeline)
    measurement = measure(settings, dataset, cut.timeline, scorer, cut.seen)
    calibrations, head_metrics = judge_heads(model.query_tower, dataset, labels)
    metrics = {
        **measurement.metrics,
        **said,
        "device": DEVICE,
        "id_dropout": hidden_share(config, dataset),
        "heads": head_metrics,
        "heads_left_out": cut.left_out,
    }
    path = export_bundle(
        settings,
        cut.store,
        config,
        dataset,
        model.query_tower,
        model.candidate_tower,
        {name: (labels[name], calibrations[name]) for name in labels},
        metrics,
        KeptRanks.of(dataset, dataset.rows(TEST), measurement.rankings),
        lambda tower: cut.ndcg(tower, model.candidate_tower, TEST, _COMPARED),
    )
    return path, metrics


def hidden_share(config: TrainConfig, dataset: Dataset) -> float:
    """The share of item ids to hide while training: as many as are new, where it is left to the
    log, so that training is what tomorrow will be."""
    if not isinstance(config.id_dropout, str):
        return config.id_dropout
    item = dataset.item[dataset.rows(TRAIN)]
    lately = item[-(-9 * len(item) // 10) :]
    before = np.zeros(len(dataset.item_ids), bool)
    before[item[: len(item) - len(lately)]] = True
    return min(_MOST_HIDDEN, round(float(np.mean(~before[lately])), 2))


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
    numbers = [moments.standardised(catalogue["numbers"][known]) for catalogue in catalogues]
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
    config = replace(config, id_dropout=hidden_share(config, dataset))
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
