"""Coverage, novelty, diversity and popularity bias, beside definitions written out."""

from __future__ import annotations

from itertools import combinations
from math import log2, sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilestore.encoding import Encoding, Vocabulary
from training import beyond_accuracy
from training.beyond_accuracy import BeyondAccuracy, category_vectors
from training.ranking import Ranking

ITEMS, ROWS, KNOWN = 9, 40, 7


def log(random: np.random.Generator) -> SimpleNamespace:
    """A log whose first half is the training window, which sees items 0 to 6 alone."""
    half = ROWS // 2
    return SimpleNamespace(
        user=random.integers(0, 5, ROWS),
        item=np.concatenate([np.resize(np.arange(KNOWN), half), random.integers(0, ITEMS, half)]),
        item_ids=[str(n) for n in range(ITEMS)],
        query={"h": random.integers(0, KNOWN + 2, (ROWS, 4)).astype(np.int32)},
        history_column="h",
        vocabularies={"item_id": Vocabulary("item_id", [str(n) for n in range(KNOWN)])},
        rows=lambda split: np.arange(half) if split == 0 else np.arange(half, ROWS),
    )


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000), block=st.integers(1, 30))
def test_every_measure_equals_its_definition(
    seed: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beyond_accuracy, "_ROWS", block)
    random = np.random.default_rng(seed)
    dataset, rows = log(random), np.arange(ROWS // 2, ROWS)
    lists = np.array([random.choice(ITEMS, 3, replace=False) for _ in rows], np.int32)
    kinds = [set(random.choice(6, random.integers(0, 4), replace=False)) for _ in range(ITEMS)]
    ids = np.zeros((ITEMS, 4), np.int32)
    for item, own in enumerate(kinds):
        ids[item, : len(own)] = [kind + 1 for kind in own]
    encoding = Encoding("item", (), (), {}, {"kinds": "kind"}, {}, {})
    vectors = category_vectors(encoding, {"kinds": ids}, np.arange(ITEMS), ITEMS)
    found = BeyondAccuracy(dataset, vectors).metrics(
        Ranking(np.zeros(len(rows), int), lists, dataset.user[rows]), rows
    )

    train = range(ROWS // 2)
    people = {dataset.user[row] for row in train}
    of = [len({dataset.user[row] for row in train if dataset.item[row] == i}) for i in range(ITEMS)]

    def cosine(one: int, other: int) -> float:
        size = sqrt(len(kinds[one]) * len(kinds[other]))
        return len(kinds[one] & kinds[other]) / size if size else 0.0

    assert found["coverage@10"] == len(set(lists.ravel())) / ITEMS
    surprise = [-log2((of[i] + 1) / (len(people) + 1)) for i in lists.ravel()]
    assert found["novelty@10"] == pytest.approx(np.mean(surprise))
    distances = [1 - cosine(one, other) for row in lists for one, other in combinations(row, 2)]
    assert found["diversity@10"] == pytest.approx(np.mean(distances), abs=1e-6)
    assert found["popularity@10"] == pytest.approx(
        np.mean([of[i] for i in lists.ravel()]) / len(people)
    )
    given_to, held = [], []
    for row, own in zip(rows, lists, strict=True):
        ids_of_row = [id_ for id_ in dataset.query["h"][row] if id_ != 0]
        if ids_of_row:
            # An id of 1 is an item that training never saw: nobody turned to it.
            held.append(np.mean([of[id_ - 2] if id_ > 1 else 0 for id_ in ids_of_row]))
            given_to.append(np.mean([of[i] for i in own]))
    assert found["popularity_lift@10"] == pytest.approx(np.mean(given_to) / np.mean(held) - 1)


def test_where_nothing_says_what_an_item_is_there_is_no_diversity() -> None:
    encoding = Encoding("item", (), (), {}, {}, {}, {})
    assert category_vectors(encoding, {}, np.arange(3), 3) is None
    dataset, rows = log(np.random.default_rng(1)), np.arange(ROWS // 2, ROWS)
    lists = np.zeros((len(rows), 3), np.int32)
    ranking = Ranking(np.zeros(len(rows), int), lists, dataset.user[rows])
    assert "diversity@10" not in BeyondAccuracy(dataset, None).metrics(ranking, rows)


def test_of_an_item_that_changed_the_first_categories_count() -> None:
    encoding = Encoding("item", (), (), {}, {"kinds": "kind"}, {}, {})
    inputs = {"kinds": np.array([[2, 3], [4, 0], [5, 0]], np.int32)}
    found = category_vectors(encoding, inputs, np.array([1, 0, 1]), 2).toarray()
    assert np.flatnonzero(found[1]).tolist() == [2, 3]
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1])
