"""How fast is training, and how soon is it good?

- A step with real input beside the same step with batches that lie ready in memory: the input
  pipeline is never the bottleneck if the former takes at most 1.15 times the latter.
- Positions per second, and seconds of steps until 95 % of the best validation NDCG@10, beside a
  plain Keras loop (`fit` over shuffled rows from tensors, each with its own history) that trains
  the same towers without point-in-time features.
- The same beside the seconds of `implicit`'s ALS until its best iteration, with the settings that
  the validation window chose on MovieLens.

Looks at the validation window are not counted, for any of them. A curve is looked at after each
half epoch, so seconds are as fine as that.

    make bench-training            -> results/training.json, .png (on a GPU training_gpu.*)
    make bench-training QUICK=1    -> ....quick.json: few steps
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from result import RESULTS, Figure, show, write_result
from study import Study
from threadpoolctl import threadpool_limits

from profilestore.settings import load_settings
from training.baselines.als import ALS, FACTORS
from training.batches import Batch, Source, batches, steps_of_epoch
from training.config import TrainConfig, load_config
from training.cut import Cut
from training.dataset import ITEM_VOCABULARY, TRAIN, VALIDATION, evenly, gather
from training.devices import step_of
from training.fit import begun
from training.loop import REACHED, WarmCosine, made, train
from training.losses import Softmax
from training.pretrain import people_and_items
from training.ranking import VALIDATION_ROWS, rank_all
from training.runtime import DEVICE, tf, tfrs
from training.two_tower import TwoTower

mpl.use("Agg")
import matplotlib.pyplot as plt

OWN, KERAS, ALS_NAME = "two-tower", "plain Keras loop, no features", "ALS (implicit)"
WANTED = 1.15
SHARE = 0.95
# What the validation window chose for ALS on MovieLens.
_NEWEST, _CONFIDENCE, _PENALTY, _ITERATIONS = 3, 1.0, 10.0, 15


@dataclass(frozen=True)
class Curve:
    """What validation said, and after how many seconds of training."""

    seconds: list[float]
    reached: list[float]

    def until(self, wanted: float) -> float | None:
        """Seconds until the first look that says as much."""
        for seconds, reached in zip(self.seconds, self.reached, strict=True):
            if reached >= wanted:
                return seconds
        return None

    @property
    def best(self) -> float:
        return max(self.reached)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps")
    parser.add_argument("--config", type=Path, help="a YAML in training/configs/")
    given = parser.parse_args()
    config = replace(load_config(given.config), heads=(), tracking="none")
    study = Study(load_settings())
    plain_config = replace(config, features=histories_of(study, config))
    name = "training" if DEVICE == "CPU" else "training_gpu"
    found, a_second = step_times(study, config, steps=30 if given.quick else 150)
    show(found)
    looks = 2 if given.quick else 2 * config.epochs
    curves = {OWN: two_tower_curve(study, config, looks, quick=given.quick)}
    curves[KERAS], theirs = keras_curve(study, plain_config, looks, quick=given.quick)
    curves[ALS_NAME] = als_curve(study.cut(config), 3 if given.quick else _ITERATIONS)
    found.append(
        Figure(
            f"{OWN} on {DEVICE}",
            "positions",
            a_second,
            "a second",
            KERAS,
            theirs,
            a_second / theirs,
        )
    )
    found += time_to_good(curves)
    show(found)
    path = write_result(name, found, quick=given.quick)
    plot(curves, RESULTS / f"{path.stem}.png")
    print(f"wrote {path} and its plot")


def histories_of(study: Study, config: TrainConfig) -> tuple[str, ...]:
    """The columns that list what a person turned to, and nothing else."""
    return tuple(
        column
        for own in study.columns(config).values()
        for column in own
        if column.endswith("__item_ids")
    )


def step_times(study: Study, config: TrainConfig, *, steps: int) -> tuple[list[Figure], float]:
    """Median seconds of a step, real input beside cached, in turns so that both meet the same
    machine; and positions a second with real input."""
    model, source = _model(study, config)
    made(model, config, source)
    step = step_of(model, source, config)
    cached = list(batches(source, config, 0).take(min(steps, 50)))
    for batch in cached[:10]:
        step(batch)
    taken: dict[str, list[float]] = {"real": [], "cached": []}
    for turn in range(3):
        started = time.perf_counter()
        for batch in batches(source, config, 1 + turn).take(steps):
            float(step(batch))
            now = time.perf_counter()
            taken["real"].append(now - started)
            started = now
        for n in range(steps):
            started = time.perf_counter()
            float(step(cached[n % len(cached)]))
            taken["cached"].append(time.perf_counter() - started)
    real, ready = (float(np.median(taken[one])) * 1000 for one in ("real", "cached"))
    positions = float(np.mean([len(batch["target"]["label"]) for batch in cached]))
    case = f"step on {DEVICE}"
    return [
        Figure(case, "real input", real, "ms", "cached input", ready, ready / real),
        Figure(
            case,
            "real beside cached",
            real / ready,
            "times",
            "wanted",
            WANTED,
            WANTED * ready / real,
        ),
    ], 1000 * positions / real


def two_tower_curve(study: Study, config: TrainConfig, looks: int, *, quick: bool) -> Curve:
    """The training as it is, looked at after each half epoch."""
    model, source = _model(study, config)
    half = 10 if quick else max(1, steps_of_epoch(source, config) // 2)
    often = replace(config, epochs=looks, epoch_steps=half, patience=looks)
    points = train(model, often, source, study.cut(config).validation(model))
    return Curve([one["seconds"] for one in points], [one[REACHED] for one in points])


class Plain(tfrs.Model):
    """The same towers, trained a row at a time: each row's own history, in-batch negatives with the
    correction for how often an item is drawn."""

    def __init__(self, towers: TwoTower) -> None:
        super().__init__()
        self.towers = towers
        self.softmax = Softmax()

    def compute_loss(self, inputs: Batch, training: bool = False) -> tf.Tensor:
        query = self.towers.query_tower(inputs["query"], training=training)
        candidate = self.towers.candidate_tower(inputs["candidate"], training=training)
        scores = tf.matmul(query, candidate, transpose_b=True)
        item = inputs["candidate"][ITEM_VOCABULARY]
        label = tf.range(tf.shape(scores)[0])
        again = (item[:, None] == item) & (label != label[:, None])
        scores = tf.where(again, -1e9, scores)
        drawn = tf.zeros(tf.shape(item), tf.bool)
        return tf.reduce_mean(
            self.softmax(scores, label, log_share=inputs["log_share"], drawn=drawn)
        )


def keras_curve(
    study: Study, config: TrainConfig, looks: int, *, quick: bool
) -> tuple[Curve, float]:
    """`Model.fit` over shuffled rows, looked at after each half epoch; and positions a second once
    the first step is traced."""
    towers, _ = _model(study, config)
    cut = study.cut(config)
    dataset, rows = cut.dataset, cut.dataset.rows(TRAIN)
    half = 10 if quick else max(1, len(rows) // config.positions // 2)
    share = np.bincount(dataset.item[rows], minlength=len(dataset.item_ids)) / len(rows)
    lists = {name: dataset.query[name] for name in towers.query_tower.lists}
    data = (
        tf.data.Dataset.from_tensor_slices(
            {
                "query": gather(lists, rows),
                "candidate": gather(
                    {name: dataset.candidate[name] for name in towers.candidate_tower.input}, rows
                ),
                "log_share": np.log(share[dataset.item[rows]]).astype(np.float32),
            }
        )
        .shuffle(len(rows), seed=config.seed)
        .repeat()
        .batch(config.positions, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )
    plain = Plain(towers)
    rate = WarmCosine(config.learning_rate, half, looks)
    plain.compile(optimizer=tf.keras.optimizers.Adam(rate))
    validate = cut.validation(towers)
    seconds, reached = [0.0], [validate()]
    clock = _Clock(lambda: reached.append(validate()), seconds)
    plain.fit(data, epochs=looks, steps_per_epoch=half, verbose=0, callbacks=[clock])
    steady = (seconds[-1] - seconds[1]) / ((looks - 1) * half)
    return Curve(seconds, reached), config.positions / steady


class _Clock(tf.keras.callbacks.Callback):
    """Seconds of epochs, without what is done between them."""

    def __init__(self, look: Callable[[], None], seconds: list[float]) -> None:
        super().__init__()
        self._look, self._seconds = look, seconds

    def on_train_begin(self, logs: object = None) -> None:
        # The first step is traced before the first epoch's first batch has ended: it counts.
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self._seconds.append(self._seconds[-1] + time.perf_counter() - self._started)
        self._look()
        self._started = time.perf_counter()


def als_curve(cut: Cut, iterations: int) -> Curve:
    """ALS with all cores, looked at after each iteration."""
    dataset, rows = cut.dataset, cut.dataset.rows(TRAIN)
    some = evenly(dataset.rows(VALIDATION), VALIDATION_ROWS)
    turned_to = people_and_items(dataset.user[rows], dataset.item[rows], len(dataset.item_ids))
    # The library asks for BLAS on one thread beside its own, and looks when it is made.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=FACTORS,
            regularization=_PENALTY,
            alpha=_CONFIDENCE,
            iterations=1,
            random_state=1,
        )
    seconds, reached = [0.0], [0.0]
    for _ in range(iterations):
        started = time.perf_counter()
        with threadpool_limits(1, "blas"):
            # Goes on from the factors that it has.
            model.fit(turned_to, show_progress=False)
        seconds.append(seconds[-1] + time.perf_counter() - started)
        ranking = rank_all(dataset, some, ALS(dataset, model, newest=_NEWEST), cut.seen)
        reached.append(float(ranking.metrics()["ndcg@10"] or 0.0))
    return Curve(seconds, reached)


def time_to_good(curves: dict[str, Curve]) -> list[Figure]:
    """Seconds to 95 % of each one's own best, ALS to its best; and how good the best is."""
    own, keras, als = (curves[name] for name in (OWN, KERAS, ALS_NAME))
    to_best = als.until(als.best)
    als_to_best = f"{ALS_NAME}, to its best"
    metric = f"steps until {SHARE:.0%} of the best validation NDCG@10"
    taken = own.until(SHARE * own.best)
    found = [
        _beside(metric, taken, "s", KERAS, keras.until(SHARE * keras.best), less=True),
        _beside(metric, taken, "s", als_to_best, to_best, less=True),
    ]
    # Each one's own best may be a low one: what the other reached is asked for too.
    for peer, wanted, theirs in (
        (KERAS, SHARE * keras.best, keras.until(SHARE * keras.best)),
        (als_to_best, als.best, to_best),
    ):
        metric = f"steps until validation NDCG@10 of {wanted:.4f}"
        found.append(_beside(metric, own.until(wanted), "s", peer, theirs, less=True))
    for peer, one in ((KERAS, keras), (ALS_NAME, als)):
        found.append(_beside("best validation NDCG@10", own.best, "NDCG", peer, one.best))
    return [one for one in found if one is not None]


def _beside(
    metric: str,
    value: float | None,
    unit: str,
    peer: str,
    theirs: float | None,
    *,
    less: bool = False,
) -> Figure | None:
    """A figure beside a peer's; None where one's own was not reached."""
    if value is None:
        return None
    ratio = None
    if theirs and value:
        ratio = theirs / value if less else value / theirs
    return Figure(f"{OWN} on {DEVICE}", metric, value, unit, peer, theirs, ratio)


def _model(study: Study, config: TrainConfig) -> tuple[TwoTower, Source]:
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(config.seed)
    model, source, _ = begun(load_settings(), config, study.cut(config))
    return model, source


def plot(curves: dict[str, Curve], path: Path) -> None:
    """Validation NDCG@10 by seconds of training."""
    figure, axes = plt.subplots(figsize=(7.2, 3.2), dpi=144, layout="constrained")
    for (name, one), colour in zip(curves.items(), ("#2457a6", "#b5651d", "#9aa5b1"), strict=True):
        axes.plot(one.seconds, one.reached, color=colour, marker="o", markersize=3, label=name)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#d7dce2")
    axes.set_xlabel(f"seconds of training on {DEVICE}, without looks", fontsize=9)
    axes.set_ylabel("validation NDCG@10", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
