"""Whom to ask about, and when; and the rows that come of it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.encoding import Feature
from profilestore.errors import InputError
from training.config import TrainConfig
from training.dataset import TEST, TRAIN, VALIDATION
from training.people import (
    Events,
    People,
    Spine,
    draw,
    events_of,
    everyone_at,
    load_people,
    number_encoding,
    sample_of,
)


def log(users: list[int], seed: int) -> Events:
    """Events of people at random instants, in windows of 8 : 1 : 1."""
    random = np.random.default_rng(seed)
    user = np.array([*users, *range(7)] * 8)
    at_us = np.sort(random.choice(100_000, len(user), replace=False))
    split = np.full(len(user), TRAIN, np.int8)
    split[len(user) * 8 // 10 :] = VALIDATION
    split[len(user) * 9 // 10 :] = TEST
    random.shuffle(user)
    return Events([f"u{n}" for n in range(7)], user, at_us, split)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 5), st.integers(0, 99))
def test_nobody_weighs_more_and_nobody_is_asked_about_before_they_are_known(
    users: list[int], per_window: int, seed: int
) -> None:
    events = log(users, seed)
    spine = draw(events, per_window, seed)
    assert (np.diff(spine.at_us) >= 0).all()
    for user in range(7):
        own = events.at_us[events.user == user]
        assert (spine.at_us[spine.user == user] > own.min()).all()
        for split in (TRAIN, VALIDATION, TEST):
            start, end = events.window(split)
            chosen = (spine.user == user) & (spine.split == split)
            at = spine.at_us[chosen]
            assert ((at >= min(start, end)) & (at <= end)).all()
            at_event, any_time = at[spine.at_event[chosen]], at[~spine.at_event[chosen]]
            there = own[(own >= start) & (own <= end) & (own > own.min())]
            assert set(at_event) <= set(there)
            assert len(at_event) == len(set(at_event)) == min(per_window, len(there))
            assert len(any_time) == (per_window if own.min() < end else 0)


def test_the_same_seed_draws_the_same_and_another_another() -> None:
    events = log([], 5)
    once, again, other = draw(events, 3, 1), draw(events, 3, 1), draw(events, 3, 2)
    assert (once.at_us == again.at_us).all()
    assert (once.user == again.user).all()
    assert not np.array_equal(once.at_us, other.at_us)


def test_any_time_is_as_likely_early_as_late() -> None:
    at_us = np.array([0, 500, 1_000_000, 1_000_001, 1_000_002])
    split = np.array([TRAIN, TRAIN, TRAIN, VALIDATION, TEST], np.int8)
    spine = draw(Events(["u"], np.zeros(5, np.int64), at_us, split), 4000, 1)
    drawn = spine.at_us[(spine.split == TRAIN) & ~spine.at_event]
    assert drawn.mean() == pytest.approx(500_000, rel=0.03)
    assert np.std(drawn) == pytest.approx(1_000_000 / np.sqrt(12), rel=0.03)


def test_a_sample_is_of_people_whole() -> None:
    events = log([], 5)
    assert sample_of(events, 7, 1) is events
    some = sample_of(events, 3, 1)
    assert len(some.names) == 3
    for user, name in enumerate(some.names):
        own = events.user == events.names.index(name)
        assert (some.at_us[some.user == user] == events.at_us[own]).all()
        assert (some.split[some.user == user] == events.split[own]).all()
    assert len(some.user) == 3 * 8
    drawn = [tuple(sample_of(events, 3, seed).names) for seed in range(50)]
    assert len(set(drawn)) > 20


def test_everyone_at_the_end_of_a_window_is_who_was_known_before_it() -> None:
    user, at_us = np.array([0, 1, 0, 2, 3]), np.array([1, 2, 3, 4, 5])
    split = np.array([TRAIN, TRAIN, TRAIN, VALIDATION, TEST], np.int8)
    events = Events([*"abcd"], user, at_us, split)
    spine = everyone_at(events, TRAIN)
    assert spine.user.tolist() == [0, 1]
    assert spine.at_us.tolist() == [3, 3]


class Store:
    """A store whose features are a function of person and instant; one batch a few rows."""

    FEATURES: ClassVar = [
        Feature("activity", "events", "user", "number", tags={"default": "0"}),
        Feature("activity", "mean", "user", "number"),
        Feature("activity", "last_at", "user", "timestamp"),
        Feature("history", "item_ids", "user", "list_of_text", tags={"vocabulary": "item_id"}),
        Feature("attributes", "price", "item", "number"),
    ]
    asked: ClassVar[list[set[str]]] = []

    def features(self, service: str) -> list[Feature]:
        return self.FEATURES

    def training_frame(
        self, service: str, spine: str | pa.Table, columns: list[str]
    ) -> pa.RecordBatchReader:
        self.asked.append(set(columns))
        if isinstance(spine, str):
            rows = 200
            at = pa.array(range(rows), pa.timestamp("us", tz="UTC"))
            spine = pa.table(
                {
                    "user_id": [f"u{n % 7}" for n in range(rows)],
                    "event_timestamp": at,
                    "place": [n / rows for n in range(rows)],
                }
            )
        who = [int(name[1:]) for name in spine["user_id"].to_pylist()]
        values = {
            "activity__events": pa.array([None if n == 3 else n for n in who], pa.int64()),
            "activity__mean": pa.array([None if n == 3 else n / 2 for n in who], pa.float64()),
            "activity__last_at": spine["event_timestamp"],
        }
        table = spine
        for name in columns:
            table = table.append_column(name, values[name])
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=6))


def test_rows_are_the_spines_and_numbers_only(tmp_path: Path) -> None:
    store = Store()
    events = events_of(store, "some", TrainConfig())  # type: ignore[arg-type]
    assert events.names == [f"u{n}" for n in range(7)]
    assert np.bincount(events.split).tolist() == [160, 20, 20]
    spine = draw(events, 2, 1)
    people = load_people(store, "some", store.FEATURES, events, spine, tmp_path)  # type: ignore[arg-type]
    assert people.encoding.columns == ["activity__events", "activity__mean", "activity__last_at"]
    assert "history__item_ids" in people.encoding.left_out
    unknown = spine.user == 3
    events_n = np.where(unknown, 0.0, spine.user)
    assert people.numbers[:, 0] == pytest.approx(np.log1p(events_n))
    assert (people.numbers[:, 3] == ~unknown).all()
    assert people.numbers[:, 2] == pytest.approx(np.log1p(events_n / 2))


def test_a_service_without_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="feature service some: no number and no timestamp"):
        number_encoding(Store.FEATURES[3:], "some")


def test_a_window_without_rows_is_said() -> None:
    encoding = number_encoding(Store.FEATURES, "some")
    rows = np.zeros(2, np.int64)
    spine = Spine(rows, rows, np.full(2, TRAIN, np.int8), np.ones(2, bool))
    people = People(spine, encoding, np.zeros((2, 6), np.float32))
    assert people.rows(TRAIN).tolist() == [0, 1]
    with pytest.raises(InputError, match="the validation window has no rows of people"):
        people.rows(VALIDATION)
