"""Every figure of the README stands in benchmarks/results (law 7)."""

from __future__ import annotations

import json
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_every_figure_of_the_readme_was_measured() -> None:
    section = (CHECKOUT / "README.md").read_text().partition("## Figures")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")][2:]
    stated = re.findall(
        r"\d+\.?\d*", " ".join(line.partition("|")[2].partition("|")[2] for line in table)
    )
    assert len(stated) >= 8
    measured = set()
    for result in (CHECKOUT / "benchmarks" / "results").glob("*.json"):
        for row in json.loads(result.read_text())["rows"]:
            for value in (row["value"], row["peer_value"], row["ratio"]):
                if value is not None:
                    measured |= {f"{value:.{digits}f}" for digits in (0, 1, 2, 4)}
    assert not set(stated) - measured


def test_a_result_says_machine_and_commit() -> None:
    results = list((CHECKOUT / "benchmarks" / "results").glob("*.json"))
    assert results
    for result in results:
        said = json.loads(result.read_text())
        assert said["machine"]["cores"] > 0
        assert re.fullmatch(r"[0-9a-f]{12}\+?", said["commit"])
        for row in said["rows"]:
            assert {"case", "metric", "value", "unit", "peer", "peer_value", "ratio"} == set(row)
