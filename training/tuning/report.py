"""The report of a search: Markdown with a plot beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen before it is imported
from matplotlib.ticker import MaxNLocator

_BLUE, _GREY, _LINE = "#2457a6", "#9aa5b1", "#d7dce2"
_COLUMNS = 3


def write_report(folder: Path, results: Mapping[str, Any]) -> None:
    """Write report.md and its plot into a folder; `results` is what results.json holds."""
    shown = [trial for trial in results["trials"] if trial["validation_ndcg@10"] is not None]
    if shown:
        _plot(folder / "trials.png", shown, results["best"])
    (folder / "report.md").write_text(_text(results))


def _text(results: Mapping[str, Any]) -> str:
    trials = results["trials"]
    names = [*trials[0]["values"]] if trials else []
    rows = "\n".join(
        f"| {trial['trial']}{' **best**' if trial['trial'] == results['best'] else ''} | "
        + "".join(f"{_value(trial['values'].get(name))} | " for name in names)
        + f"{_figure(trial['validation_ndcg@10'])} | {len(trial['epochs'])} | "
        f"{trial['why'] or 'ended'} |"
        for trial in trials
    )
    best = results["best"]
    begun = trials[0]["validation_ndcg@10"] if trials else None
    found = (
        f"Trial {best} is the best, with {_figure(trials[best - 1]['validation_ndcg@10'])}; its "
        "config is `best.yaml`, which `python -m training fit --config` takes."
        if best
        else "No trial has ended yet that was not given up."
    )
    return f"""# Search of settings

{len(trials)} trials of `{results["config"]}`, lake snapshot {results["run"].get("lake_snapshot")}.
{found} Trial 1 has the values of the config itself, where the space holds them:
{_figure(begun)}.

A figure is the best validation NDCG@10 of one training with one seed. The best of many is partly
the luckiest: of two that lie as close as two seeds do, none is shown to be better. Train the best
anew and `compare` it on the test window, which no trial has seen.

| trial | {"".join(f"{name} | " for name in names)}validation NDCG@10 | epochs | |
| ---: | {"---: | " * len(names)}---: | ---: | --- |
{rows}

![Validation NDCG@10 of the trials](trials.png)
"""


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _plot(path: Path, trials: list[Mapping[str, Any]], best: int | None) -> None:
    """The trials one after the other, and by the value of each setting."""
    names = [*trials[0]["values"]]
    panels: list[str | None] = [None, *names]
    rows = math.ceil(len(panels) / _COLUMNS)
    figure, grid = plt.subplots(
        rows,
        _COLUMNS,
        figsize=(8.4, 2.5 * rows),
        dpi=144,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, name in zip(grid.flat, panels, strict=False):
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_LINE)
        axes.tick_params(length=0, labelsize=8)
        axes.grid(axis="y", color=_LINE)
        axes.set_xlabel(name or "trial", fontsize=9)
        values = [trial["trial"] if name is None else trial["values"][name] for trial in trials]
        if any(isinstance(value, bool | str) for value in values):
            values = [str(value) for value in values]
        elif name is not None and min(values) > 0 and max(values) / min(values) > 10:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=isinstance(values[0], int)))
        for trial, at in zip(trials, values, strict=True):
            is_best, ended = trial["trial"] == best, trial["state"] == "complete"
            axes.scatter(
                [at],
                [trial["validation_ndcg@10"]],
                s=46 if is_best else 22,
                facecolors=_BLUE if is_best else _GREY if ended else "none",
                edgecolors=_BLUE if is_best else _GREY,
                zorder=3,
            )
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    grid[0][0].set_ylabel("validation NDCG@10", fontsize=9)
    grid[0][0].set_title("hollow: given up; blue: the best", fontsize=8, loc="left")
    figure.savefig(path)
    plt.close(figure)
