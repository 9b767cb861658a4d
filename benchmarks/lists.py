"""What does a list gain, and what does it lose, by not being ordered by score alone?

The current bundle is asked the questions of its test window as serving asks it: candidates by the
towers and by content, filtered, ranked, and ordered with one setting of `recommendations.yaml`
changed at a time. Of each setting: NDCG@10 beside that of the order by score, with the 95 %
interval of the difference by the paired bootstrap over people; how unlike the items of a list are
(one less the mean cosine of their categories, and of their vectors); and the share of the catalogue
that stands in somebody's list. Item vectors are those of the bundle, made when the log ended.

    make bench-lists            -> results/lists.json, results/lists.png
    make bench-lists QUICK=1    -> results/lists.quick.json: fewer questions and settings
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from result import Figure, show, write_result

from profilestore import lake
from profilestore.artifacts import Bundle, load_current
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings, load_settings
from serving.items import Item
from serving.recommendations.candidates import Candidate, merged
from serving.recommendations.order import Listed, order
from serving.recommendations.policy import Order, Policy
from serving.recommendations.rank import worth
from serving.recommendations.retrieve import by_towers
from training.bootstrap import interval_of_mean
from training.dataset import TEST, Dataset, evenly, load_dataset
from training.evaluate import predict
from training.metrics import ndcg
from training.ranking import Seen
from training.saved_towers import SavedTower, data_config, require_same_inputs

mpl.use("Agg")
import matplotlib.pyplot as plt

K = 10
QUESTIONS, QUICK_QUESTIONS = 5_000, 300
BY_SCORE = Order(diversity=0, content_share=0)
_CONTENT = "user_content__content_vector_recent"


def settings_of(*, quick: bool) -> dict[str, Order]:
    """What is measured, by name; the first is what the others are compared with."""
    given = {"by score": BY_SCORE}
    for share in (0.1,) if quick else (0.05, 0.1, 0.2, 0.3, 0.5):
        given[f"diversity {share}"] = BY_SCORE.model_copy(update={"diversity": share})
    for most in (3,) if quick else (6, 5, 4, 3):
        given[f"most of a category {most}"] = BY_SCORE.model_copy(
            update={"most_of_a_category": most}
        )
    for share in (0.1,) if quick else (0.1, 0.2, 0.3):
        given[f"content share {share}"] = BY_SCORE.model_copy(update={"content_share": share})
    given["as shipped"] = Policy().order
    return given


@dataclass(frozen=True)
class Question:
    """A test row: the person's answer of the model, what they had, what came.

    Attributes:
        candidates: found and filtered.
        truth: the item that came.
    """

    candidates: list[Candidate]
    truth: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer questions and settings")
    given = parser.parse_args()
    settings = load_settings()
    bundle = load_current(settings)
    store = FeatureStore(settings).pinned(bundle.manifest["lake_snapshot"])
    dataset = load_dataset(store, data_config(bundle), settings.training_scratch)
    require_same_inputs(bundle, dataset)
    rows = evenly(dataset.rows(TEST), QUICK_QUESTIONS if given.quick else QUESTIONS)
    items, texts = catalogue(settings, bundle)
    questions = ask(settings, bundle, dataset, rows, texts)
    _, person = np.unique(dataset.user[rows], return_inverse=True)
    figures: list[Figure] = []
    first: npt.NDArray[np.float64] | None = None
    for name, policy in settings_of(quick=given.quick).items():
        began = time.perf_counter()
        lists = [listed(bundle, items, one, policy) for one in questions]
        seconds = time.perf_counter() - began
        gains = gains_of(questions, lists)
        first = gains if first is None else first
        figures += of_setting(name, bundle, items, questions, lists, gains, first, person)
        figures.append(Figure(name, "order, a list", seconds / len(lists) * 1e3, "ms"))
    show(figures)
    path = write_result("lists", figures, quick=given.quick)
    print(f"wrote {path}")
    if not given.quick:
        plot(figures, path.with_suffix(".png"))


def catalogue(
    settings: Settings, bundle: Bundle
) -> tuple[dict[str, Item], npt.NDArray[np.float32]]:
    """Items, and the direction of each one's text, float32 [items, length]; zeros without one."""
    with lake.connect() as connection:
        lake.attach_lake(connection, settings.lake_catalog, settings.lake_files)
        told = connection.execute(
            "SELECT item_id, categories FROM lake.main.item_attributes"
        ).fetchall()
        vectors = dict(
            connection.execute(
                "SELECT item_id, content_vector FROM lake.main.item_content"
            ).fetchall()
        )
    items = {item_id: Item(item_id, categories=tuple(names)) for item_id, names in told}
    length = len(next(iter(vectors.values()), [0.0]))
    texts = np.array([vectors.get(one, [0.0] * length) for one in bundle.item_ids], np.float32)
    lengths = np.linalg.norm(texts, axis=1, keepdims=True)
    return items, np.divide(texts, lengths, out=np.zeros_like(texts), where=lengths > 0)


def ask(
    settings: Settings,
    bundle: Bundle,
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    texts: npt.NDArray[np.float32],
) -> list[Question]:
    """Candidates of each question, as `serving.recommendations.pipeline` finds and filters them."""
    tower = SavedTower(bundle.path / "saved_model" / "query_tower")
    queries = predict(tower, dataset.query, rows)
    retrieve = Policy().retrieve
    place, item = Seen(dataset).pairs(rows)
    found = []
    for number, row in enumerate(rows):
        has: set[str] = set()
        if not bundle.recommends_seen:
            has = {bundle.item_ids[one] for one in item[place == number]}
        query = queries[number]
        ways = by_towers(bundle, query, retrieve.collaborative, has)
        if _CONTENT in dataset.query and dataset.query[_CONTENT][row].any():
            near = texts @ dataset.query[_CONTENT][row]
            nearest = np.argsort(-near, kind="stable")[: retrieve.content]
            ways += [
                Candidate(
                    bundle.item_ids[one], ("content",), float(bundle.item_vectors[one] @ query)
                )
                for one in nearest
            ]
        left = [one for one in merged(ways) if one.item_id not in has]
        found.append(Question(left, bundle.item_ids[dataset.item[row]]))
    return found


def listed(bundle: Bundle, items: dict[str, Item], question: Question, policy: Order) -> list[str]:
    """Ten items, first to last."""
    candidates = question.candidates
    given = Listed(
        worth=worth(candidates, items, {}),
        vectors=bundle.item_vectors[[bundle.item_rows[one.item_id] for one in candidates]],
        categories=[items[one.item_id].categories for one in candidates],
        since=[None] * len(candidates),
        by_content=np.array(["content" in one.found_by for one in candidates], bool),
    )
    return [candidates[row].item_id for row in order(given, policy, K, datetime.now(UTC))]


def gains_of(questions: Sequence[Question], lists: Sequence[list[str]]) -> npt.NDArray[np.float64]:
    ranks = [
        found.index(one.truth) if one.truth in found else K
        for one, found in zip(questions, lists, strict=True)
    ]
    return ndcg(np.array(ranks), K)


def of_setting(
    name: str,
    bundle: Bundle,
    items: dict[str, Item],
    questions: Sequence[Question],
    lists: Sequence[list[str]],
    gains: npt.NDArray[np.float64],
    first: npt.NDArray[np.float64],
    person: npt.NDArray[np.int64],
) -> list[Figure]:
    low, high = interval_of_mean(gains - first, person.astype(np.int32))
    directions = bundle.item_vectors / np.linalg.norm(bundle.item_vectors, axis=1, keepdims=True)
    every = sorted({name for item in items.values() for name in item.categories})
    column = {category: number for number, category in enumerate(every)}

    def of_categories(item_id: str) -> npt.NDArray[np.float64]:
        vector = np.zeros(len(every))
        vector[[column[one] for one in items[item_id].categories]] = 1.0
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    vectors = {item_id: of_categories(item_id) for item_id in {one for a in lists for one in a}}
    content = {one.item_id for question in questions for one in question.candidates}
    assert content >= {one for found in lists for one in found}
    by_content = [
        sum(one.item_id in set(found) and "content" in one.found_by for one in question.candidates)
        / max(len(found), 1)
        for question, found in zip(questions, lists, strict=True)
    ]
    return [
        Figure(
            name,
            "NDCG@10",
            float(gains.mean()),
            "",
            "by score",
            float(first.mean()),
            float(gains.mean() / first.mean()),
        ),
        Figure(name, "NDCG@10 less that by score, low", low, ""),
        Figure(name, "NDCG@10 less that by score, high", high, ""),
        Figure(
            name, "unlike by category", _unlike([[vectors[i] for i in one] for one in lists]), ""
        ),
        Figure(
            name,
            "unlike by vector",
            _unlike([directions[[bundle.item_rows[i] for i in one]] for one in lists]),
            "",
        ),
        Figure(name, "found by content", float(np.mean(by_content)), "fraction"),
        Figure(
            name,
            "coverage",
            len({one for found in lists for one in found}) / len(bundle.item_ids),
            "fraction",
        ),
    ]


def _unlike(lists: Sequence[Sequence[npt.NDArray[np.floating]]]) -> float:
    """Mean over lists of one less the mean cosine of all pairs; of directions."""
    found = []
    for one in lists:
        cosines = np.asarray(one) @ np.asarray(one).T
        n = len(cosines)
        if n > 1:
            found.append(1 - (cosines.sum() - np.trace(cosines)) / (n * (n - 1)))
    return float(np.mean(found))


def plot(figures: Sequence[Figure], path: Path) -> None:
    by = {(one.case, one.metric): one for one in figures}
    names = list(dict.fromkeys(one.case for one in figures))
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for kind, marker in (
        ("by score", "*"),
        ("diversity", "o"),
        ("most of a category", "s"),
        ("content share", "^"),
        ("as shipped", "D"),
    ):
        chosen = [name for name in names if name.startswith(kind)]
        across = [by[name, "unlike by category"].value for name in chosen]
        up = [by[name, "NDCG@10"].value for name in chosen]
        axes.plot(across, up, marker=marker, label=kind, markersize=8)
        for name, x, y in zip(chosen, across, up, strict=True):
            axes.annotate(
                name.removeprefix(kind).strip(),
                (x, y),
                xytext=(4, 4),
                fontsize=8,
                textcoords="offset points",
            )
    axes.set_xlabel("how unlike the items of a list are, by category")
    axes.set_ylabel("NDCG@10 on the test window")
    axes.set_title("What the order of a list costs and gains")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
