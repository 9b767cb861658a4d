"""How many ids training hides, where the config leaves it to the log."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from training.config import TrainConfig
from training.dataset import TEST, TRAIN
from training.fit import hidden_share

AUTO = TrainConfig(id_dropout="auto")


def log(item: list[int]) -> SimpleNamespace:
    """A training window with events on these items, and after it a test window with the same."""
    split = np.repeat([TRAIN, TEST], len(item))
    return SimpleNamespace(
        item=np.array([*item, *item]),
        item_ids=list("abcdefghijklmnopqrstuvwxyz"),
        split=split,
        rows=lambda wanted: np.flatnonzero(split == wanted),
    )


def test_as_many_are_hidden_as_are_new_in_the_last_tenth() -> None:
    # Of the last four of forty events, one is on an item of before.
    assert hidden_share(AUTO, log([0] * 36 + [1, 2, 0, 2])) == 0.75


def test_a_log_without_new_items_hides_none() -> None:
    assert hidden_share(AUTO, log([0, 1] * 20)) == 0.0


def test_some_ids_are_always_seen() -> None:
    assert hidden_share(AUTO, log([0] * 36 + [1, 2, 3, 4])) == 0.9


@pytest.mark.parametrize("said", [0.0, 0.3])
def test_what_the_config_says_stands(said: float) -> None:
    assert hidden_share(TrainConfig(id_dropout=said), log([0] * 40)) == said
