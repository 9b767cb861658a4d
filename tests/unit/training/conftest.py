"""A small training: sequences of twelve items, and towers for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from profilestore.encoding import FIRST_ID, Encoding, Vocabulary
from training.batches import Source
from training.config import TrainConfig
from training.dataset import ITEM_VOCABULARY
from training.negatives import Negatives
from training.runtime import tf
from training.towers import Moments, QueryTower, candidate_tower, embeddings
from training.two_tower import TwoTower
from training.windows import windows_of_rows

ITEMS, ROWS, STEPS = 12, 240, 6


@pytest.fixture(scope="session")
def source() -> Source:
    random = np.random.default_rng(1)
    user, item = random.integers(0, 12, ROWS), random.integers(0, ITEMS, ROWS)
    history = np.zeros((ROWS, STEPS), np.int32)
    for row in range(ROWS):
        before = np.flatnonzero(user[:row] == user[row])[::-1][:STEPS]
        history[row, : len(before)] = item[before] + FIRST_ID
    windows = windows_of_rows({"h": history}, "h", user, np.arange(ROWS), 2)
    return Source(
        windows=windows,
        span=np.zeros(len(windows.length), np.int64),
        person={},
        candidate={ITEM_VOCABULARY: item.astype(np.int32) + FIRST_ID},
        catalogue=[{ITEM_VOCABULARY: np.arange(ITEMS, dtype=np.int32) + FIRST_ID}],
        negatives=Negatives("sampled", 4, item, [np.arange(ROWS)]),
    )


@pytest.fixture(scope="session")
def model() -> Callable[[TrainConfig], TwoTower]:
    """Makes untrained towers of a config, from its seed."""

    def of(config: TrainConfig) -> TwoTower:
        tf.keras.utils.set_random_seed(config.seed)
        names = [str(n) for n in range(ITEMS)]
        vocabularies = {ITEM_VOCABULARY: Vocabulary(ITEM_VOCABULARY, names)}
        shared = embeddings(config, vocabularies, {})
        nothing = Moments(np.zeros(0), np.zeros(0))
        history = Encoding("user", (), (), {}, {"h": ITEM_VOCABULARY}, {}, {})
        return TwoTower(
            config,
            QueryTower(config, history, shared, nothing, steps=STEPS),
            candidate_tower(config, Encoding("item", (), (), {}, {}, {}, {}), shared, nothing),
            ITEMS,
        )

    return of
