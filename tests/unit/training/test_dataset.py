"""The temporal split and the drawing of batches."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.encoding import UNKNOWN, Feature
from profilestore.errors import InputError
from training.config import TrainConfig
from training.dataset import (
    TEST,
    TRAIN,
    VALIDATION,
    load_dataset,
    require_windows,
    split_by_place,
)


def places(at: np.ndarray) -> np.ndarray:
    """What the spine's SQL says: the share of the log that is before each row."""
    return np.searchsorted(at, at, side="left") / len(at)


@given(st.lists(st.integers(0, 10_000), min_size=100, max_size=300, unique=True))
def test_train_is_before_validation_is_before_test(instants: list[int]) -> None:
    at = np.sort(np.array(instants))
    split = split_by_place(places(at), TrainConfig())
    assert at[split == TRAIN].max() < at[split == VALIDATION].min()
    assert at[split == VALIDATION].max() < at[split == TEST].min()
    assert abs(np.mean(split == TEST) - 0.1) < 0.02


def test_events_of_one_instant_are_not_parted() -> None:
    at = np.repeat(np.arange(40), 5)
    split = split_by_place(places(at), TrainConfig())
    assert all(len(set(split[at == instant])) == 1 for instant in range(40))


def test_a_log_of_one_instant_is_refused() -> None:
    split = split_by_place(places(np.zeros(200, np.int64)), TrainConfig())
    with pytest.raises(InputError, match=r"leaves the (training|validation|test).* window empty"):
        require_windows(split)


def test_a_log_of_few_events_is_refused() -> None:
    with pytest.raises(InputError, match="needs at least 100"):
        require_windows(np.arange(30) % 3)


class Store:
    """A store of one batch a row, so that every seam of the stream is crossed."""

    FEATURES: ClassVar = [
        Feature("history", "item_ids", "user", "list_of_text", tags={"vocabulary": "item_id"}),
        Feature("attributes", "kind", "item", "text", tags={"vocabulary": "kind"}),
    ]

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        rows = 200
        self.table = pa.table(
            {
                "user_id": [f"u{n % 7}" for n in range(rows)],
                "item_id": [f"i{n // 3}" for n in range(rows)],
                "event_timestamp": pa.array(range(rows), pa.timestamp("us", tz="UTC")),
                "place": [n / rows for n in range(rows)],
                "history__item_ids": [[f"i{(n - 1) // 3}"] if n else [] for n in range(rows)],
                "attributes__kind": [f"k{n // 90}" for n in range(rows)],
            }
        )

    def features(self, service: str) -> list[Feature]:
        return self.FEATURES

    def lake_snapshot(self) -> int:
        return 17

    def keys(self, service: str, entity: str) -> list[str]:
        return sorted(set(self.table["item_id"].to_pylist()))

    def training_frame(self, service: str, spine: str, columns: list[str]) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(
            self.table.schema, self.table.to_batches(max_chunksize=self._batch_rows)
        )


def test_vocabularies_hold_the_training_window_and_no_more(tmp_path) -> None:
    dataset = load_dataset(Store(7), TrainConfig(), tmp_path)  # type: ignore[arg-type]
    assert dataset.lake_snapshot == 17
    rows = dataset.rows(TRAIN)
    assert len(rows) == 160
    assert set(dataset.vocabularies["item_id"].values) == {f"i{n // 3}" for n in range(160)}
    assert dataset.vocabularies["kind"].values == ["k0", "k1"]
    later = dataset.candidate["attributes__kind"][dataset.rows(TEST)]
    assert set(later) == {UNKNOWN}


def test_the_size_of_the_batches_changes_nothing(tmp_path) -> None:
    whole, parts = (
        load_dataset(Store(batch_rows), TrainConfig(), tmp_path)  # type: ignore[arg-type]
        for batch_rows in (200, 1)
    )
    for name in ("user", "item", "asked_at_us", "split"):
        assert (getattr(whole, name) == getattr(parts, name)).all()

    def texts(dataset, array, vocabulary):
        named = ["<pad>", "<unknown>", *dataset.vocabularies[vocabulary].values]
        return [named[number] for number in array.ravel()]

    for side, column, vocabulary in (
        ("query", "history__item_ids", "item_id"),
        ("candidate", "item_id", "item_id"),
        ("candidate", "attributes__kind", "kind"),
    ):
        assert texts(whole, getattr(whole, side)[column], vocabulary) == texts(
            parts, getattr(parts, side)[column], vocabulary
        )
