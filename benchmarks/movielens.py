"""How well does the two-tower find the next item, by the protocol of the papers?

MovieLens 1M in the exact sequences of SASRec: the last item of each of 6,040 people is the test,
the one before it the validation; every item is ranked but those that the person had before it, ties
at random. Published figures on it are the peers. The file has an order and no times, so nothing of
point in time is at work here: it is the towers alone.

    make bench-movielens            -> results/movielens.json, results/movielens.png
    make bench-movielens QUICK=1    -> results/movielens.quick.json: one seed, two epochs

A seed takes most of an hour on two cores, so they can be run one by one (`--seeds 2`): figures of
the other seeds are kept if they are of the same towers, and a seed that was stopped goes on after
its last whole epoch. The sequences may not be handed on; `--data` says where they are.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from result import CHECKOUT, RESULTS, Figure, show, write_result

from profilestore.encoding import FIRST_ID, LIST_LENGTH, Arrays, Encoding, Vocabulary
from profilestore.errors import InputError
from training.batches import Source
from training.config import TrainConfig, load_config
from training.dataset import ITEM_VOCABULARY
from training.loop import Checkpoints, last_checkpoint, train
from training.negatives import Negatives
from training.ranking import CUT, Ranking, blocks
from training.runtime import DEVICE, tf
from training.towers import Moments, QueryTower, candidate_tower, embeddings
from training.two_tower import TwoTower
from training.windows import Windows

mpl.use("Agg")
import matplotlib.pyplot as plt

CASE = "MovieLens 1M, last item of 6,040 people, all items ranked"
DATA = CHECKOUT.parent / "shared" / "data" / "movielens-1m-sequences"
CONFIG = Path(__file__).with_name("movielens.yaml")
CHECKPOINTS = CHECKOUT / "data" / "checkpoints-movielens"
STEPS = 200
SEEDS = (1, 2, 3)
# HR@10 and NDCG@10 as published on this protocol (README of the data; the papers named).
PUBLISHED = {
    "SASRec (Kang and McAuley 2018)": (0.2392, 0.1259),
    "gSASRec (Petrov and Macdonald 2023)": (0.3003, 0.1726),
    "SASRec, full cross-entropy": (0.3152, 0.1821),
    "best of 104 tuned SASRec": (0.321, 0.186),
    "HSTU-large (Zhai et al. 2024)": (0.3294, 0.1893),
}
WANTED = "best of 104 tuned SASRec"


@dataclass(frozen=True)
class Log:
    """The sequences.

    Attributes:
        people: for each person, the indices of their items, oldest first.
        catalogue: candidate inputs of every item.
        vocabularies: of those inputs.
        encoding: of items.
    """

    people: list[npt.NDArray[np.int64]]
    catalogue: Arrays
    vocabularies: dict[str, Vocabulary]
    encoding: Encoding

    @property
    def items(self) -> int:
        return len(self.catalogue[ITEM_VOCABULARY])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, two epochs")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the sequences")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    given = parser.parse_args()
    if not (given.data / "interactions.parquet").exists():
        raise SystemExit(f"no interactions.parquet in {given.data}: --data says where it is.")
    config = load_config(given.config)
    if given.quick:
        config = replace(config, epochs=2, negatives="sampled", draws=512)
    log = read(given.data)
    name = "movielens.quick" if given.quick else "movielens"
    figures = kept(RESULTS / f"{name}.json", config)
    for seed in given.seeds[:1] if given.quick else given.seeds:
        ranking, seconds = run(log, replace(config, seed=seed))
        case = case_of(config, seed)
        found = [
            Figure(case, "HR@10", ranking.metrics()["recall@10"], "share"),
            Figure(case, "NDCG@10", ranking.metrics()["ndcg@10"], "NDCG"),
            Figure(case, f"training on {DEVICE}", seconds, "s"),
        ]
        show(found)
        figures = [one for one in figures if one.case != case] + found
        told = figures + summary(log, figures)
        write_result("movielens", told, quick=given.quick)
        plot(told, RESULTS / f"{name}.png")
    show(told)


def case_of(config: TrainConfig, seed: int) -> str:
    return f"{CASE}; {config.encoder}, {config.dimension} wide, {config.loss}, seed {seed}"


def kept(path: Path, config: TrainConfig) -> list[Figure]:
    """The figures of seeds that were run before, of the same towers."""
    if not path.exists():
        return []
    former = [Figure(**row) for row in json.loads(path.read_text())["rows"]]
    start = case_of(config, 0).removesuffix("0")
    return [one for one in former if one.case.startswith(start)]


def read(folder: Path) -> Log:
    """The sequences, with genre and year of each item."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT sas_user, sas_item - 1 AS item, movie_id "
            f"FROM '{folder / 'interactions.parquet'}' ORDER BY sas_user, seq"
        ).fetchnumpy()
    item = rows["item"].astype(np.int64)
    ends = np.flatnonzero(np.diff(rows["sas_user"])) + 1
    movies = {}
    with gzip.open(folder / "movies.dat.gz", "rt", encoding="latin-1") as lines:
        for line in lines:
            movie, title, genres = line.rstrip("\n").split("::")
            movies[int(movie)] = (title[-5:-1], genres.split("|"))
    movie_of = np.zeros(item.max() + 1, np.int64)
    movie_of[item] = rows["movie_id"].astype(np.int64)
    told = [movies[int(movie)] for movie in movie_of]
    years = Vocabulary("year", sorted({year for year, _ in told}))
    genres = Vocabulary("genre", sorted({genre for _, kinds in told for genre in kinds}))
    place = {genre: id_ for id_, genre in enumerate(genres.values, start=FIRST_ID)}
    kinds = np.zeros((len(told), LIST_LENGTH), np.int32)
    for row, (_, own) in enumerate(told):
        kinds[row, : len(own)] = [place[genre] for genre in own]
    year_ids = {year: id_ for id_, year in enumerate(years.values, start=FIRST_ID)}
    return Log(
        people=np.split(item, ends),
        catalogue={
            ITEM_VOCABULARY: np.arange(len(told), dtype=np.int32) + FIRST_ID,
            "year": np.array([year_ids[year] for year, _ in told], np.int32),
            "genres": kinds,
        },
        vocabularies={
            ITEM_VOCABULARY: Vocabulary(ITEM_VOCABULARY, [str(n) for n in range(len(told))]),
            "year": years,
            "genre": genres,
        },
        encoding=Encoding("item", (), (), {"year": "year"}, {"genres": "genre"}, {}, {}),
    )


def windows_of(people: Sequence[npt.NDArray[np.int64]]) -> tuple[Windows, npt.NDArray[np.int64]]:
    """Each person's items but the last two, cut from the newest into stretches of `STEPS`; every
    item but a person's first is a position once. Also int64 [positions], the items."""
    histories, window, place, item = [], [], [], []
    for own in people:
        known = own[:-2]
        for end in range(len(known), 1, -STEPS):
            # The first of a stretch is what the stretch before it ends with.
            part = known[max(0, end - STEPS - 1) : end]
            window.append(np.full(len(part) - 1, len(histories)))
            place.append(np.arange(1, len(part)))
            item.append(part[1:])
            histories.append(part[:-1])
    length = np.array([len(history) for history in histories], np.int32)
    padded = np.zeros((len(histories), STEPS), np.int32)
    for row, history in enumerate(histories):
        padded[row, : len(history)] = history + FIRST_ID
    items = np.concatenate(item)
    return Windows(
        history={"history": padded},
        length=length,
        window=np.concatenate(window),
        place=np.concatenate(place).astype(np.int32),
        row=np.arange(len(items)),
    ), items


def run(log: Log, config: TrainConfig) -> tuple[Ranking, float]:
    """Train with one seed; ranks on the test, and seconds of training."""
    tf.keras.utils.set_random_seed(config.seed)
    windows, items = windows_of(log.people)
    source = Source(
        windows=windows,
        span=np.zeros(len(windows.length), np.int64),
        person={},
        # An item is what it is at all times: there are none.
        candidate={name: array[items] for name, array in log.catalogue.items()},
        catalogue=[log.catalogue],
        negatives=Negatives(config.negatives, config.draws, items, [windows.row]),
    )
    shared = embeddings(config, log.vocabularies, {})
    nothing = Moments(np.zeros(0), np.zeros(0))
    encoding = Encoding("user", (), (), {}, {"history": ITEM_VOCABULARY}, {}, {})
    model = TwoTower(
        config,
        QueryTower(config, encoding, shared, nothing, steps=STEPS),
        candidate_tower(config, log.encoding, shared, nothing),
        log.items,
    )

    def ranked(held_back: int) -> Ranking:
        return rank_next(log, scores_of(model, log, held_back), held_back)

    # Kept at the end of an epoch only, where the seconds so far are noted too.
    kept = Checkpoints(CHECKPOINTS / str(config.seed), config.epoch_steps + 1, config.to_json())
    noted = kept.folder.with_suffix(".seconds")
    goes_on = is_same_run(kept)
    before = float(noted.read_text()) if goes_on else 0.0
    start = time.perf_counter()

    def reached() -> float:
        found = ranked(2).metrics()["ndcg@10"]
        kept.folder.mkdir(parents=True, exist_ok=True)
        noted.write_text(str(before + time.perf_counter() - start))
        return float(found or 0.0)

    train(model, config, source, reached, checkpoints=kept, resume=goes_on)
    seconds = before + time.perf_counter() - start
    kept.clear()
    return ranked(1), seconds


def is_same_run(kept: Checkpoints) -> bool:
    """Whether a checkpoint of these very towers was left by a run that was stopped."""
    try:
        return bool(last_checkpoint(kept.folder)["run"] == kept.run)
    except InputError:
        return False


def scores_of(
    model: TwoTower, log: Log, held_back: int
) -> Callable[[slice], npt.NDArray[np.float32]]:
    """Scores float32 [people, items] of a slice of people, who have all but their last items."""
    vectors = model.candidate_tower(log.catalogue, training=False).numpy()

    def scores(some: slice) -> npt.NDArray[np.float32]:
        newest_first = np.zeros((len(log.people[some]), STEPS), np.int32)
        for row, own in enumerate(log.people[some]):
            known = own[: len(own) - held_back][-STEPS:][::-1]
            newest_first[row, : len(known)] = known + FIRST_ID
        queries = model.query_tower({"history": newest_first}, training=False).numpy()
        return queries @ vectors.T

    return scores


def rank_next(
    log: Log, scores_of_slice: Callable[[slice], npt.NDArray[np.float32]], held_back: int
) -> Ranking:
    """Rank each person's item `held_back` from the end among all they did not have before it."""
    random = np.random.default_rng(0)
    ranks = []
    lists = []
    for some in _slices(len(log.people)):
        scores = scores_of_slice(some)
        for row, own in enumerate(log.people[some]):
            known, wanted = own[: len(own) - held_back], own[len(own) - held_back]
            line = scores[row]
            line[known] = -np.inf
            better = np.count_nonzero(line > line[wanted])
            equal = np.count_nonzero(line == line[wanted]) - 1
            ranks.append(better + random.integers(0, equal + 1))
            lists.append(np.argpartition(-line, CUT)[:CUT])
    return Ranking(np.array(ranks), np.array(lists, np.int32), np.arange(len(ranks)))


def _slices(people: int) -> Iterator[slice]:
    return blocks(people, 40_000)


def summary(log: Log, of_seeds: Sequence[Figure]) -> list[Figure]:
    """Means over the seeds beside what is published, and popularity on the same ranking."""
    counts = np.bincount(np.concatenate([own[:-2] for own in log.people]), minlength=log.items)
    popular = rank_next(
        log, lambda some: np.tile(counts.astype(np.float32), (len(log.people[some]), 1)), 1
    ).metrics()
    figures = []
    for place, (metric, name) in enumerate((("recall@10", "HR@10"), ("ndcg@10", "NDCG@10"))):
        values = [one.value for one in of_seeds if one.metric == name]
        mean = float(np.mean(values))
        figures += [
            Figure(CASE, f"{name}, mean over seeds", mean, name[:4].strip("@"), peer, value, ratio)
            for peer, value, ratio in (
                ("popularity", popular[metric], mean / popular[metric]),
                *((peer, own[place], mean / own[place]) for peer, own in PUBLISHED.items()),
            )
        ]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        figures.append(Figure(CASE, f"{name}, standard deviation over seeds", spread, "share"))
    return figures


def plot(figures: Sequence[Figure], path: Path) -> None:
    """Bars of NDCG@10: ours and each published."""
    rows = [one for one in figures if one.metric == "NDCG@10, mean over seeds"]
    names = ["two-tower", *(str(one.peer) for one in rows)]
    values = [rows[0].value, *(one.peer_value or 0.0 for one in rows)]
    order = np.argsort(values)
    figure, axes = plt.subplots(figsize=(7.2, 3.2), dpi=144, layout="constrained")
    axes.barh(
        [names[n] for n in order],
        [values[n] for n in order],
        color=["#2457a6" if names[n] == "two-tower" else "#9aa5b1" for n in order],
        height=0.6,
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=9)
    axes.set_xlabel("NDCG@10", fontsize=9)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
