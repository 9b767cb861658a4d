"""Walking through time with item vectors, beside a slow reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training import evaluate
from training.evaluate import ItemWalk


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32 - 1),
    changes=st.integers(0, 60),
    rows=st.integers(1, 30),
    ends=st.lists(st.integers(1, 29), max_size=4),
    most=st.sampled_from([0, 3, 1000]),
)
def test_scores_are_with_the_vectors_of_each_rows_instant(
    seed: int,
    changes: int,
    rows: int,
    ends: list[int],
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate, "_MOST_CHANGES", most)
    random = np.random.default_rng(seed)
    at, asked_at = (np.sort(random.integers(0, 20, n)) for n in (changes, rows))
    item = random.integers(0, 5, changes)
    vectors = random.standard_normal((changes, 3)).astype(np.float32)
    queries = random.standard_normal((rows, 3)).astype(np.float32)
    walk = ItemWalk(at, item, lambda chosen: vectors[chosen], 5, 3)
    cuts = sorted({0, rows, *(end for end in ends if end < rows)})
    found = np.concatenate(
        [walk.scores(queries[start:end], asked_at[start:end]) for start, end in pairwise(cuts)]
    )
    for row in range(rows):
        then = np.zeros((5, 3), np.float32)
        for change in range(changes):
            if at[change] <= asked_at[row]:
                then[item[change]] = vectors[change]
        assert found[row] == pytest.approx(then @ queries[row], abs=1e-5)
