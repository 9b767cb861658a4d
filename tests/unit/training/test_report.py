"""The page: every scorer, every group and every note of the protocol is on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import groups
from training.groups import Group
from training.ranking import Ranking
from training.report import write_report

NAMES = ("two-tower", "popularity, last 7 days", "EASE, last 3 items, penalty 100")
MANIFEST = {
    "feature_service": "retrieval_v1",
    "registry_hash": "abc",
    "lake_snapshot": 3,
    "tensorflow": "2",
}


def metrics(people: int, diversity: bool) -> dict[str, Any]:
    random = np.random.default_rng(1)
    user = np.arange(60) % people
    rankings = {
        name: Ranking(random.integers(0, 80, 60), np.zeros((60, 10), np.int32), user)
        for name in NAMES
    }
    lists = {"coverage@10": 0.2, "popularity_lift@10": None if people == 1 else -0.1}
    for measure in ("novelty@10", "popularity@10", *(["diversity@10"] if diversity else [])):
        lists |= {measure: 0.5, f"{measure}_standard_error": None if people == 1 else 0.1}
    some = [Group("cold", "0 to 4 events before", np.arange(60) < 20)]
    span = {"from": "2001-01-01T00:00", "to": "2001-02-01T00:00", "rows": 60, "people": people}
    return {
        "protocol": {
            **dict.fromkeys(("train", "validation", "test"), span),
            **dict.fromkeys(("split", "ranking", "baselines", "errors"), "so and so"),
            "candidates": 1234,
            "seen_items": "filtered",
            "left_out": ["EASE: it needs <too> much"],
        },
        "test": {name: ranking.metrics() | lists for name, ranking in rankings.items()},
        "lift": {NAMES[1]: 0.5, NAMES[2]: -0.25},
        "by_heat": groups.figures(some, rankings),
        "by_item_age": groups.figures(some, rankings),
        "curve": [
            {"epoch": 0, "validation_ndcg@10": 0.05},
            {"epoch": 1, "loss": 1.0, "validation_ndcg@10": 0.1},
        ],
        "training_seconds": 1.0,
        "device": "CPU",
        "heads": {},
        "heads_left_out": {},
    }


@pytest.mark.parametrize(("people", "diversity"), [(6, True), (6, False), (1, True)])
def test_the_page_shows_what_there_is(tmp_path: Path, people: int, diversity: bool) -> None:
    given = metrics(people, diversity)
    page = write_report(tmp_path, "v1", MANIFEST, given).read_text()
    for plot in re.findall(r'src="([^"]+)"', page):
        assert (tmp_path / plot).stat().st_size > 5_000
    for name, row in given["test"].items():
        cells = re.findall(rf"<tr[^>]*><td>{re.escape(name)}</td>(.*?)</tr>", page)
        # The first table, one of each of three metrics at four cuts, the lists, two of groups.
        assert len(cells) == 7
        assert f"<td>{row['ndcg@10']:.4f}</td>" in cells[0]
        assert f"<td>{row['recall@100']:.4f}</td>" in cells[1]
        assert ("<td>– " in cells[4]) is (not diversity)
        assert ("± –" in cells[4]) is (people == 1 or not diversity)
        assert cells[4].endswith("<td>–</td>") is (people == 1)
    assert "25.0 % below EASE, last 3 items, penalty 100" in page
    assert "Left out is EASE: it needs &lt;too&gt; much." in page
    assert "Cold: 0 to 4 events before, 20 rows of" in page


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        ((0.05, 0.1), "The model is that of epoch 1"),
        ((0.2, 0.1), "No epoch was better on the validation window than the start"),
    ],
)
def test_the_page_says_which_epoch_it_is(
    tmp_path: Path, epochs: tuple[float, ...], said: str
) -> None:
    given = metrics(6, True)
    given["curve"] = [
        {"epoch": n, "validation_ndcg@10": reached} for n, reached in enumerate(epochs)
    ]
    assert said in write_report(tmp_path, "v1", MANIFEST, given).read_text()
