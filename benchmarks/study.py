"""Many trainings of the two-tower on the log that is built here, each cut and ranked alike.

What is cut from the offline store is kept for the next training that reads the same: a study is of
what training does with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from profilestore.sources import active_log
from training.batches import batches
from training.config import TrainConfig
from training.dataset import TEST, VALIDATION, Dataset, evenly, load_dataset
from training.evaluate import ItemTimeline, TwoTowerScorer
from training.fit import build, popularity_of_items, seen_to_filter, training_source
from training.groups import by_heat, by_item_age
from training.labels import Label, read_labels
from training.loop import train
from training.ranking import VALIDATION_ROWS, Ranking, Seen, rank_all
from training.runtime import tf
from training.two_tower import TwoTower
from training.warm_start import Former, warm_start


@dataclass(frozen=True)
class Cut:
    """What trainings that read the same columns over the same windows share."""

    dataset: Dataset
    timeline: ItemTimeline
    labels: dict[str, Label]
    seen: Seen | None


@dataclass(frozen=True)
class Trained:
    """A training's end.

    Attributes:
        test: ranks on the test window.
        curve: validation NDCG@10 of each epoch; `begun` that before the first step.
        seconds: of training.
    """

    model: TwoTower
    test: Ranking
    begun: float
    curve: list[float]
    seconds: float


class Study:
    """Trainings on one snapshot of the lake.

    Args:
        settings: where the log is built and applied.
    """

    def __init__(self, settings: Settings) -> None:
        self._store = FeatureStore(settings).pinned(None)
        self._scratch: Path = settings.training_scratch
        self._cuts: dict[tuple, Cut] = {}
        active = active_log(settings)
        if active is None:
            raise SystemExit(f"no raw log in {settings.raw}: make apply")
        self.source = active.source_pack

    def columns(self, config: TrainConfig) -> dict[str, list[str]]:
        """Columns of the config's feature service, by view."""
        views: dict[str, list[str]] = {}
        for feature in self._store.features(config.feature_service):
            views.setdefault(feature.view, []).append(feature.column)
        return views

    def cut(self, config: TrainConfig) -> Cut:
        key = config.features, config.validation_share, config.test_share, config.heads
        if key not in self._cuts:
            dataset = load_dataset(self._store, config, self._scratch)
            validation, test = dataset.rows(VALIDATION), dataset.rows(TEST)
            start_us, end_us = (int(dataset.asked_at_us[row]) for row in (validation[0], test[-1]))
            self._cuts[key] = Cut(
                dataset,
                ItemTimeline(self._store, config, dataset, start_us, end_us, self._scratch),
                read_labels(self._store, config, dataset)[0],
                seen_to_filter(config, dataset),
            )
        return self._cuts[key]

    def train(self, config: TrainConfig, former: Former | None = None) -> Trained:
        """Train and rank the test window.

        Args:
            former: to begin from.
        """
        tf.keras.backend.clear_session()
        tf.keras.utils.set_random_seed(config.seed)
        cut = self.cut(config)
        dataset = cut.dataset
        source = training_source(self._store, config, dataset, cut.labels, self._scratch)
        popularity = popularity_of_items(self._store, config, dataset, self._scratch)
        model = build(config, dataset, cut.labels, popularity)
        some = evenly(dataset.rows(VALIDATION), VALIDATION_ROWS)

        def rank(rows: np.ndarray) -> Ranking:
            scorer = TwoTowerScorer(model.query_tower, model.candidate_tower, dataset, cut.timeline)
            return rank_all(dataset, rows, scorer, cut.seen)

        def reached() -> float:
            return float(rank(some).metrics()["ndcg@10"] or 0.0)

        if former is not None:
            # Layers make their variables when they are first called.
            model.compute_loss(next(iter(batches(source, config, 0))))
            warm_start(model, dataset, former)
        started = time.perf_counter()
        begun, *curve = (
            epoch["validation_ndcg@10"] for epoch in train(model, config, source, reached)
        )
        seconds = time.perf_counter() - started
        return Trained(
            model,
            rank(dataset.rows(TEST)),
            begun,
            curve,
            seconds,
        )

    def groups(self, config: TrainConfig) -> dict[str, np.ndarray]:
        """Rows of the test window: all, those of people with fewer than 5 events before, and those
        with items that the training window did not see."""
        cut = self.cut(config)
        rows = cut.dataset.rows(TEST)
        cold = by_heat(cut.seen or Seen(cut.dataset), rows)[0]
        unseen = by_item_age(cut.dataset, rows)[0]
        return {
            "all": np.ones(len(rows), bool),
            "cold people": cold.chosen,
            "unseen items": unseen.chosen,
        }
