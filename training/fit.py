"""One training run, from the feature service to the current bundle."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from profilestore.sources import read_clock
from training.baselines import ItemKNN, Popularity
from training.config import TrainConfig, load_config
from training.dataset import (
    ITEM_VOCABULARY,
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    gather,
    load_dataset,
)
from training.evaluate import ItemTimeline, TwoTowerScorer, from_epoch_us
from training.export import export_bundle
from training.pretrain import co_occurrence, spectral_embedding
from training.ranking import Scorer, Seen, ndcg, rank_all
from training.runtime import DEVICE, tf
from training.towers import Moments, candidate_tower, embeddings, query_tower
from training.two_tower import Batch, TwoTower

# Rows of the validation window that are ranked after each epoch and to tune the baselines, at most.
_VALIDATION_ROWS = 10_000
# From this share of events with an item of before, such items are ranked and recommended.
_MANY_REPEATS = 0.1


@dataclass(frozen=True)
class WarmCosine(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over the first epoch, then a cosine down to zero."""

    peak: float
    steps_an_epoch: int
    epochs: int

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        warm = tf.cast(self.steps_an_epoch, tf.float32)
        whole = tf.cast(self.steps_an_epoch * self.epochs, tf.float32)
        at = tf.cast(step, tf.float32)
        falling = 0.5 * (1.0 + tf.cos(np.pi * (at - warm) / tf.maximum(whole - warm, 1.0)))
        return self.peak * tf.where(at < warm, (at + 1.0) / warm, falling)


def fit(
    settings: Settings, config_path: Path | None = None, *, snapshot: int | None = None
) -> Path:
    """Train, evaluate beside the baselines, export; the bundle's folder.

    Args:
        snapshot: of the lake, to cut the training set from; by default the latest.
    """
    config = load_config(config_path)
    store = FeatureStore(settings).pinned(snapshot)
    tf.keras.utils.set_random_seed(config.seed)
    print(f"device: {DEVICE}")

    started = time.monotonic()
    scratch = settings.data / "training"
    dataset = load_dataset(store, config, scratch)
    print(
        f"{len(dataset.split):,} interactions with point-in-time features in "
        f"{time.monotonic() - started:.1f} s, from lake snapshot {dataset.lake_snapshot}: "
        f"train {len(dataset.rows(TRAIN)):,}, "
        f"validation {len(dataset.rows(VALIDATION)):,}, test {len(dataset.rows(TEST)):,}"
    )
    model = build(config, dataset)
    validation, test = dataset.rows(VALIDATION), dataset.rows(TEST)
    timeline = ItemTimeline(
        store,
        config,
        dataset,
        int(dataset.asked_at_us[validation[0]]),
        int(dataset.asked_at_us[test[-1]]),
        scratch,
    )
    repeats = keeps_seen(config, dataset)
    started = time.monotonic()
    curve = train(model, config, dataset, timeline, repeats=repeats)
    seconds = time.monotonic() - started

    scorers = [
        TwoTowerScorer(model.query_tower, model.candidate_tower, dataset, timeline),
        *tuned_baselines(dataset, repeats=repeats),
    ]
    rankings = {scorer.name: rank_all(dataset, test, scorer, repeats=repeats) for scorer in scorers}
    metrics = {
        "protocol": _protocol(settings, dataset, repeats=repeats),
        "test": {name: ranking.metrics() for name, ranking in rankings.items()},
        "curve": curve,
        "training_seconds": seconds,
        "device": DEVICE,
        "by_history": _by_history(dataset, test, rankings["two-tower"].ranks),
    }
    metrics["lift"] = _lift(metrics["test"])
    path = export_bundle(
        settings, store, config, dataset, model.query_tower, model.candidate_tower, metrics
    )
    _say(metrics, path)
    return path


def build(config: TrainConfig, dataset: Dataset) -> TwoTower:
    """The untrained model; its normalisers know the training window only."""
    rows = dataset.rows(TRAIN)
    items = dataset.candidate["item_id"][rows]
    similarity = co_occurrence(
        dataset.user[rows],
        items.astype(np.int64),
        len(dataset.vocabularies[ITEM_VOCABULARY]),
        config.pretrain_shrink,
    )
    start = spectral_embedding(similarity, config.dimension, config.pretrain_scale, config.seed)
    shared = embeddings(config, dataset.vocabularies, {ITEM_VOCABULARY: start})
    return TwoTower(
        config,
        query_tower(
            config, dataset.query_encoding, shared, Moments.of(dataset.query["numbers"], rows)
        ),
        candidate_tower(
            config,
            dataset.candidate_encoding,
            shared,
            Moments.of(dataset.candidate["numbers"], rows),
        ),
    )


def keeps_seen(config: TrainConfig, dataset: Dataset) -> bool:
    """Whether what a person has turned to already is ranked and recommended again."""
    if config.seen_items != "auto":
        return config.seen_items == "kept"
    share = float(Seen(dataset).repeated(dataset.rows(TRAIN)).mean())
    print(f"{share:.1%} of the training window's events are with an item of before")
    return share >= _MANY_REPEATS


def train(
    model: TwoTower,
    config: TrainConfig,
    dataset: Dataset,
    timeline: ItemTimeline,
    *,
    repeats: bool,
) -> list[dict[str, float]]:
    """Fit until validation NDCG@10 stops rising; the model keeps the best weights.

    Returns:
        One entry an epoch: mean loss, validation NDCG@10.
    """
    rows = dataset.rows(TRAIN)
    validation = _sample(dataset.rows(VALIDATION))
    batch_size = min(config.batch_size, len(rows))
    steps = len(rows) // batch_size
    model.compile(
        optimizer=tf.keras.optimizers.Adam(WarmCosine(config.learning_rate, steps, config.epochs))
    )
    batches = iter(_batches(dataset, rows, batch_size, config))
    step = tf.function(model.train_step, reduce_retracing=True)
    curve: list[dict[str, float]] = []
    best, best_weights = -1.0, model.get_weights()
    for epoch in range(config.epochs):
        losses = []
        with tqdm(
            total=steps, desc=f"epoch {epoch + 1}", unit="step", leave=False, disable=None
        ) as bar:
            for _ in range(steps):
                losses.append(step(next(batches))["loss"])
                bar.update()
        scorer = TwoTowerScorer(model.query_tower, model.candidate_tower, dataset, timeline)
        reached = rank_all(dataset, validation, scorer, repeats=repeats).metrics()["ndcg@10"]
        curve.append(
            {"epoch": epoch + 1, "loss": float(np.mean(losses)), "validation_ndcg@10": reached}
        )
        print(f"epoch {epoch + 1}: loss {curve[-1]['loss']:.3f}, validation NDCG@10 {reached:.4f}")
        if reached > best:
            best, best_weights, best_epoch = reached, model.get_weights(), epoch
        elif epoch - best_epoch >= config.patience:
            break
    model.set_weights(best_weights)
    return curve


def tuned_baselines(dataset: Dataset, *, repeats: bool) -> list[Scorer]:
    """Popularity and item-kNN, each with the setting that does best on the validation window."""
    validation = _sample(dataset.rows(VALIDATION))

    def best(makers: list[Any]) -> Scorer:
        reached = [
            rank_all(dataset, validation, make(), repeats=repeats).metrics()["ndcg@10"]
            for make in makers
        ]
        chosen: Scorer = makers[int(np.argmax(reached))]()
        return chosen

    return [
        best([lambda days=days: Popularity(dataset, days) for days in (None, 30, 90, 365)]),
        best(
            [
                lambda newest=newest, shrink=shrink: ItemKNN(dataset, newest=newest, shrink=shrink)
                for newest in (1, 3, 10, 50)
                for shrink in (0.0, 20.0)
            ]
        ),
    ]


def _batches(
    dataset: Dataset, rows: np.ndarray, batch_size: int, config: TrainConfig
) -> tf.data.Dataset:
    """Endless batches, gathered ahead of the step."""
    taken = (dataset.query, dataset.candidate)

    def batches() -> Iterator[Batch]:
        drawn = drawn_batches(dataset.item, rows, batch_size, config.stretch, config.seed)
        for batch, share in drawn:
            yield (*(gather(arrays, batch) for arrays in taken), share)

    signature = tuple(
        {
            name: tf.TensorSpec((batch_size, *array.shape[1:]), array.dtype)
            for name, array in arrays.items()
        }
        for arrays in taken
    )
    return tf.data.Dataset.from_generator(
        batches, output_signature=(*signature, tf.TensorSpec((batch_size,), tf.float32))
    ).prefetch(tf.data.AUTOTUNE)


def drawn_batches(
    item: np.ndarray, rows: np.ndarray, batch_size: int, stretch: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches, each drawn from one stretch of time; every epoch cuts and orders anew.

    Args:
        item: int64, item of every row of the dataset.
        rows: int64, the rows to draw from, in the order of time.

    Yields:
        Rows int64 [batch_size], and float32 [batch_size], the share of the stretch's positions that
        have the row's item.
    """
    random = np.random.default_rng(seed)
    stretch = max(stretch, batch_size)
    while True:
        first = int(random.integers(0, min(stretch, len(rows) - batch_size + 1)))
        cuts = [0, *range(first, len(rows), stretch), len(rows)]
        batches = []
        for start, end in pairwise(cuts):
            drawn = random.permutation(rows[start:end])
            share = np.bincount(item[drawn])[item[drawn]] / max(len(drawn), 1)
            batches += [
                (drawn[at : at + batch_size], share[at : at + batch_size].astype(np.float32))
                for at in range(0, len(drawn) - batch_size + 1, batch_size)
            ]
        for place in random.permutation(len(batches)):
            yield batches[place]


def _sample(rows: np.ndarray) -> np.ndarray:
    """At most _VALIDATION_ROWS rows, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // _VALIDATION_ROWS))]


def _protocol(settings: Settings, dataset: Dataset, *, repeats: bool) -> dict[str, Any]:
    """How the figures were come by, with times on the log's own clock."""
    clock = read_clock(settings)

    def span(split: int) -> dict[str, Any]:
        rows = dataset.rows(split)
        first, last = (from_epoch_us(dataset.asked_at_us[rows[end]]) for end in (0, -1))
        return {
            "rows": len(rows),
            "people": len(np.unique(dataset.user[rows])),
            "from": clock.to_log(first).isoformat(),
            "to": clock.to_log(last).isoformat(),
        }

    return {
        "split": "by time: the latest events are the test, those before them the validation",
        "train": span(TRAIN),
        "validation": span(VALIDATION),
        "test": span(TEST),
        "candidates": len(dataset.item_ids),
        "seen_items": "kept" if repeats else "filtered",
        "ranking": (
            "each test event is one row; its item is ranked among all items of the catalogue"
            f"{'' if repeats else ' that the person had not turned to yet'}, with features as "
            "known one microsecond before it; ties at random; baselines tuned on the validation "
            "window"
        ),
    }


def _by_history(dataset: Dataset, rows: np.ndarray, ranks: np.ndarray) -> list[dict[str, Any]]:
    """NDCG@10 by the number of items in the history that the model was given."""
    length = np.count_nonzero(dataset.query[dataset.history_column][rows], axis=1)
    gain = ndcg(ranks)
    groups = {"0 to 4": (0, 4), "5 to 19": (5, 19), "20 to 49": (20, 49), "50": (50, 50)}
    return [
        {"history": name, "rows": int(chosen.sum()), "ndcg@10": float(gain[chosen].mean())}
        for name, (low, high) in groups.items()
        if (chosen := (length >= low) & (length <= high)).any()
    ]


def _lift(test: dict[str, dict[str, float]]) -> dict[str, float]:
    """By how much the two-tower's NDCG@10 is above each baseline's, as a share of the latter."""
    own = test["two-tower"]["ndcg@10"]
    return {
        name: own / max(figures["ndcg@10"], 1e-9) - 1.0
        for name, figures in test.items()
        if name != "two-tower"
    }


def _say(metrics: dict[str, Any], path: Path) -> None:
    print(f"\n{'test window':44} recall@10  NDCG@10     MRR  coverage")
    for name, figures in metrics["test"].items():
        print(
            f"{name:44} {figures['recall@10']:9.4f} {figures['ndcg@10']:8.4f} "
            f"{figures['mrr']:7.4f} {figures['coverage@10']:9.1%}"
        )
    print(f"bundle and report: {path}")
