"""Does `make demo` end in a profile for every kind of log, and is its model above the baselines?

Each source goes from nothing to a profile in a copy of the checkout of its own, stage by stage. The
figures are those that its training wrote: the two-tower beside every baseline, on its own test
window by time.

    make bench-sources                                      -> results/sources.json, .png
    make bench-sources SOURCES="movielens ../data/globo"    some sources, named or by folder

The figures of sources that are not named are kept. Real logs may be large: globo's 3.0 million
clicks take most of an hour.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from child import Failed, watch
from result import CHECKOUT, RESULTS, Figure, show, write_result

mpl.use("Agg")
import matplotlib.pyplot as plt

SOURCES = ("movielens", "tafeng", "simulated")
STAGES = ("logs", "build", "generate", "apply", "train", "materialize", "profile")
OWN = "two-tower"
METRICS = ("ndcg@10", "recall@10", "mrr")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="*", default=SOURCES, help="names, or folders of logs")
    given = parser.parse_args()
    path = RESULTS / "sources.json"
    for source in given.sources:
        name = Path(source).name if Path(source).is_dir() else source
        found = measured(name, str(Path(source).resolve()) if Path(source).is_dir() else source)
        show(found)
        rest = [one for one in kept(path) if one.case.partition(",")[0] != name]
        write_result("sources", [*rest, *found], quick=False)
    plot(kept(path), path.with_suffix(".png"))


def measured(name: str, source: str) -> list[Figure]:
    """From nothing to a profile, and what the model's test says."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "profilestore"
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(home)], check=True)
        peak = 0.0
        for stage in STAGES:
            print(f"== {name}: {stage}", flush=True)
            arguments = ["--source", source] if stage == "logs" else []
            try:
                done = watch("-m", "profilestore", stage, *arguments, PROFILESTORE_HOME=str(home))
            except Failed as failed:
                raise SystemExit(f"{name}: {stage} failed: {failed}") from None
            peak = max(peak, done.peak_mib)
            figures.append(Figure(f"{name}, stage {stage}", "wall time", done.seconds, "s"))
        figures.append(Figure(name, "peak memory of a process", peak / 1024, "GiB"))
        version = json.loads((home / "data/models/current.json").read_text())["version"]
        metrics = json.loads((home / "data/models" / version / "metrics.json").read_text())
    return [*figures, *of_model(name, metrics)]


def of_model(name: str, metrics: dict[str, Any]) -> list[Figure]:
    """The two-tower beside each baseline, whole and by group."""
    protocol = metrics["protocol"]
    window = (
        f"{name}, test of {protocol['test']['rows']:,} events of {protocol['test']['people']:,} "
        f"people, {protocol['candidates']:,} items"
    )
    figures = beside(window, metrics["test"], METRICS)
    for group in metrics["by_heat"] + metrics["by_item_age"]:
        case = f"{name}, {group['group']} ({group['meaning']}), {group['rows']:,} events"
        figures += beside(case, group["scorers"], ("ndcg@10",))
    return figures


def beside(case: str, scorers: dict[str, dict[str, float]], metrics: Sequence[str]) -> list[Figure]:
    own = scorers[OWN]
    return [
        Figure(
            case,
            metric,
            own[metric],
            "",
            peer,
            values[metric],
            own[metric] / values[metric] if values[metric] else None,
        )
        for metric in metrics
        for peer, values in scorers.items()
        if peer != OWN
    ]


def kept(path: Path) -> list[Figure]:
    if not path.exists():
        return []
    return [Figure(**row) for row in json.loads(path.read_text())["rows"]]


def plot(figures: Sequence[Figure], path: Path) -> None:
    """NDCG@10 on each test window: the two-tower and every baseline."""
    rows = [one for one in figures if one.metric == "ndcg@10" and ", test of " in one.case]
    names = list(dict.fromkeys(one.case.partition(",")[0] for one in rows))
    figure, axes = plt.subplots(
        figsize=(7.6, 0.9 + 0.5 * len(names)), dpi=144, layout="constrained"
    )
    for place, name in enumerate(names[::-1]):
        own = [one for one in rows if one.case.startswith(f"{name},")]
        peers = [one.peer_value or 0.0 for one in own]
        axes.plot(peers, np.full(len(peers), place), "o", color="#9aa5b1", markersize=5)
        axes.plot([own[0].value], [place], "D", color="#2457a6", markersize=6)
    axes.set_yticks(np.arange(len(names)), names[::-1], fontsize=8)
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.set_xlabel("NDCG@10, test window by time: two-tower (blue), baselines (grey)", fontsize=8)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
