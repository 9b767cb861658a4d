"""What is cut from the lake for a training, and shared by all that read the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.config import TrainConfig
from training.dataset import TEST, TRAIN, VALIDATION, Dataset, evenly, load_dataset
from training.evaluate import ItemTimeline, TwoTowerScorer
from training.labels import Label, read_labels
from training.ranking import VALIDATION_ROWS, Seen, rank_all
from training.two_tower import TwoTower

# From this share of events with an item of before, such items are ranked and recommended.
_MANY_REPEATS = 0.1


@dataclass(frozen=True)
class Cut:
    """Rows, labels and items over time, as one snapshot of the lake has them.

    Attributes:
        store: pinned to the snapshot.
        labels: of heads, by name.
        left_out: head -> why it has no label.
        timeline: of the validation and the test window.
        seen: what is filtered; None where items of before are ranked again.
    """

    store: FeatureStore
    dataset: Dataset
    labels: dict[str, Label]
    left_out: dict[str, str]
    timeline: ItemTimeline
    seen: Seen | None

    def validation(self, model: TwoTower) -> Callable[[], float]:
        """What says the model's NDCG@10 on the validation window, as the model then is."""

        def reached() -> float:
            return self.ndcg(model.query_tower, model.candidate_tower, VALIDATION, VALIDATION_ROWS)

        return reached

    def ndcg(self, query_tower: Any, candidate_tower: Any, split: int, most: int) -> float:
        """NDCG@10 of two towers on at most so many rows of a window, evenly spaced."""
        some = evenly(self.dataset.rows(split), most)
        scorer = TwoTowerScorer(query_tower, candidate_tower, self.dataset, self.timeline)
        return float(rank_all(self.dataset, some, scorer, self.seen).metrics()["ndcg@10"] or 0)


def cut_of(settings: Settings, config: TrainConfig, store: FeatureStore) -> Cut:
    """Cut what a config reads, and say how much it is.

    Args:
        store: pinned to a snapshot.

    Raises:
        ProfilestoreError: see `load_dataset`, `read_labels`.
    """
    started = time.monotonic()
    scratch = settings.training_scratch
    dataset = load_dataset(store, config, scratch)
    validation, test = dataset.rows(VALIDATION), dataset.rows(TEST)
    print(
        f"{len(dataset.split):,} interactions with point-in-time features in "
        f"{time.monotonic() - started:.1f} s, from lake snapshot {dataset.lake_snapshot}: "
        f"train {len(dataset.rows(TRAIN)):,}, "
        f"validation {len(validation):,}, test {len(test):,}"
    )
    labels, left_out = read_labels(store, config, dataset)
    for name, reason in left_out.items():
        print(f"head {name} is left out: {reason}")
    start_us, end_us = (int(dataset.asked_at_us[row]) for row in (validation[0], test[-1]))
    timeline = ItemTimeline(store, config, dataset, start_us, end_us, scratch)
    return Cut(store, dataset, labels, left_out, timeline, seen_to_filter(config, dataset))


def seen_to_filter(config: TrainConfig, dataset: Dataset) -> Seen | None:
    """What people have turned to already, if it is neither ranked nor recommended again."""
    seen = Seen(dataset)
    kept = config.seen_items == "kept"
    if config.seen_items == "auto":
        share = float(seen.repeated(dataset.rows(TRAIN)).mean())
        print(f"{share:.1%} of the training window's events are with an item of before")
        kept = share >= _MANY_REPEATS
    return None if kept else seen
