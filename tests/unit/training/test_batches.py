"""The drawing of batches, and what each position in one is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from profilestore.encoding import PAD
from training.batches import Source, batches, batches_of_epoch, steps_of_epoch
from training.config import TrainConfig
from training.negatives import Negatives
from training.windows import windows_of_rows

STEPS, ITEMS, ROWS, SPANS = 6, 9, 400, 3
CONFIG = TrainConfig(positions=32)


@pytest.fixture(scope="module")
def source() -> Source:
    random = np.random.default_rng(1)
    user, item = random.integers(0, 20, ROWS), random.integers(0, ITEMS - 1, ROWS)
    lists = np.zeros((ROWS, STEPS), np.int32)
    for row in range(ROWS):
        before = np.flatnonzero(user[:row] == user[row])[::-1][:STEPS]
        lists[row, : len(before)] = item[before] + 2
    span = np.arange(ROWS) * SPANS // ROWS
    windows = windows_of_rows({"h": lists}, "h", user * SPANS + span, np.arange(ROWS), 2)
    first = np.searchsorted(windows.window, np.arange(len(windows.length)))
    return Source(
        windows=windows,
        span=span[windows.row[first]],
        person={"numbers": np.arange(ROWS, dtype=np.float32)[:, None], "lists": lists},
        candidate={"item_id": item + 2, "row": np.arange(ROWS)},
        catalogue=[
            {"item_id": np.arange(ITEMS) + 2, "span": np.full(ITEMS, one)} for one in range(SPANS)
        ],
        negatives=Negatives("sampled", 3, item, np.array_split(np.arange(ROWS), SPANS)),
    )


def test_every_position_is_there_once_an_epoch(source: Source) -> None:
    drawn = list(batches_of_epoch(source, CONFIG, 0))
    rows = np.concatenate([batch["person"]["numbers"][:, 0] for batch in drawn])
    assert sorted(rows.tolist()) == list(range(ROWS))
    assert len(drawn) == pytest.approx(steps_of_epoch(source, CONFIG), abs=SPANS)


def test_an_epoch_of_few_steps_is_another_part_of_the_log_each_time(source: Source) -> None:
    config = replace(CONFIG, epoch_steps=2)
    drawn = [list(batches_of_epoch(source, config, epoch)) for epoch in range(2)]
    assert [len(of_epoch) for of_epoch in drawn] == [2, 2]
    assert steps_of_epoch(source, config) == 2
    rows = [
        {row for batch in of_epoch for row in batch["person"]["numbers"][:, 0].tolist()}
        for of_epoch in drawn
    ]
    assert rows[0] != rows[1]


def test_a_position_is_given_its_own_history_features_item_and_time(source: Source) -> None:
    for batch in batches_of_epoch(source, CONFIG, 3):
        history, target = batch["history"]["h"], batch["target"]
        rows = batch["person"]["numbers"][:, 0].astype(int)
        window, place = np.divmod(target["state"], history.shape[1] + 1)
        items = batch["candidate"]["item_id"] - 2
        assert (items[target["label"]] == source.candidate["item_id"][rows] - 2).all()
        assert set(batch["candidate"]["span"].tolist()) == {rows[0] * SPANS // ROWS}
        assert len(set((rows * SPANS // ROWS).tolist())) == 1
        for row, one, steps in zip(rows, window, place, strict=True):
            shown = history[one, :steps][::-1]
            assert shown.tolist() == source.person["lists"][row][:steps].tolist()
            assert PAD not in shown


def test_the_order_is_that_of_seed_and_epoch_alone(source: Source) -> None:
    def rows(seed: int, epoch: int) -> list[list[float]]:
        drawn = batches_of_epoch(source, replace(CONFIG, seed=seed), epoch)
        return [batch["person"]["numbers"][:, 0].tolist() for batch in drawn]

    assert rows(1, 2) == rows(1, 2)
    assert rows(1, 2) != rows(1, 3)
    assert rows(1, 2) != rows(2, 2)


def test_tensors_are_what_was_drawn(source: Source) -> None:
    ours = batches_of_epoch(source, CONFIG, 1)
    for tensors, arrays in zip(batches(source, CONFIG, 1), ours, strict=True):
        for part, named in arrays.items():
            for name, array in named.items():
                assert (tensors[part][name].numpy() == array).all()


def test_of_a_batch_each_candidate_is_as_it_was_at_its_own_row(source: Source) -> None:
    item = source.candidate["item_id"] - 2
    spans = np.array_split(np.arange(ROWS), SPANS)
    of_batch = replace(source, catalogue=[], negatives=Negatives("batch", 5, item, spans))
    for batch in batches_of_epoch(of_batch, CONFIG, 3):
        rows = batch["person"]["numbers"][:, 0].astype(int)
        candidate, target = batch["candidate"], batch["target"]
        assert candidate["row"][: len(rows)].tolist() == rows.tolist()
        assert target["item"].tolist() == item[candidate["row"]].tolist()
        assert len(candidate["row"]) == len(rows) + 5
