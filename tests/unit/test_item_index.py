"""An index finds what comparing all finds, nearly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.item_index import RECALL_WANTED, ItemIndex, best_index, exact, recall


def vectors_of(items: int, lengths: float, seed: int = 1) -> np.ndarray:
    """Vectors near a few directions, whose lengths vary by that factor."""
    random = np.random.default_rng(seed)
    towards = random.normal(size=(8, 32))
    found = random.normal(size=(items, 8)) @ towards + random.normal(size=(items, 32)) * 0.1
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return (found * random.uniform(1, lengths, size=(items, 1))).astype(np.float32)


@pytest.mark.parametrize("lengths", [1.0, 5.0])
def test_the_best_index_finds_what_is_wanted(lengths: float) -> None:
    vectors, queries = vectors_of(4000, lengths), vectors_of(60, 1.0, seed=2)
    index, quality = best_index(vectors, queries)
    others = vectors_of(60, 1.0, seed=3)
    assert quality.recall >= RECALL_WANTED
    assert recall(index.nearest, vectors, others) >= 0.97
    assert (quality.items, quality.queries) == (4000, 60)
    assert quality.to_json()["speedup"] == quality.exact_ms / quality.index_ms


@pytest.mark.parametrize("lengths", [1.0, 20.0])
def test_it_is_built_the_way_that_finds_more(lengths: float) -> None:
    vectors, queries = vectors_of(3000, lengths), vectors_of(60, 1.0, seed=2)
    _, quality = best_index(vectors, queries)
    found = {
        by_angle: recall(
            ItemIndex.of(vectors, by_angle=by_angle, breadth=128).nearest, vectors, queries
        )
        for by_angle in (False, True)
    }
    # Threads add in another order each time, and no graph is quite like another.
    assert found[quality.by_angle] > found[not quality.by_angle] - 0.02


def test_a_file_gives_the_same_answers(tmp_path: Path) -> None:
    vectors, (query, *_) = vectors_of(1500, 3.0), vectors_of(1, 1.0, seed=2)
    index = ItemIndex.of(vectors, by_angle=True, breadth=256)
    index.save(tmp_path / "index")
    again = ItemIndex.load(tmp_path / "index", 256)
    assert again.nearest(query, 20).tolist() == index.nearest(query, 20).tolist()


@settings(max_examples=30, deadline=None)
@given(items=st.integers(1, 40), count=st.integers(1, 60), seed=st.integers(0, 99))
def test_of_a_few_items_all_are_found(items: int, count: int, seed: int) -> None:
    vectors = vectors_of(items, 2.0, seed)
    query = vectors_of(1, 1.0, seed + 1)[0]
    index = ItemIndex.of(vectors, by_angle=False, breadth=128)
    wanted = exact(vectors, query, count)
    assert len(wanted) == min(items, count)
    assert index.nearest(query, min(items, count)).tolist() == wanted.tolist()


def test_exact_is_a_full_sort_cut() -> None:
    vectors, (query, *_) = vectors_of(300, 3.0), vectors_of(1, 1.0, seed=2)
    wanted = sorted(np.argsort(-(vectors @ query), kind="stable")[:25])
    assert exact(vectors, query, 25).tolist() == wanted
