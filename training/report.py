"""The report of a bundle: one HTML page that needs no network, with its plots beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl

from training.metrics import CUTS

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen before it is imported

_BLUE, _GREY, _LINE = "#2457a6", "#9aa5b1", "#d7dce2"
# Of the baselines, in the order of the table, where all scorers share a plot.
_OTHERS = ("#c2c9d1", "#9aa5b1", "#6b7785", "#e0b15e", "#b5651d", "#5b8c5a", "#8f6bb3")
_MEASURES = {
    "coverage@10": "coverage, %",
    "novelty@10": "novelty, bits",
    "diversity@10": "diversity",
    "popularity_lift@10": "popularity lift, %",
}


def write_report(
    folder: Path, version: str, manifest: Mapping[str, Any], metrics: Mapping[str, Any]
) -> Path:
    """Write report.html and its plots into the folder; the page's path.

    Args:
        metrics: those of `training.measurement`, with `curve`, `training_seconds` and `device`.
    """
    _plot_scorers(folder / "ndcg.png", metrics["test"])
    _plot_recall(folder / "recall.png", metrics["test"])
    _plot_lists(folder / "lists.png", metrics["test"])
    _plot_groups(folder / "heat.png", metrics["by_heat"], "how much we knew of the person")
    _plot_groups(folder / "item_age.png", metrics["by_item_age"], "how old the item was")
    _plot_curve(folder / "curve.png", metrics["curve"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["figure"] = _figure
    page = folder / "report.html"
    page.write_text(
        environment.get_template("report.html").render(
            version=version, manifest=manifest, metrics=metrics, cuts=CUTS
        )
    )
    return page


def _figure(value: float | None, form: str = "%.4f", times: float = 1.0) -> str:
    """A figure as text; a dash where there is none."""
    return "–" if value is None else form % (times * value)


def _short(name: str) -> str:
    """The name of a scorer without its settings; a window of popularity stays."""
    return name if name.startswith("popularity") else name.split(",")[0]


def _colours(names: Sequence[str]) -> list[str]:
    others = cycle(_OTHERS)
    return [_BLUE if name == "two-tower" else next(others) for name in names]


def _margin(row: Mapping[str, Any], name: str) -> float:
    """Half the width of the 95 % interval of a mean; 0 where its error is not known."""
    return 1.96 * (row[f"{name}_standard_error"] or 0.0)


def _axes(width: float, height: float) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(width, height), dpi=144, layout="constrained")
    _tidy(axes)
    return figure, axes


def _tidy(axes: Any) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(length=0, labelsize=9)


def _plot_scorers(path: Path, test: Mapping[str, Mapping[str, float]]) -> None:
    names = list(test)[::-1]
    values = [test[name]["ndcg@10"] for name in names]
    errors = [_margin(test[name], "ndcg@10") for name in names]
    figure, axes = _axes(7.2, 0.6 * len(names) + 0.9)
    colours = [_BLUE if name == "two-tower" else _GREY for name in names]
    axes.barh(names, values, xerr=errors, color=colours, height=0.55, error_kw={"lw": 1})
    for place, (value, error) in enumerate(zip(values, errors, strict=True)):
        axes.text(value + error, place, f"  {value:.4f}", va="center", fontsize=9)
    axes.set_xlim(0, 1.18 * max(v + e for v, e in zip(values, errors, strict=True)))
    axes.set_xlabel("NDCG@10 on the test window, with 95 % interval", fontsize=9)
    figure.savefig(path)
    plt.close(figure)


def _plot_curve(path: Path, curve: list[Mapping[str, float]]) -> None:
    figure, axes = _axes(7.2, 2.6)
    axes.plot(
        [point["epoch"] for point in curve],
        [point["validation_ndcg@10"] for point in curve],
        color=_BLUE,
        marker="o",
        markersize=4,
    )
    axes.set_ylim(0, 1.1 * max(point["validation_ndcg@10"] for point in curve) or 1)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel("validation NDCG@10", fontsize=9)
    axes.grid(axis="y", color=_LINE)
    figure.savefig(path)
    plt.close(figure)


def _plot_recall(path: Path, test: Mapping[str, Mapping[str, Any]]) -> None:
    figure, axes = _axes(7.2, 3.4)
    for name, colour in zip(test, _colours([*test]), strict=True):
        axes.plot(
            CUTS,
            [test[name][f"recall@{cut}"] for cut in CUTS],
            color=colour,
            marker="o",
            markersize=4,
            lw=2.2 if colour == _BLUE else 1.4,
            label=_short(name),
        )
    axes.set_xscale("log")
    axes.set_xticks(CUTS, [str(cut) for cut in CUTS])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("k", fontsize=9)
    axes.set_ylabel("Recall@k", fontsize=9)
    axes.grid(axis="y", color=_LINE)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path)
    plt.close(figure)


def _plot_lists(path: Path, test: Mapping[str, Mapping[str, Any]]) -> None:
    """A panel of bars for each measure that is known of every scorer."""
    names = [*test][::-1]
    measures = [one for one in _MEASURES if all(test[name].get(one) is not None for name in names)]
    figure, panels = plt.subplots(
        1,
        len(measures),
        sharey=True,
        squeeze=False,
        figsize=(7.6, 0.42 * len(names) + 0.9),
        dpi=144,
        layout="constrained",
    )
    for axes, measure in zip(panels[0], measures, strict=True):
        _tidy(axes)
        percent = 100 if _MEASURES[measure].endswith("%") else 1
        axes.barh(
            [_short(name) for name in names],
            [percent * test[name][measure] for name in names],
            color=[_BLUE if name == "two-tower" else _GREY for name in names],
            height=0.55,
        )
        axes.axvline(0, color=_LINE, lw=1)
        axes.set_xlabel(_MEASURES[measure], fontsize=9)
    figure.savefig(path)
    plt.close(figure)


def _plot_groups(path: Path, groups: Sequence[Mapping[str, Any]], what: str) -> None:
    """NDCG@10 of every scorer in every group, as bars side by side."""
    figure, axes = _axes(7.2, 3.4)
    names = [*groups[0]["scorers"]]
    width = 0.8 / len(names)
    for place, (name, colour) in enumerate(zip(names, _colours(names), strict=True)):
        rows = [group["scorers"][name] for group in groups]
        axes.bar(
            [at + (place - (len(names) - 1) / 2) * width for at in range(len(groups))],
            [row["ndcg@10"] for row in rows],
            width,
            yerr=[_margin(row, "ndcg@10") for row in rows],
            error_kw={"lw": 0.8},
            color=colour,
            label=_short(name),
        )
    axes.set_xticks(
        range(len(groups)),
        [f"{one['group']}\n{one['rows']:,} rows, {one['people']:,} people" for one in groups],
    )
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(what, fontsize=9)
    axes.set_ylabel("NDCG@10, with 95 % interval", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path)
    plt.close(figure)
