"""The report of a selection: Markdown with a plot beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend is chosen before it is imported

_BLUE, _GREY, _LINE = "#2457a6", "#9aa5b1", "#d7dce2"


def write_report(folder: Path, results: Mapping[str, Any]) -> None:
    """Write report.md and its plot into a folder; `results` is what results.json holds."""
    _plot(folder / "importance.png", results["features"])
    (folder / "report.md").write_text(_text(results))


def _text(results: Mapping[str, Any]) -> str:
    features = "\n".join(
        f"| {'`, `'.join(row['columns']).join('``')} | {row['drop']:.4f} ± "
        f"{row['standard_error']:.4f} | {_share(row['information'])} | "
        f"{'yes' if row['kept'] else 'no'} |"
        for row in results["features"]
    )
    others = "\n".join(
        f"| `{column}` | {_share(one)} |"
        for column, one in sorted(results["others"].items(), key=lambda item: -item[1]["nats"])
        if one["nats"] > one["chance"]
    )
    together = results["left_out_together"]
    return f"""# Feature selection

What the two-tower of bundle {results["bundle"]} would miss: NDCG@10 on {results["rows"]:,} rows of
{results["people"]:,} people in the validation window, {results["ndcg@10"]:.4f} as it is, less what
it is when a feature's values are permuted; means of {results["repeats"]} permutations, with one
standard error over people. Beside it what the feature says by itself: of a person, whether they
come back within {results["return_days"]} days; of an item, whether it or another was turned to; as
a share of all there is to know, in brackets where chance would say as much.

Features that say the same are not missed one at a time. So those that are not kept were permuted
all together, and lose {together["drop"]:.4f} ± {together["standard_error"]:.4f}: with two standard
errors more, no more than {results["tolerance"]:.0%} of NDCG@10. With more rows more can go. A model
trained without them may do otherwise than one that has them permuted: train it before you adopt the
list in `features.yaml`.

| feature | NDCG@10 lost | says of the label | kept |
| --- | ---: | ---: | --- |
{features}

![NDCG@10 lost by permutation](importance.png)

## Not read by the model

Features of `{results["also"]}` that say more than chance.

| feature | says of the label |
| --- | ---: |
{others}
"""


def _share(information: Mapping[str, Any] | None) -> str:
    if information is None:
        return "–"
    share = f"{information['share']:.1%}"
    return share if information["nats"] > information["chance"] else f"({share})"


def _plot(path: Path, features: list[Mapping[str, Any]]) -> None:
    rows = features[::-1]
    figure, axes = plt.subplots(
        figsize=(7.2, 0.26 * len(rows) + 0.9), dpi=144, layout="constrained"
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(length=0, labelsize=8)
    axes.barh(
        [row["columns"][0] for row in rows],
        [row["drop"] for row in rows],
        xerr=[2 * row["standard_error"] for row in rows],
        color=[_BLUE if row["kept"] else _GREY for row in rows],
        height=0.6,
        error_kw={"lw": 1},
    )
    axes.axvline(0, color=_LINE, linewidth=1)
    axes.set_xlabel("NDCG@10 lost, with two standard errors (blue: kept)", fontsize=9)
    figure.savefig(path)
    plt.close(figure)
