"""The report of a bundle: one HTML page that needs no network, with its plots beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen before it is imported

_BLUE, _GREY, _LINE = "#2457a6", "#9aa5b1", "#d7dce2"


def write_report(
    folder: Path, version: str, manifest: Mapping[str, Any], metrics: Mapping[str, Any]
) -> Path:
    """Write report.html and its plots into the bundle; the page's path."""
    _plot_scorers(folder / "ndcg.png", metrics["test"])
    _plot_curve(folder / "curve.png", metrics["curve"])
    _plot_history(folder / "history.png", metrics["by_history"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = folder / "report.html"
    page.write_text(
        environment.get_template("report.html").render(
            version=version, manifest=manifest, metrics=metrics
        )
    )
    return page


def _axes(width: float, height: float) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(width, height), dpi=144, layout="constrained")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(length=0, labelsize=9)
    return figure, axes


def _plot_scorers(path: Path, test: Mapping[str, Mapping[str, float]]) -> None:
    names = list(test)[::-1]
    values = [test[name]["ndcg@10"] for name in names]
    errors = [1.96 * test[name]["ndcg@10_standard_error"] for name in names]
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
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel("validation NDCG@10", fontsize=9)
    axes.grid(axis="y", color=_LINE)
    figure.savefig(path)
    plt.close(figure)


def _plot_history(path: Path, groups: list[Mapping[str, Any]]) -> None:
    figure, axes = _axes(7.2, 2.6)
    names = [f"{group['history']}\n{group['rows']:,} rows" for group in groups]
    axes.bar(names, [group["ndcg@10"] for group in groups], color=_BLUE, width=0.55)
    axes.set_xlabel("items in the person's history when asked", fontsize=9)
    axes.set_ylabel("NDCG@10", fontsize=9)
    figure.savefig(path)
    plt.close(figure)
