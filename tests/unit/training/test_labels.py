"""Labels: features of later, where they were known in time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from profilestore.errors import InputError
from training.config import HeadConfig, TrainConfig
from training.dataset import TEST, TRAIN, VALIDATION
from training.labels import read_labels

DAY_US = 86_400_000_000
# Two rows a day for fifty days: thirty days to train on, ten to validate, ten to test.
AT_US = np.arange(100) * DAY_US // 2
SPLIT = np.repeat([TRAIN, VALIDATION, TEST], [60, 20, 20]).astype(np.int8)


class Log:
    """As much of a dataset as labels look at."""

    asked_at_us = AT_US
    split = SPLIT

    def rows(self, split: int) -> np.ndarray:
        return np.flatnonzero(split == SPLIT)


class Store:
    """Answers with a column of its own, and remembers how much later it was asked."""

    def __init__(self, **columns: Sequence) -> None:
        self.columns = columns
        self.days: list[int] = []

    def features(self, service: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(column=name) for name in self.columns if "__" in name]

    def training_frame(
        self, service: str, spine: str, *, columns: Sequence[str]
    ) -> pa.RecordBatchReader:
        self.days.append(int(re.search(r"INTERVAL (\d+) DAY", spine)[1]))
        kept = {name: self.columns[name] for name in (*columns, "event_type")}
        return pa.table(kept).to_reader(max_chunksize=7)


EVENTS = [n % 3 for n in range(100)]
TYPES = ["view" if n % 4 else "buy" for n in range(100)]


def read(head: HeadConfig, **columns: Sequence):
    store = Store(**{"some__events": EVENTS, "event_type": TYPES, **columns})
    found = read_labels(store, TrainConfig(heads=(head,)), Log())  # type: ignore[arg-type]
    return store, *found


def test_a_label_is_the_feature_so_many_days_later() -> None:
    store, labels, left_out = read(HeadConfig("more", "binary", "some__events", 5, above=1))
    assert (store.days, left_out) == ([5], {})
    values = labels["more"].values
    known = ~np.isnan(values)
    assert values[known].tolist() == [float(EVENTS[n] > 1) for n in np.flatnonzero(known)]


def test_what_was_known_only_in_the_next_window_is_no_label() -> None:
    _, labels, _ = read(HeadConfig("more", "amount", "some__events", 5))
    known = ~np.isnan(labels["more"].values)
    ends = {TRAIN: AT_US[60], VALIDATION: AT_US[80], TEST: AT_US[99]}
    for row in range(100):
        assert known[row] == (AT_US[row] + 5 * DAY_US <= ends[int(SPLIT[row])])


def test_a_missing_value_is_no_label() -> None:
    column = [None if n % 5 == 0 else float(n % 7) for n in range(100)]
    _, labels, _ = read(HeadConfig("more", "binary", "some__value", 0, 2), some__value=column)
    values = labels["more"].values
    assert np.isnan(values[::5]).all()
    assert not np.isnan(values[1])


def test_classes_are_those_of_the_training_window_the_most_frequent_first() -> None:
    types = ["view", "view", "cart"] * 30 + ["refund"] * 10
    _, labels, _ = read(HeadConfig("what", "category", "event_type"), event_type=types)
    label = labels["what"]
    assert label.classes == ("view", "cart")
    assert label.values[:3].tolist() == [0, 0, 1]
    assert np.isnan(label.values[-5:]).all()


@pytest.mark.parametrize(
    ("head", "columns", "said"),
    [
        (HeadConfig("h", "binary", "some__other"), {}, "outcomes_v1 has no 'some__other'"),
        (HeadConfig("h", "amount", "event_type"), {}, "string, and a label of kind amount"),
        (HeadConfig("h", "binary", "some__events", 40), {}, "no row of the training window"),
        (HeadConfig("h", "binary", "some__events", 15), {}, "no row of the validation window"),
        (
            HeadConfig("h", "binary", "some__events", above=9),
            {},
            "every row of the training window has one and the same label, 0",
        ),
        (
            HeadConfig("h", "category", "event_type"),
            {"event_type": ["view"] * 100},
            "one and the same label, view",
        ),
    ],
)
def test_what_says_nothing_is_refused_by_name(head, columns, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        read(head, **columns)


def test_a_head_that_is_not_required_is_left_out_with_the_reason() -> None:
    head = HeadConfig("h", "binary", "some__events", 40, required=False)
    _, labels, left_out = read(head)
    assert not labels
    assert left_out["h"].startswith("no row of the training window has a some__events")
