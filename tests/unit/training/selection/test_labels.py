"""Labels, beside slow references."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.people import Events, Spine
from training.selection.labels import chosen_and_drawn, latest_change, returns

DAY_US = 86_400_000_000


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 30), st.integers(1, 3))
def test_who_comes_back(seed: int, events: int, rows: int, days: int) -> None:
    random = np.random.default_rng(seed)
    at_us = np.sort(random.integers(0, 12, events)) * DAY_US // 2
    user = random.integers(0, 3, events)
    log = Events([*"abc"], user, at_us, np.zeros(events, np.int8))
    asked_us = np.sort(random.integers(0, 12, rows)) * DAY_US // 2
    who = random.integers(0, 3, rows)
    spine = Spine(who, asked_us, np.zeros(rows, np.int8), np.zeros(rows, bool))
    label, told = returns(log, spine, days)
    for row in range(rows):
        until = asked_us[row] + days * DAY_US
        own = at_us[user == who[row]]
        assert label[row] == any(asked_us[row] < at <= until for at in own)
        assert told[row] == (until <= at_us[-1])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(1, 20))
def test_the_latest_change_of_an_item(seed: int, changes: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    item, at_us = random.integers(0, 4, changes), np.sort(random.integers(0, 9, changes))
    wanted, until_us = random.integers(0, 5, rows), random.integers(-1, 10, rows)
    found = latest_change(item, at_us, wanted, until_us)
    for row in range(rows):
        before = [n for n in range(changes) if item[n] == wanted[row] and at_us[n] <= until_us[row]]
        assert found[row] == (before[-1] if before else -1)


def test_half_are_what_was_turned_to_and_half_are_other_items() -> None:
    # Items 0 to 4 are known from the start, item 5 never.
    timeline = SimpleNamespace(item=np.array([0, 1, 2, 3, 4, 2]), at_us=np.array([0] * 5 + [50]))
    item, at_us = np.full(600, 2), np.repeat([10, 90], 300)
    change, label = chosen_and_drawn(timeline, item, at_us, 6, 1)  # type: ignore[arg-type]
    assert change[label].tolist() == [2] * 300 + [5] * 300
    drawn = np.bincount(timeline.item[change[~label]], minlength=6)
    assert drawn[2] == drawn[5] == 0
    assert 400 < drawn.sum() < 560
    assert drawn[[0, 1, 3, 4]].min() > 80
