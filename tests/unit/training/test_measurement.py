"""The whole measurement on a small log: what stands where, and that JSON can hold it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from profilestore.encoding import Encoding, Vocabulary
from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from training import measurement
from training.baselines import tuned
from training.measurement import MODEL, Measurement, measure
from training.ranking import Seen

ROWS, ITEMS, KNOWN = 300, 14, 12
SPLIT = np.repeat([0, 1, 2], [200, 50, 50])


@pytest.fixture
def dataset() -> SimpleNamespace:
    """Items 12 and 13 are of the test window alone."""
    random = np.random.default_rng(4)
    item = random.integers(0, KNOWN, ROWS)
    item[-6:] = [12, 13, 12, 13, 12, 13]
    return SimpleNamespace(
        user=random.integers(0, 30, ROWS),
        item=item,
        asked_at_us=np.sort(random.integers(0, 10**13, ROWS)),
        item_ids=[str(n) for n in range(ITEMS)],
        query={"h": random.integers(0, KNOWN + 2, (ROWS, 4)).astype(np.int32)},
        history_column="h",
        vocabularies={"item_id": Vocabulary("item_id", [str(n) for n in range(KNOWN)])},
        candidate_encoding=Encoding("item", (), (), {}, {"kinds": "kind"}, {}, {}),
        rows=lambda split: np.flatnonzero(split == SPLIT),
    )


class Oracle:
    """Knows each row's own item."""

    name = MODEL

    def __init__(self, dataset: SimpleNamespace, says: float = 1.0) -> None:
        self._item, self._says = dataset.item, says

    def scores(self, rows: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(rows), ITEMS))
        scores[np.arange(len(rows)), self._item[rows]] = self._says
        return scores


def measured(
    dataset: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, says: float = 1.0, **options: Any
) -> Measurement:
    monkeypatch.setattr(measurement, "read_clock", lambda _: SimpleNamespace(to_log=lambda at: at))
    timeline = SimpleNamespace(
        item=np.arange(ITEMS), inputs={"kinds": np.arange(ITEMS, dtype=np.int32)[:, None] % 3 + 1}
    )
    return measure(Settings(Path("/")), dataset, timeline, Oracle(dataset, says), **options)  # type: ignore[arg-type]


def test_every_scorer_has_every_figure(
    dataset: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(dataset, monkeypatch, seen=None)
    metrics = json.loads(json.dumps(found.metrics, allow_nan=False))
    assert [*metrics["test"]] == [*found.rankings]
    assert next(iter(metrics["test"])) == MODEL
    assert all(row.keys() == metrics["test"][MODEL].keys() for row in metrics["test"].values())
    assert metrics["test"][MODEL]["recall@1"] == 1.0
    assert metrics["lift"].keys() == metrics["test"].keys() - {MODEL}
    for name, lift in metrics["lift"].items():
        assert lift == pytest.approx(1 / metrics["test"][name]["ndcg@10"] - 1)
    for groups in (metrics["by_heat"], metrics["by_item_age"]):
        assert sum(group["rows"] for group in groups) == 50
    unseen = metrics["by_item_age"][0]
    assert (unseen["group"], unseen["rows"]) == ("unseen", 6)
    assert metrics["protocol"]["seen_items"] == "kept"
    assert metrics["protocol"]["left_out"] == []


def test_what_was_left_out_and_filtered_is_said(
    dataset: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned, "MOST_ITEMS", 3)
    protocol = measured(dataset, monkeypatch, seen=Seen(dataset)).metrics["protocol"]
    assert protocol["seen_items"] == "filtered"
    assert "that the person had not turned to yet" in protocol["ranking"]
    assert protocol["left_out"][0].startswith("EASE: ")


def test_a_model_that_says_no_numbers_is_found_out_before_baselines_are_tuned(
    dataset: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "tuned_baselines", lambda *_: pytest.fail("tuned"))
    with pytest.raises(ProfilestoreError, match="two-tower scores some item"):
        measured(dataset, monkeypatch, says=float("nan"), seen=None)
