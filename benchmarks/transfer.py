"""What does a training gain by what was learned before, or elsewhere?

- `new days`: of MovieLens, a model of the first 60 % of the events; then one of 80 %, begun anew or
  from the former.
- `another source`: of a simulated shop, a model of what is looked at in its web log; then one of
  what is bought, by its orders, begun anew or from the former.
- `cross-domain`: the shop's web log and a social network in which the same items are spoken of,
  by people some of whom are in both: one model of both beside one of each, on the same questions.

Each is trained with several seeds and ranked on the test window of what it is for, which none of
them has seen. A difference stands beside its 95 % interval by the paired bootstrap over people, of
the gains' mean over the seeds.

    make bench-transfer            -> results/transfer.json, results/transfer.png
    make bench-transfer QUICK=1    -> results/transfer.quick.json: fewer people, one seed, one epoch
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from result import CHECKOUT, Figure, show, write_result
from study import Study, Trained

from profilestore.settings import Settings, child_environment
from training.bootstrap import interval_of_mean
from training.config import TrainConfig, load_config
from training.dataset import TEST
from training.metrics import ndcg
from training.ranking import CUT
from training.warm_start import Former

mpl.use("Agg")
import matplotlib.pyplot as plt

SEEDS = (1, 2, 3)
PEOPLE, QUICK_PEOPLE = 600, 150
DAYS = 60
PART_OF_DAYS = 0.2


@dataclass(frozen=True)
class Answers:
    """Gains on a test window: NDCG@10 of each question.

    Attributes:
        key: of each question, its instant and item: the same whatever else was in the log.
        person: int64 [questions].
        gain: float64 [questions], mean over seeds.
    """

    key: list[tuple[int, str]]
    person: npt.NDArray[np.int64]
    gain: npt.NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer people, one seed, one epoch")
    quick = parser.parse_args().quick
    seeds = SEEDS[:1] if quick else SEEDS
    config = replace(load_config(), heads=(), epochs=1 if quick else 8)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        homes = Homes(Path(folder), QUICK_PEOPLE if quick else PEOPLE)
        for part in (new_days, another_source, cross_domain):
            found = part(homes, config, seeds)
            show(found)
            figures += found
            path = write_result("transfer", figures, quick=quick)
    plot(figures, path.with_suffix(".png"))


class Homes:
    """Copies of the checkout, each with one log built and applied."""

    def __init__(self, folder: Path, people: int) -> None:
        self._folder, self._people = folder, people
        self._studies: dict[str, Study] = {}

    def study(self, source: str) -> Study:
        """Of `movielens`, `web`, `social`, `orders` or `simulated`, which is all of the latter."""
        if source not in self._studies:
            print(f"== building {source}", flush=True)
            home = self._folder / source
            subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(home)], check=True)
            if source != "movielens":
                self._simulate(home)
            for stage in (["logs", "--source", source], ["build"], ["generate"], ["apply"]):
                self._run(home, *stage)
            self._studies[source] = Study(Settings(home=home))
        return self._studies[source]

    def _simulate(self, home: Path) -> None:
        people, days = str(self._people), str(DAYS)
        self._run(home, "simulate", "--users", people, "--days", days, "--seed", "1")

    def _run(self, home: Path, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "profilestore", *arguments],
            cwd=home,
            env=child_environment(PROFILESTORE_HOME=str(home)),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def new_days(homes: Homes, config: TrainConfig, seeds: Sequence[int]) -> list[Figure]:
    study = homes.study("movielens")
    earlier = replace(config, validation_share=config.validation_share + PART_OF_DAYS)
    cold, warm = [], []
    for seed in seeds:
        former = study.train(replace(earlier, seed=seed))
        cold.append(study.train(replace(config, seed=seed)))
        warm.append(
            study.train(replace(config, seed=seed), former_of(study, earlier, former, "earlier"))
        )
    return beside("new days, MovieLens", study, config, ("warm start", warm), ("anew", cold))


def another_source(homes: Homes, config: TrainConfig, seeds: Sequence[int]) -> list[Figure]:
    web, orders = homes.study("web"), homes.study("orders")
    cold, warm = [], []
    for seed in seeds:
        former = web.train(replace(config, seed=seed))
        cold.append(orders.train(replace(config, seed=seed)))
        warm.append(orders.train(replace(config, seed=seed), former_of(web, config, former, "web")))
    return beside("orders after web", orders, config, ("warm start", warm), ("anew", cold))


def cross_domain(homes: Homes, config: TrainConfig, seeds: Sequence[int]) -> list[Figure]:
    # What somebody turned to in the other log is no reason to leave it out of the ranking here.
    config = replace(config, seen_items="kept")
    both = homes.study("simulated")
    together = answers(both, config, [both.train(replace(config, seed=seed)) for seed in seeds])
    figures = []
    for name in ("web", "social"):
        study = homes.study(name)
        apart = answers(study, config, [study.train(replace(config, seed=seed)) for seed in seeds])
        case = f"cross-domain, questions of {name}"
        figures += compared(case, ("together", together), ("apart", apart))
    return figures


def former_of(study: Study, config: TrainConfig, trained: Trained, name: str) -> Former:
    return Former.of_model(name, trained.model, study.cut(config).dataset)


def beside(
    case: str,
    study: Study,
    config: TrainConfig,
    ours: tuple[str, Sequence[Trained]],
    peer: tuple[str, Sequence[Trained]],
) -> list[Figure]:
    """How good at the end, how good before the first step, and how long it took."""
    figures = compared(
        case,
        (ours[0], answers(study, config, ours[1])),
        (peer[0], answers(study, config, peer[1])),
    )
    for metric, unit, of in (
        ("validation NDCG@10 before the first step", "NDCG", lambda one: one.begun),
        ("validation NDCG@10 after one epoch", "NDCG", lambda one: one.curve[0]),
        ("epochs to the best", "epochs", lambda one: 1 + int(np.argmax(one.curve))),
        ("training", "s", lambda one: one.seconds),
    ):
        value, other = (float(np.mean([of(one) for one in runs])) for _, runs in (ours, peer))
        better = other / value if unit in ("s", "epochs") else value / max(other, 1e-9)
        figures.append(Figure(case, metric, value, unit, peer[0], other, better))
    return figures


def answers(study: Study, config: TrainConfig, runs: Sequence[Trained]) -> Answers:
    dataset = study.cut(config).dataset
    rows = dataset.rows(TEST)
    return Answers(
        [
            (int(at), dataset.item_ids[item])
            for at, item in zip(dataset.asked_at_us[rows], dataset.item[rows], strict=True)
        ],
        dataset.user[rows],
        np.mean([ndcg(one.test.ranks, CUT) for one in runs], axis=0),
    )


def compared(case: str, ours: tuple[str, Answers], peer: tuple[str, Answers]) -> list[Figure]:
    """NDCG@10 on the questions that both were asked."""
    place: Mapping[tuple[int, str], int] = {key: n for n, key in enumerate(ours[1].key)}
    both = [(place[key], n) for n, key in enumerate(peer[1].key) if key in place]
    if not both:
        raise SystemExit(f"{case}: the two test windows have no question in common")
    mine, theirs = np.array(both).T
    own, other = ours[1].gain[mine], peer[1].gain[theirs]
    _, person = np.unique(peer[1].person[theirs], return_inverse=True)
    low, high = interval_of_mean(own - other, person.astype(np.int32))
    value, beside = float(own.mean()), float(other.mean())
    return [
        Figure(case, f"NDCG@10, {ours[0]}", value, "NDCG", peer[0], beside, value / beside),
        Figure(case, "difference of NDCG@10, low", low, "NDCG"),
        Figure(case, "difference of NDCG@10, high", high, "NDCG"),
        Figure(case, "questions", len(both), "questions"),
    ]


def plot(figures: Sequence[Figure], path: Path) -> None:
    """NDCG@10 of each case, ours beside the peer."""
    rows = [one for one in figures if one.metric.startswith("NDCG@10, ")][::-1]
    places = np.arange(len(rows))
    figure, axes = plt.subplots(figsize=(7.2, 3.0), dpi=144, layout="constrained")
    axes.barh(places + 0.2, [one.value for one in rows], 0.38, color="#2457a6")
    axes.barh(places - 0.2, [one.peer_value or 0.0 for one in rows], 0.38, color="#9aa5b1")
    labels = [
        f"{one.case}\n{one.metric.removeprefix('NDCG@10, ')} (blue), {one.peer}" for one in rows
    ]
    axes.set_yticks(places, labels, fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.set_xlabel("NDCG@10 on the test window, mean over seeds", fontsize=8)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
