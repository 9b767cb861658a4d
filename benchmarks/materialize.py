"""How fast do features go online, beside Feast's own engine and the bare parts of the work?

The same repo, the same files, 20 rows an entity and 10 features: our engine into our online store
and into Redis, Feast's local engine (with the dask offline store, its default) into SQLite and into
the same kind of Redis; and the limit: the bare latest-row query, packing and put. What is online
afterwards is compared.

    make bench-materialize            -> results/materialize.json, results/materialize.png
    make bench-materialize QUICK=1    -> results/materialize.quick.json, ...
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import lmdb
import matplotlib as mpl
import numpy as np
from child import Failed, answer, measure
from result import Figure, show, write_result
from workload import FIRST, NOW, Shape, entity_keys, feast_repo, quiet, redis_server, write_workload

mpl.use("Agg")
import matplotlib.pyplot as plt

PER_KEY = 20
ENTITIES = (10_000, 100_000, 500_000, 2_000_000)
QUICK_ENTITIES = (10_000, 50_000)
# Feast's engine writes some thousand rows a second.
MOST_FOR_STOCK = 100_000
# name -> offline store, engine, peer that it is measured against, and what is wanted of it.
SIDES = {
    "ours to LMDB": ("ours", "ours"),
    "ours to Redis": ("ours", "ours"),
    "Feast to SQLite": ("dask", "local"),
    "Feast to Redis": ("dask", "local"),
    "limit": ("", ""),
}
COMPARED = (
    ("ours to LMDB", "Feast to SQLite", 50.0),
    ("ours to Redis", "Feast to Redis", 10.0),
    ("ours to LMDB", "limit", 0.5),
)
LONGEST_SECONDS = 400.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer entities")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _child(given.child)
        return
    figures: list[Figure] = []
    short: list[str] = []
    points: dict[str, list[tuple[int, float]]] = {}
    for entities in QUICK_ENTITIES if given.quick else ENTITIES:
        shape = Shape(10, entities * PER_KEY, PER_KEY, 1)
        with tempfile.TemporaryDirectory() as folder:
            found = _shape(Path(folder), shape)
        for side, one in found.items():
            points.setdefault(side, []).append((entities, one["seconds"]))
        case = f"{entities:,} entities x 1 view of 10 features, {PER_KEY} rows a key"
        for ours, peer, wanted in COMPARED:
            if ours in found and peer in found:
                ratio = found[peer]["seconds"] / found[ours]["seconds"]
                figures.append(
                    Figure(case, f"{ours}, time", found[ours]["seconds"], "s", peer,
                           found[peer]["seconds"], ratio)
                )  # fmt: skip
                if ratio < wanted:
                    short.append(f"{case}: {ours} {ratio:.2f} x {peer}, wanted {wanted}")
        figures += [
            Figure(case, f"{side}, peak memory", one["peak_mib"], "MiB")
            for side, one in found.items()
        ]
        figures.append(
            Figure(case, "incremental again, nothing new", found["ours to LMDB"]["again"], "s")
        )
    path = write_result("materialize", figures, quick=given.quick)
    _plot(points, path.with_suffix(".png"))
    show(figures)
    print("\n".join(["", *(short or ["all that is wanted is reached"]), str(path)]))


def _shape(folder: Path, shape: Shape) -> dict[str, dict[str, Any]]:
    write_workload(folder, shape)
    print(f"{shape.entities:,} entities ...", flush=True)
    found = {}
    for side in SIDES:
        if side.startswith("Feast") and shape.entities > MOST_FOR_STOCK:
            continue
        with redis_server(folder) as address:
            case = {"folder": str(folder), "shape": vars(shape), "side": side, "redis": address}
            try:
                found[side] = measure(__file__, case, timeout=LONGEST_SECONDS)
            except Failed as error:
                print(f"  {side}: {error}", flush=True)
                continue
        read = found[side].pop("read", None)
        print(f"  {side}: {found[side]}", flush=True)
        if read is not None and read != found.setdefault("", {"read": read})["read"]:
            raise SystemExit(f"{side}: what is online differs")
    found.pop("", None)
    return found


def _child(case: dict[str, Any]) -> None:
    folder, shape, side = Path(case["folder"]), Shape(**case["shape"]), case["side"]
    if side == "limit":
        answer({"seconds": min(_bare(folder, shape, turn) for turn in range(3))})
        return
    offline, engine = SIDES[side]
    taken = []
    again = 0.0
    read: Any = None
    # The quick ones are measured three times, each into an empty store.
    for turn in range(3):
        online = {
            "LMDB": {
                "type": "profilestore.online_store.LMDBOnlineStore",
                "path": str(folder / f"lmdb-{turn}"),
            },
            "SQLite": {"type": "sqlite", "path": str(folder / f"sqlite-{turn}.db")},
            "Redis": {"type": "redis", "connection_string": f"{case['redis']},db={turn}"},
        }[side.rpartition(" ")[2]]
        with quiet():
            store = feast_repo(folder, shape, offline=offline, online=online, engine=engine)
            start = time.perf_counter()
            store.materialize(FIRST - timedelta(days=1), NOW)
            taken.append(time.perf_counter() - start)
            if read is None:
                keys = entity_keys(shape, 1_000)
                read = store.get_online_features(
                    features=[f"view_0:f{n}" for n in range(shape.features)],
                    entity_rows=[{"user_id": key} for key in keys],
                ).to_dict()
            if side == "ours to LMDB":
                start = time.perf_counter()
                store.materialize_incremental(NOW)
                again = time.perf_counter() - start
            store.teardown()
        if sum(taken) > 20:
            break
    answer({"seconds": min(taken), "again": again, "read": read})


def _bare(folder: Path, shape: Shape, turn: int) -> float:
    """The latest row of each key, packed with numpy, put into LMDB: no Feast, no schema, no keys
    but the text, no order of arrival, no nulls."""
    start = time.perf_counter()
    features = ", ".join(f"f{n}" for n in range(shape.features))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            f"SELECT user_id, unnest(arg_max({{'at': epoch_us(event_timestamp), "
            f"{', '.join(f'{name!r}: {name}' for name in features.split(', '))}}}, "
            f"event_timestamp)) FROM read_parquet('{folder}/view_0.parquet') "
            f"GROUP BY user_id ORDER BY user_id"
        ).to_arrow_table()
    columns = [rows[name].to_numpy() for name in rows.column_names[1:]]
    packed = np.empty(len(rows), [(f"v{n}", column.dtype.str) for n, column in enumerate(columns)])
    for n, column in enumerate(columns):
        packed[f"v{n}"] = column
    width = packed.itemsize
    data = packed.tobytes()
    keys = [key.encode() for key in rows["user_id"].to_pylist()]
    environment = lmdb.open(str(folder / f"bare-{turn}"), map_size=2**36)
    with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
        cursor.putmulti([(key, data[n * width : (n + 1) * width]) for n, key in enumerate(keys)])
    environment.close()
    return time.perf_counter() - start


def _plot(points: dict[str, list[tuple[int, float]]], path: Path) -> None:
    figure, panel = plt.subplots(figsize=(7, 4.4), constrained_layout=True)
    for side, found in points.items():
        panel.plot(*zip(*found, strict=True), marker="o", label=side)
    panel.set(xlabel="entities", ylabel="seconds", xscale="log", yscale="log")
    panel.set_title("Materialise one view of 10 features, 20 rows an entity")
    panel.grid(alpha=0.3, which="both")
    panel.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
