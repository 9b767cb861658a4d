"""What does each part of the two-tower add, on the log that is built here?

The config of `make train` is trained as it is, and again with one thing changed at a time: the
encoder of histories, the fusion, the loss and what an item is compared with, and the groups of
features. Each is ranked on the same test window; a difference stands beside its 95 % interval by
the paired bootstrap over people.

    make bench-ablation                  -> results/ablation_<source>.json, .png
    make bench-ablation SOURCE=tafeng    the same, of another log
    make bench-ablation QUICK=1          -> ..._<source>.quick.json: two variants, one epoch

Takes a training each, a minute or two on MovieLens. `--only features` runs one kind of change, and
keeps the former figures of the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from result import RESULTS, Figure, show, write_result
from study import Study, Trained

from profilestore.settings import load_settings
from training.bootstrap import interval_of_mean
from training.config import TrainConfig, load_config
from training.metrics import ndcg
from training.ranking import CUT

mpl.use("Agg")
import matplotlib.pyplot as plt

WHOLE = "as configured"
# Wanted of side features, on people with fewer than 5 events: NDCG@10 beside that of ids alone.
IDS = "features: ids alone"
COLD_WANTED = 1.3


@dataclass(frozen=True)
class Variant:
    """One change of the config; `name` is `<kind>: <what>`."""

    name: str
    config: TrainConfig

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two variants, one epoch")
    parser.add_argument("--config", type=Path, help="a YAML in training/configs/")
    parser.add_argument("--only", nargs="*", help="kinds: encoder, fusion, loss, features, other")
    given = parser.parse_args()
    config = load_config(given.config)
    study = Study(load_settings())
    if given.quick:
        config = replace(config, epochs=1)
    variants = list(variants_of(config, study.columns(config)))
    if given.only:
        variants = [one for one in variants if one.kind in (WHOLE, *given.only)]
    if given.quick:
        variants = [one for one in variants if one.name in (WHOLE, IDS)]
    name = f"ablation_{study.source}"
    path = RESULTS / (f"{name}.quick.json" if given.quick else f"{name}.json")
    measured: list[Figure] = kept(path, {one.name for one in variants})
    whole: Trained | None = None
    for variant in variants:
        print(f"== {variant.name}", flush=True)
        trained = study.train(variant.config)
        whole = whole or trained
        found = figures(study, config, variant.name, trained, whole)
        show(found)
        measured += found
        write_result(name, measured, quick=given.quick)
    cold = cold_gain(measured)
    show(cold)
    write_result(name, [*measured, *cold], quick=given.quick)
    plot(measured, path.with_suffix(".png"))


def variants_of(config: TrainConfig, views: dict[str, list[str]]) -> Iterator[Variant]:
    """The config as it is, and each change of it.

    Args:
        views: columns of its feature service, by view.
    """
    yield Variant(WHOLE, config)
    for encoder in ("mean", "cnn", "gru", "lstm", "attention"):
        if encoder != config.encoder:
            yield Variant(f"encoder: {encoder}", replace(config, encoder=encoder))
    for fusion in ("mean", "weighted", "neural", "cross"):
        if fusion != config.fusion:
            yield Variant(f"fusion: {fusion}", replace(config, fusion=fusion))
    losses = {
        "softmax, 512 more of the batch": {"negatives": "batch", "draws": 512},
        "softmax, 512 drawn evenly": {"negatives": "sampled", "draws": 512},
        "softmax, all items": {"negatives": "all"},
        "gBCE, 512 drawn evenly": {"loss": "gbce", "negatives": "sampled", "draws": 512},
        "softmax, cosine at 0.1": {"cosine": True, "temperature": 0.1},
    }
    for name, changed in losses.items():
        yield Variant(f"loss: {name}", replace(config, **changed))
    others = {
        "items begin at random": {"pretrain": False},
        "no heads": {"heads": ()},
        "no hidden ids": {"id_dropout": 0.0},
    }
    for name, changed in others.items():
        yield Variant(f"other: {name}", replace(config, **changed))
    columns = [column for own in views.values() for column in own]
    histories = [column for column in columns if column.endswith("__item_ids")]
    yield Variant(IDS, replace(config, features=tuple(histories)))
    for view, own in views.items():
        rest = tuple(column for column in columns if column not in own or column in histories)
        yield Variant(f"features: without {view}", replace(config, features=rest))


def figures(
    study: Study, config: TrainConfig, name: str, trained: Trained, whole: Trained
) -> list[Figure]:
    """Of a variant: NDCG@10 by group beside the config as it is, and how sure the difference is."""
    own, peer = (ndcg(one.test.ranks, CUT) for one in (trained, whole))
    found = []
    for group, chosen in study.groups(config).items():
        if not chosen.any():
            continue
        value, beside = float(own[chosen].mean()), float(peer[chosen].mean())
        ratio = value / beside if beside else None
        found.append(Figure(name, f"NDCG@10, {group}", value, "NDCG", WHOLE, beside, ratio))
    _, person = np.unique(trained.test.user, return_inverse=True)
    low, high = interval_of_mean(own - peer, person.astype(np.int32))
    return [
        *found,
        Figure(name, "difference of NDCG@10, low", low, "NDCG"),
        Figure(name, "difference of NDCG@10, high", high, "NDCG"),
        Figure(name, "epochs", len(trained.curve), "epochs"),
        Figure(name, "training", trained.seconds, "s"),
    ]


def cold_gain(measured: Sequence[Figure]) -> list[Figure]:
    """What side features are worth to people with fewer than 5 events."""
    of = {(one.case, one.metric): one.value for one in measured}
    metric = "NDCG@10, cold people"
    if (IDS, metric) not in of:
        return []
    value, ids = of[WHOLE, metric], of[IDS, metric]
    ratio = value / ids if ids else None
    return [
        Figure("side features", metric, value, "NDCG", IDS, ids, ratio),
        Figure("side features", "ratio wanted", COLD_WANTED, "times"),
    ]


def kept(path: Path, anew: set[str]) -> list[Figure]:
    """The former figures of variants that are not measured anew."""
    if not path.exists():
        return []
    former = [Figure(**row) for row in json.loads(path.read_text())["rows"]]
    return [one for one in former if one.case not in {*anew, "side features"}]


def plot(measured: Sequence[Figure], path: Path) -> None:
    """Differences from the config as it is, with their intervals, a line a variant."""
    of = {(one.case, one.metric): one.value for one in measured}
    names = list(dict.fromkeys(one.case for one in measured if one.case != WHOLE))[::-1]
    base = of[WHOLE, "NDCG@10, all"]
    ends: list[npt.NDArray[np.float64]] = [
        np.array([of[name, f"difference of NDCG@10, {end}"] for name in names])
        for end in ("low", "high")
    ]
    middle = np.array([of[name, "NDCG@10, all"] for name in names]) - base
    figure, axes = plt.subplots(
        figsize=(7.6, 0.8 + 0.25 * len(names)), dpi=144, layout="constrained"
    )
    axes.errorbar(
        middle,
        np.arange(len(names)),
        xerr=[middle - ends[0], ends[1] - middle],
        fmt="o",
        color="#2457a6",
        ecolor="#9aa5b1",
        markersize=4,
    )
    axes.axvline(0, color="#39424e", linewidth=0.8)
    axes.set_yticks(np.arange(len(names)), names, fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.set_xlabel(f"NDCG@10 beside {base:.4f} as configured, 95 % interval", fontsize=8)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
