"""The temporal split and the drawing of batches."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.errors import InputError
from training.config import TrainConfig, load_config
from training.dataset import TEST, TRAIN, VALIDATION, split_by_time


@given(st.lists(st.integers(0, 10_000), min_size=100, max_size=300, unique=True))
def test_train_is_before_validation_is_before_test(instants: list[int]) -> None:
    at = np.sort(np.array(instants))
    split = split_by_time(at, TrainConfig())
    assert at[split == TRAIN].max() < at[split == VALIDATION].min()
    assert at[split == VALIDATION].max() < at[split == TEST].min()
    assert abs(np.mean(split == TEST) - 0.1) < 0.02


def test_events_of_one_instant_are_not_parted() -> None:
    at = np.repeat(np.arange(40), 5)
    split = split_by_time(at, TrainConfig())
    assert all(len(set(split[at == instant])) == 1 for instant in range(40))


def test_a_log_of_one_instant_is_refused() -> None:
    with pytest.raises(InputError, match="leaves a window empty"):
        split_by_time(np.zeros(200, np.int64), TrainConfig())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 0.1", "unknown key 'learning_rat'"),
        ("epochs: many", "epochs is 'many'; wanted int"),
        ("epochs: true", "epochs is True; wanted int"),
        ("test_share: 1.0", "both together below 1"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(path)


def test_a_missing_config_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_batches_come_from_one_stretch_with_its_shares() -> None:
    from training.fit import drawn_batches

    random = np.random.default_rng(5)
    item = random.integers(0, 9, 1000)
    rows = np.arange(100, 900)
    seen: set[int] = set()
    for batch, share in islice(drawn_batches(item, rows, 20, 100, seed=3), 70):
        assert len(set(batch.tolist())) == 20
        assert batch.min() >= 100
        assert batch.max() < 900
        assert batch.max() - batch.min() < 100
        assert ((share > 0) & (share <= 1)).all()
        assert len({(i, s) for i, s in zip(item[batch], share, strict=True)}) == len(
            set(item[batch])
        )
        seen |= set(batch.tolist())
    assert len(seen) > 750


def test_batches_are_the_same_for_the_same_seed() -> None:
    from training.fit import drawn_batches

    item, rows = np.arange(200) % 7, np.arange(200)
    one, other, third = (
        [batch.tolist() for batch, _ in islice(drawn_batches(item, rows, 16, 64, seed), 20)]
        for seed in (1, 1, 2)
    )
    assert one == other
    assert one != third
