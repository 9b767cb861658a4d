"""Histories as matrices, beside what a row says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from profilestore.encoding import Vocabulary
from training.history import History

# 0 is the padding, 1 an item that training never saw; the rest are "c", "a", "d" of the catalogue.
IDS = np.array([[2, 1, 2, 3], [4, 0, 0, 0], [0, 0, 0, 0]], np.int32)


@pytest.mark.parametrize(
    ("newest", "wanted"),
    [
        (None, [[1, 0, 2, 0], [0, 0, 0, 1], [0, 0, 0, 0]]),
        (2, [[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]),
    ],
)
def test_the_newest_items_are_counted(newest: int | None, wanted: list[list[int]]) -> None:
    dataset = SimpleNamespace(
        query={"history": IDS},
        history_column="history",
        item_ids=["a", "b", "c", "d"],
        vocabularies={"item_id": Vocabulary("item_id", ["c", "a", "d"])},
    )
    history = History(dataset)
    rows = np.array([0, 1, 2])
    assert history.newest(rows, newest).toarray().tolist() == wanted
    assert history.length(rows).tolist() == [4, 1, 0]
