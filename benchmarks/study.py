"""Many trainings of the two-tower on the log that is built here, each cut and ranked alike.

What is cut from the offline store is kept for the next training that reads the same: a study is of
what training does with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from profilestore.sources import active_log
from training.batches import batches
from training.config import TrainConfig
from training.cut import Cut, cut_of
from training.dataset import TEST
from training.evaluate import TwoTowerScorer
from training.fit import begun
from training.groups import by_heat, by_item_age
from training.loop import train
from training.ranking import Ranking, Seen, rank_all
from training.runtime import tf
from training.two_tower import TwoTower
from training.warm_start import Former, warm_start


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
        self._settings = settings
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
        key = config.of_the_data()
        if key not in self._cuts:
            self._cuts[key] = cut_of(self._settings, config, self._store)
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
        model, source, _ = begun(self._settings, replace(config, warm_start=""), cut)
        if former is not None:
            # Layers make their variables when they are first called.
            model.compute_loss(next(iter(batches(source, config, 0))))
            warm_start(model, dataset, former)
        started = time.perf_counter()
        looks = train(model, config, source, cut.validation(model))
        seconds = time.perf_counter() - started
        scorer = TwoTowerScorer(model.query_tower, model.candidate_tower, dataset, cut.timeline)
        return Trained(
            model,
            rank_all(dataset, dataset.rows(TEST), scorer, cut.seen),
            looks[0]["validation_ndcg@10"],
            [look["validation_ndcg@10"] for look in looks[1:]],
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
