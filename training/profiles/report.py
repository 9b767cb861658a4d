"""The report of a run: Markdown with its plots beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen before it is imported

_BLUE, _GREY, _LINE = "#2457a6", "#9aa5b1", "#d7dce2"


def write_report(
    folder: Path,
    results: Mapping[str, Any],
    vectors: npt.NDArray[np.float32],
    assigned: npt.NDArray[np.int64],
) -> None:
    """Write report.md and its plots into a folder.

    Args:
        results: what results.json holds.
        vectors: float32 [people, dimension], of those who were clustered.
        assigned: int64 [people], their segments.
    """
    _plot_curve(folder / "curve.png", results)
    _plot_silhouette(folder / "silhouette.png", results["segments"])
    _plot_map(folder / "map.png", vectors, assigned)
    (folder / "report.md").write_text(_text(results))


def _text(results: Mapping[str, Any]) -> str:
    compared = "\n".join(
        f"| {name} | {one['validation_error']:.4f} | {one['test_error']:.4f} | "
        f"{one['planted_auc']:.4f} | {one['beyond_99']:.1%} |"
        for name, one in results["representations"].items()
    )
    segments = "\n".join(
        f"| {number} | {one['name']} | {one['people']:,} | {one['share']:.1%} |"
        for number, one in enumerate(results["segments"]["found"])
    )
    reasons: dict[str, list[str]] = {}
    for name, why in results["left_out"].items():
        reasons.setdefault(why, []).append(f"`{name}`")
    left_out = "\n".join(f"- {why}: {', '.join(names)}" for why, names in reasons.items())
    rows = results["rows"]
    return f"""# Unsupervised profiles

From feature service `{results["feature_service"]}`, lake snapshot {results["lake_snapshot"]}:
{len(results["columns"])} columns; {rows["train"]:,} rows in the training window,
{rows["validation"]:,} in the validation window, {rows["test"]:,} in the test window. A row is a
person at an instant, with what was known then: some when they turn to something, some at any time
since they are known.

## Representations

Mean squared error of the reconstruction, over columns of variance 1: lower is better, and the mean
of each column has about 1 in the training window. The AUC is of planted rows beside true ones, half
of the columns of each taken from another row: 0.5 is chance. The last column should be 1 %: rows of
the test window that are as odd as the top 1 % of the training window.

| | validation error | test error | AUC of planted rows, test | beyond the 99th percentile, test |
| --- | ---: | ---: | ---: | ---: |
{compared}

![Validation error by epoch](curve.png)

## Segments

{results["segments"]["people"]:,} people as they were at the end of the training window, by the
vectors of the autoencoder. Named by what sets them apart from all of them.

| | segment | people | share |
| --- | --- | ---: | ---: |
{segments}

![Silhouette by number of segments](silhouette.png)

![People on the first two principal axes of their vectors, by segment](map.png)

## Left out

{left_out or "Nothing."}
"""


def _axes(width: float, height: float) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(width, height), dpi=144, layout="constrained")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(length=0, labelsize=9)
    return figure, axes


def _plot_curve(path: Path, results: Mapping[str, Any]) -> None:
    curve = results["curve"]
    figure, axes = _axes(7.2, 2.8)
    axes.plot(
        [point["epoch"] for point in curve],
        [point["validation_error"] for point in curve],
        color=_BLUE,
        label="autoencoder",
    )
    plain = results["representations"]["PCA"]["validation_error"]
    axes.axhline(plain, color=_GREY, linestyle="--", label="PCA")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel("validation error", fontsize=9)
    axes.grid(axis="y", color=_LINE)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)
    plt.close(figure)


def _plot_silhouette(path: Path, segments: Mapping[str, Any]) -> None:
    curve, chosen = segments["curve"], len(segments["found"])
    figure, axes = _axes(7.2, 2.6)
    axes.bar(
        [str(point["segments"]) for point in curve],
        [point["silhouette"] for point in curve],
        color=[_BLUE if point["segments"] == chosen else _GREY for point in curve],
        width=0.55,
    )
    axes.set_xlabel("segments (blue: chosen)", fontsize=9)
    axes.set_ylabel("mean silhouette", fontsize=9)
    figure.savefig(path)
    plt.close(figure)


def _plot_map(
    path: Path, vectors: npt.NDArray[np.float32], assigned: npt.NDArray[np.int64]
) -> None:
    centred = vectors - vectors.mean(axis=0)
    _, _, axes_of = np.linalg.svd(centred.T @ centred)
    places = centred @ axes_of[:2].T
    figure, axes = _axes(7.2, 5.0)
    for segment in range(int(assigned.max()) + 1):
        own = places[assigned == segment]
        axes.scatter(own[:, 0], own[:, -1], s=9, alpha=0.7, linewidths=0, label=str(segment))
    axes.set_xlabel("first principal axis of the vectors", fontsize=9)
    axes.set_ylabel("second", fontsize=9)
    axes.legend(title="segment", frameon=False, fontsize=9, title_fontsize=9)
    figure.savefig(path)
    plt.close(figure)
