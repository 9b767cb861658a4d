"""Windows of histories: every position once, and shown nothing but what its row knew."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.windows import oldest_first, windows_of_rows

STEPS = 8


def log_of(
    random: np.random.Generator, events: int, people: int, late: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items and types of every row's history as known then, newest first; and users."""
    user = random.integers(0, people, events)
    item = random.integers(1, 4, events).astype(np.int32)  # few, so that histories repeat
    kind = random.integers(1, 3, events).astype(np.int32)
    happened = np.sort(random.integers(0, events, events))  # with instants in common
    known_from = happened + np.where(random.random(events) < late, random.integers(1, 9, events), 0)
    items, kinds = np.zeros((2, events, STEPS), np.int32)
    for row in range(events):
        before = [
            other
            for other in range(events)
            if user[other] == user[row]
            and happened[other] < happened[row]
            and known_from[other] < happened[row]
        ][::-1][:STEPS]
        items[row, : len(before)] = item[before]
        kinds[row, : len(before)] = kind[before]
    return items, kinds, user


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    events=st.integers(1, 60),
    people=st.integers(1, 4),
    late=st.sampled_from([0.0, 0.2]),
    context=st.integers(0, STEPS),
)
def test_a_position_is_shown_the_newest_of_what_its_row_knew(
    seed: int, events: int, people: int, late: float, context: int
) -> None:
    random = np.random.default_rng(seed)
    items, kinds, user = log_of(random, events, people, late)
    rows = np.flatnonzero(random.random(events) < 0.8)
    if not len(rows):
        return
    found = windows_of_rows({"items": items, "kinds": kinds}, "items", user, rows, context)
    assert sorted(found.row.tolist()) == rows.tolist()
    assert (np.diff(found.window) >= 0).all()
    assert found.place.max() <= STEPS
    for window, place, row in zip(found.window, found.place, found.row, strict=True):
        known = int(np.count_nonzero(items[row]))
        assert min(known, context) <= place <= known
        for name, array in (("items", items), ("kinds", kinds)):
            shown = found.history[name][window, :place]
            assert shown.tolist() == array[row, :place][::-1].tolist()


def test_without_late_rows_a_person_needs_few_windows() -> None:
    items, kinds, user = log_of(np.random.default_rng(1), 300, 3, 0.0)
    found = windows_of_rows({"items": items, "kinds": kinds}, "items", user, np.arange(300), 2)
    assert len(found.length) < 300 / (STEPS / 2)


def test_the_padding_stays_at_the_end() -> None:
    newest_first = np.array([[3, 2, 1, 0], [9, 0, 0, 0], [0, 0, 0, 0]], np.int32)
    assert oldest_first(newest_first, np.array([3, 1, 0])).tolist() == [
        [1, 2, 3, 0],
        [9, 0, 0, 0],
        [0, 0, 0, 0],
    ]
