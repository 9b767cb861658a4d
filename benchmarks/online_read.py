"""How fast is an online read, beside Feast's own stores and a bare get?

The same repo and the same records, materialised once by our engine into each store; then the same
request in one process, the sides in turn: `get_online_features` with our store, with Feast's SQLite
and Redis stores, our `read_records` (what a service of ours reads with: no message a value), and
the limit, a bare LMDB get a record. The answers are compared.

    make bench-online-read            -> results/online_read.json, results/online_read.png
    make bench-online-read QUICK=1    -> results/online_read.quick.json, ...
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lmdb
import matplotlib as mpl
import numpy as np
from child import answer, measure
from result import Figure, show, write_result
from workload import FIRST, NOW, Shape, entity_keys, feast_repo, quiet, redis_server, write_workload

mpl.use("Agg")
import matplotlib.pyplot as plt

STORED = 100_000
CASES = ((1, 1), (1, 3), (10, 3), (100, 1), (100, 3), (100, 20), (1_000, 3))
QUICK_CASES = ((1, 3), (100, 3))
OURS = "get_online_features"
RECORDS = "read_records"
# A case, a way of ours, and what is wanted of it beside Feast's SQLite store.
WANTED = {(100, 3): 20.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cases, fewer entities stored")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _child(given.child)
        return
    cases = QUICK_CASES if given.quick else CASES
    stored = 20_000 if given.quick else STORED
    found: dict[tuple[int, int], dict[str, list[float]]] = {}
    for views in sorted({views for _, views in cases}):
        shape = Shape(10, stored, 1, views)
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as address:
            write_workload(Path(folder), shape)
            asked = [entities for entities, count in cases if count == views]
            case = {"folder": folder, "shape": vars(shape), "redis": address, "asked": asked}
            for entities, times in measure(__file__, case)["found"].items():
                found[int(entities), views] = times
    figures = []
    short = []
    for (entities, views), times in sorted(found.items()):
        case = f"{entities} entities x {views} views of 10 features, {stored:,} entities stored"
        for ours in (OURS, RECORDS):
            for peer in ("Feast SQLite", "Feast Redis", "limit"):
                ratio = times[peer][0] / times[ours][0]
                figures.append(
                    Figure(case, f"{ours}, median", times[ours][0] * 1e3, "ms", peer,
                           times[peer][0] * 1e3, ratio)
                )  # fmt: skip
            figures.append(Figure(case, f"{ours}, 99th percentile", times[ours][1] * 1e3, "ms"))
            ratio = times["Feast SQLite"][0] / times[ours][0]
            if ratio < WANTED.get((entities, views), 0):
                short.append(f"{case}: {ours} {ratio:.1f} x Feast SQLite, wanted 20")
    path = write_result("online_read", figures, quick=given.quick)
    _plot(found, path.with_suffix(".png"))
    show(figures)
    print("\n".join(["", *(short or ["all that is wanted is reached"]), str(path)]))


def _child(case: dict[str, Any]) -> None:
    folder, shape = Path(case["folder"]), Shape(**case["shape"])
    online = {
        OURS: {
            "type": "profilestore.online_store.LMDBOnlineStore",
            "path": str(folder / "lmdb"),
        },
        "Feast SQLite": {"type": "sqlite", "path": str(folder / "sqlite.db")},
        "Feast Redis": {"type": "redis", "connection_string": case["redis"]},
    }
    stores = {}
    with quiet():
        for side, section in online.items():
            store = feast_repo(folder, shape, offline="ours", online=section, engine="ours")
            store.materialize(FIRST - timedelta(days=1), NOW)
            stores[side] = store
    bare = _bare_store(stores[OURS], folder / "bare", shape)
    found = {}
    for entities in case["asked"]:
        keys = entity_keys(shape, entities)
        ways: dict[str, Callable[[], Any]] = {
            side: _feast_read(store, keys) for side, store in stores.items()
        }
        answers = [way().to_dict() for way in ways.values()]
        assert all(one == answers[0] for one in answers), "the stores answer differently"
        ways[RECORDS] = _records_read(stores[OURS], shape, keys)
        columns = ways[RECORDS]()
        for n, view in enumerate(columns):
            for name, values in view[1].items():
                assert list(values) == answers[0][f"view_{n}__{name}"], "read_records differs"
        ways["limit"] = _bare_read(bare, shape, keys)
        found[entities] = _in_turn(ways)
    answer({"found": found})


def _feast_read(store: Any, keys: list[str]) -> Callable[[], Any]:
    service = store.get_feature_service("all")
    rows = [{"user_id": key} for key in keys]
    return lambda: store.get_online_features(
        features=service, entity_rows=rows, full_feature_names=True
    )


def _records_read(store: Any, shape: Shape, keys: list[str]) -> Callable[[], Any]:
    from profilestore.online_store import text_key

    views = [store.get_feature_view(f"view_{n}") for n in range(shape.views)]
    asked = [(view, [feature.name for feature in view.features]) for view in views]
    build = text_key("user_id")
    online = store._get_provider().online_store

    def read() -> Any:
        found = online.read_records(store.config, asked, [build(key) for key in keys])
        # Python's values are made of what is stored when they are asked for.
        return [(view.events, view.columns) for view in found]

    return read


def _bare_store(store: Any, folder: Path, shape: Shape) -> lmdb.Environment:
    """A record of the same size under the plain key, one for each view."""
    environment = lmdb.open(str(folder), map_size=2**36)
    keys = entity_keys(shape, shape.entities)
    record = bytes(30 + 2 + 8 * shape.features)
    with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
        cursor.putmulti(
            [(f"{key}{n:04}".encode(), record) for key in sorted(keys) for n in range(shape.views)]
        )
    return environment


def _bare_read(environment: lmdb.Environment, shape: Shape, keys: list[str]) -> Callable[[], Any]:
    wanted = [f"{key}{n:04}".encode() for key in keys for n in range(shape.views)]

    def read() -> Any:
        with environment.begin() as transaction:
            return [transaction.get(key) for key in wanted]

    return read


def _in_turn(ways: dict[str, Callable[[], Any]]) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile of each. The ways take turns of some dozen reads, so that noise
    falls on all; the first of a turn does not count, because Feast keeps one resolved request a
    process and not one a store."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    stop = time.perf_counter() + 10
    while time.perf_counter() < stop or len(taken[OURS]) < 60:
        for way, read in ways.items():
            read()
            for _ in range(30):
                start = time.perf_counter()
                read()
                taken[way].append(time.perf_counter() - start)
    return {
        way: (float(np.median(times)), float(np.percentile(times, 99)))
        for way, times in taken.items()
    }


def _plot(found: dict[tuple[int, int], dict[str, list[float]]], path: Path) -> None:
    figure, panel = plt.subplots(figsize=(8, 4.4), constrained_layout=True)
    cases = sorted(found)
    for way in found[cases[0]]:
        values = [found[case][way][0] * 1e3 for case in cases]
        panel.plot(range(len(cases)), values, marker="o", label=way)
    panel.set_xticks(range(len(cases)), [f"{e} x {v}" for e, v in cases])
    panel.set(xlabel="entities x views of 10 features", ylabel="milliseconds, median", yscale="log")
    panel.set_title("Online read, in process")
    panel.grid(alpha=0.3, which="both")
    panel.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
