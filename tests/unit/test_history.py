"""The latest after each arrival, against sorting all that arrived."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from profilestore.history import running_latest


@given(
    order=st.integers(0, 60).flatmap(lambda n: st.permutations(range(1, n + 1))),
    kept=st.integers(1, 9),
    first=st.integers(0, 70),
)
def test_the_latest_of_what_arrived(order: list[int], kept: int, first: int) -> None:
    found, sizes = running_latest(np.array(order, np.int64), kept, first)
    wanted = [
        sorted(range(n + 1), key=lambda one: -order[one])[:kept] for n in range(first, len(order))
    ]
    assert sizes.tolist() == [len(one) for one in wanted]
    assert found.tolist() == [one for each in wanted for one in each]
