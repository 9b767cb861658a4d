"""Arrays in files without a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.on_disk import GrowingArrays


def test_what_was_appended_is_there_and_no_file_is_left(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    ids = random.integers(0, 99, (40, 3)).astype(np.int32)
    numbers = random.standard_normal(40)
    growing = GrowingArrays(tmp_path / "scratch")
    for start, end in ((0, 1), (1, 1), (1, 33), (33, 40)):
        growing.append({"ids": ids[start:end], "numbers": numbers[start:end]})
    found = growing.finish()
    assert found["ids"].dtype == np.int32
    assert (found["ids"] == ids).all()
    assert (found["numbers"] == numbers).all()
    assert list((tmp_path / "scratch").iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        found["ids"][0] = 1


def test_rows_of_nothing(tmp_path: Path) -> None:
    growing = GrowingArrays(tmp_path)
    assert growing.finish() == {}
    growing.append({"none": np.zeros((0, 4), np.int32), "narrow": np.zeros((0, 0))})
    assert {name: array.shape for name, array in growing.finish().items()} == {
        "none": (0, 4),
        "narrow": (0, 0),
    }
