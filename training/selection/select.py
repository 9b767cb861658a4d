"""One run, from the current bundle to `data/selection/`.

    features.yaml     the columns worth keeping, for a config to adopt (`feature_list`)
    results.json, report.md, importance.png

The folder is whole or not there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from profilestore.artifacts import Bundle, load_current
from profilestore.disk import draft_of, replace_folder, settle, tree_to_disk
from profilestore.encoding import Arrays, Encoding
from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.config import TrainConfig
from training.dataset import VALIDATION, Dataset, evenly, load_dataset
from training.evaluate import ItemTimeline
from training.feature_list import FeatureList
from training.people import draw, events_of, load_people, sample_of
from training.ranking import Seen
from training.saved_towers import SavedTower, data_config, require_same_inputs
from training.selection.importance import (
    Importance,
    Part,
    Question,
    Tower,
    gains,
    importance,
    parts_of,
    worth_keeping,
)
from training.selection.labels import chosen_and_drawn, returns
from training.selection.mutual_information import entropy, information, require_two_classes
from training.selection.report import write_report

_MOST_PEOPLE = 20_000
# Of NDCG@10, that may be lost with all that is left out.
_TOLERANCE = 0.05
_SEED = 1


def select(settings: Settings, *, also: str, rows: int, repeats: int, return_days: int) -> Path:
    """Ask what the current two-tower would miss, and what else there is; the folder.

    Args:
        also: another feature service, whose features of people are looked at too.
        rows: of the validation window to rank, at most.
        repeats: permutations of each part.
        return_days: a person's label is whether they come back within so many days.

    Raises:
        ProfilestoreError: the bundle was trained from other features.
        InputError: a label has one class.
        MissingStageError: nothing was trained yet.
    """
    for name, value in (
        ("--rows", rows),
        ("--repeats", repeats),
        ("--return-days", return_days),
    ):
        if value < 1:
            raise InputError(f"{name} is {value}; wanted 1 at least.")
    bundle = load_current(settings)
    store = FeatureStore(settings).pinned(bundle.manifest["lake_snapshot"])
    config = data_config(bundle)
    scratch = settings.training_scratch
    dataset = load_dataset(store, config, scratch)
    require_same_inputs(bundle, dataset)
    validation = dataset.rows(VALIDATION)
    start_us, end_us = (int(dataset.asked_at_us[validation[place]]) for place in (0, -1))
    timeline = ItemTimeline(store, config, dataset, start_us, end_us, scratch)
    said = {
        **_information_of_people(
            store, config, {config.feature_service, also}, return_days, scratch
        ),
        **_information_of_items(dataset, timeline),
    }
    question = Question(
        query_tower=vectors_by(bundle, "query"),
        candidate_tower=vectors_by(bundle, "candidate"),
        dimension=bundle.item_vectors.shape[1],
        dataset=dataset,
        timeline=timeline,
        rows=evenly(validation, rows),
        seen=None if bundle.recommends_seen else Seen(dataset),
    )
    parts = [*parts_of(dataset.query_encoding), *parts_of(dataset.candidate_encoding)]
    whole = gains(question, (), 0)
    alone = [
        importance(question, [part], whole, repeats)
        for part in tqdm(parts, desc="permute", unit="feature", leave=False, disable=None)
    ]
    kept = worth_keeping(
        parts,
        alone,
        lambda several: importance(question, several, whole, repeats),
        _TOLERANCE * float(whole.mean()),
    )
    rest = [part for part in parts if part not in kept]
    found = list_of(kept, dataset, config.feature_service, store)
    results = {
        "created_at": datetime.now(UTC).isoformat(),
        "bundle": bundle.version,
        "feature_service": config.feature_service,
        "also": also,
        "lake_snapshot": dataset.lake_snapshot,
        "rows": len(question.rows),
        "people": len(np.unique(dataset.user[question.rows])),
        "repeats": repeats,
        "return_days": return_days,
        "tolerance": _TOLERANCE,
        "ndcg@10": float(whole.mean()),
        "features": _table(parts, alone, kept, said),
        "others": {
            column: one
            for column, one in said.items()
            if not any(column in part.columns for part in parts)
        },
        "left_out_together": asdict(importance(question, rest, whole, repeats)),
        "keep": list(found.keep),
    }
    folder = _write(settings.selection, results, found)
    print(f"{len(rest)} of {len(parts)} features can go; report: {folder / 'report.md'}")
    return folder


def vectors_by(bundle: Bundle, side: str) -> Tower:
    """One of the bundle's towers."""
    tower = SavedTower(bundle.path / "saved_model" / f"{side}_tower")

    def vectors(inputs: Arrays) -> npt.NDArray[np.float32]:
        return tower(inputs).numpy()

    return vectors


def list_of(
    kept: Sequence[Part], dataset: Dataset, service: str, store: FeatureStore
) -> FeatureList:
    """Every column of the kept parts, in the service's order, and the history in any case: without
    it there is no two-tower."""
    columns = {column for part in kept for column in part.columns}
    columns.add(dataset.history_column)
    return FeatureList(
        service,
        tuple(one.column for one in store.features(service) if one.column in columns),
    )


def _information_of_people(
    store: FeatureStore, config: TrainConfig, services: set[str], return_days: int, scratch: Path
) -> dict[str, dict[str, Any]]:
    """What each feature of people says of whether they come back, one row a person."""
    said: dict[str, dict[str, Any]] = {}
    for service in sorted(services):
        events = sample_of(events_of(store, service, config), _MOST_PEOPLE, _SEED)
        spine = draw(events, 1, _SEED)
        people = load_people(store, service, store.features(service), events, spine, scratch)
        label, told = returns(events, spine, return_days)
        chosen = (spine.split == VALIDATION) & ~spine.at_event & told
        name = f"whether people come back within {return_days} days"
        said.update(_said(name, people.encoding, people.numbers[chosen], label[chosen]))
    return said


def _information_of_items(dataset: Dataset, timeline: ItemTimeline) -> dict[str, dict[str, Any]]:
    """What each feature of items says of which of two items was turned to."""
    rows = dataset.rows(VALIDATION)
    change, label = chosen_and_drawn(
        timeline, dataset.item[rows], dataset.asked_at_us[rows], len(dataset.item_ids), _SEED
    )
    name = "which of two items was turned to"
    return _said(name, dataset.candidate_encoding, timeline.inputs["numbers"][change], label)


def _said(name: str, encoding: Encoding, numbers: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    require_two_classes(label, name)
    whole = entropy(label)
    return {
        column: {"label": name, "rows": len(label), "share": one.nats / whole, **asdict(one)}
        for column, one in information(encoding, numbers, label, _SEED).items()
    }


def _table(
    parts: Sequence[Part],
    alone: Sequence[Importance],
    kept: Sequence[Part],
    said: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """A row for each part, the most important first."""
    rows = [
        {
            "columns": list(part.columns),
            "side": part.side,
            **asdict(one),
            "kept": part in kept,
            "information": said.get(part.columns[0]),
        }
        for part, one in zip(parts, alone, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["drop"])


def _write(folder: Path, results: dict[str, Any], found: FeatureList) -> Path:
    settle(folder)
    draft = draft_of(folder)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    found.write(draft / "features.yaml")
    (draft / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    write_report(draft, results)
    tree_to_disk(draft)
    replace_folder(draft, folder)
    settle(folder)
    return folder
