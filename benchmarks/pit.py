"""How fast is the point-in-time join, beside Feast's own stores and a hand-written query?

One shape after the other: our offline store, Feast's DuckDB store, Feast's dask store (where it
ends in time) and the bare limit, an ASOF join a view written by hand, each in a process of its own
on the same files. All results are compared, value for value.

    make bench-pit            -> results/pit.json, results/pit.png
    make bench-pit QUICK=1    -> results/pit.quick.json, results/pit.quick.png
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import matplotlib as mpl
import pyarrow.parquet as pq
from child import Failed, answer, measure, seconds
from result import Figure, show, write_result
from workload import Shape, feast_repo, quiet, refs, write_workload

mpl.use("Agg")
import matplotlib.pyplot as plt

# The three shapes that the project is judged by, and what is wanted of them.
JUDGED = {
    Shape(200_000, 2_000_000, 20, 3): 2.3,
    Shape(300_000, 2_000_000, 90, 3): 6.0,
    Shape(10_000, 2_000_000, 1_000, 3): 20.0,
}
GROWTH = [
    *(Shape(rows, 2_000_000, 20, 3) for rows in (10_000, 100_000, 1_000_000, 3_000_000)),
    *(Shape(100_000, rows, 20, 1, features=4) for rows in (5_000_000, 16_000_000, 50_000_000)),
    *(Shape(100_000, 500_000, 20, views, features=4) for views in (1, 5, 20)),
]
QUICK = {
    Shape(50_000, 500_000, 20, 3): 2.3,
    Shape(100_000, 500_000, 90, 3): 6.0,
    Shape(5_000, 500_000, 1_000, 3): 20.0,
}
LONGEST_SECONDS = {"dask": 30.0}
# Growth is ours to show: Feast's store takes part while it answers soon.
PATIENCE_SECONDS = {True: 300.0, False: 60.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller shapes, no growth")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _child(given.child)
        return
    judged = QUICK if given.quick else JUDGED
    growth = [] if given.quick else GROWTH
    figures: list[Figure] = []
    points: dict[str, list[tuple[Shape, float]]] = {}
    for shape in [*judged, *growth]:
        with tempfile.TemporaryDirectory() as folder:
            figures += _shape(Path(folder), shape, judged=shape in judged, points=points)
        # After each: the largest shapes may be too large for a machine.
        path = write_result("pit", figures, quick=given.quick)
        _plot(points, path.with_suffix(".png"))
    show(figures)
    short = [
        f"{shape}: wanted {wanted} x stock DuckDB"
        for shape, wanted in judged.items()
        if not any(
            figure.case == str(shape)
            and figure.peer == "Feast duckdb"
            and figure.metric == "wall time"
            and (figure.ratio or 0) >= wanted
            for figure in figures
        )
    ]
    print("\n".join(["", *(short or ["all that is wanted is reached"]), str(path)]))


def _shape(
    folder: Path, shape: Shape, *, judged: bool, points: dict[str, list[tuple[Shape, float]]]
) -> list[Figure]:
    write_workload(folder, shape)
    print(f"{shape} ...", flush=True)
    sides = {"ours": "ours", "limit": "limit", "duckdb": "Feast duckdb", "dask": "Feast dask"}
    found: dict[str, dict[str, Any]] = {}
    for side in sides:
        case = {"folder": str(folder), "shape": vars(shape), "side": side}
        if side == "dask" and not judged:
            continue
        try:
            found[side] = measure(
                __file__,
                case,
                timeout=LONGEST_SECONDS.get(side, PATIENCE_SECONDS[judged or side != "duckdb"]),
            )
        except Failed as error:
            print(f"  {side}: {error}", flush=True)
            continue
        print(f"  {side}: {found[side]}", flush=True)
        points.setdefault(side, []).append((shape, found[side]["seconds"]))
    for side in found:
        if side != "ours":
            _compare(folder, "ours", side)
    ours = found.pop("ours")
    figures = []
    for side, other in found.items():
        peer = sides[side]
        figures.append(
            Figure(
                str(shape), "wall time", ours["seconds"], "s", peer, other["seconds"],
                other["seconds"] / ours["seconds"],
            )
        )  # fmt: skip
        figures.append(
            Figure(
                str(shape), "peak memory", ours["peak_mib"], "MiB", peer, other["peak_mib"],
                other["peak_mib"] / ours["peak_mib"],
            )
        )  # fmt: skip
    return figures


def _child(case: dict[str, Any]) -> None:
    folder, shape, side = Path(case["folder"]), Shape(**case["shape"]), case["side"]
    spine = pq.read_table(folder / "spine.parquet")
    if side == "limit":
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")

        def run() -> Any:
            connection.execute("CREATE OR REPLACE TEMP TABLE spine AS FROM arrow_spine")
            return connection.execute(_by_hand(folder, shape)).to_arrow_table()

        connection.register("arrow_spine", spine)
    else:
        with quiet():
            store = feast_repo(
                folder, shape, offline=side, online={"type": "sqlite", "path": f"{folder}/on.db"}
            )
        entities = spine if side == "ours" else spine.to_pandas()

        def ask(rows: Any) -> Any:
            with quiet():
                return store.get_historical_features(
                    entity_df=rows, features=refs(shape), full_feature_names=True
                ).to_arrow()

        ask(entities[:10])

        def run() -> Any:
            return ask(entities)

    start = time.perf_counter()
    table = run()
    taken = [time.perf_counter() - start]
    names = ["row_id", *(ref.replace(":", "__") for ref in refs(shape))]
    pq.write_table(table.select(names), folder / f"{side}.parquet")
    del table
    while len(taken) < 4 and sum(taken) < 20:
        taken.append(seconds(run))
    answer({"seconds": min(taken)})


def _by_hand(folder: Path, shape: Shape) -> str:
    """What somebody who knows DuckDB would write: no ties, no ttl, no created time."""
    columns = ", ".join(
        f"v{n}.f{k} AS view_{n}__f{k}" for n in range(shape.views) for k in range(shape.features)
    )
    joins = "\n".join(
        f"ASOF LEFT JOIN read_parquet('{folder}/view_{n}.parquet') v{n} "
        f"ON s.user_id = v{n}.user_id AND s.event_timestamp >= v{n}.event_timestamp"
        for n in range(shape.views)
    )
    return f"SELECT s.*, {columns} FROM spine s\n{joins}\nORDER BY s.row_id"


def _compare(folder: Path, one: str, other: str) -> None:
    """Both have the same rows; random times are distinct, so there is one right answer."""
    left, right = (f"read_parquet('{folder}/{side}.parquet')" for side in (one, other))
    with duckdb.connect() as connection:
        differ = connection.execute(
            f"SELECT (SELECT count(*) FROM (FROM {left} EXCEPT ALL FROM {right})) "
            f"+ (SELECT count(*) FROM (FROM {right} EXCEPT ALL FROM {left}))"
        ).fetchall()[0][0]
    if differ:
        raise SystemExit(f"{one} and {other} differ in {differ} rows")


def _plot(points: dict[str, list[tuple[Shape, float]]], path: Path) -> None:
    """The judged shapes side by side, and a panel for each size that grew."""
    measured = [shape for shape, _ in points["ours"]]
    sizes = (
        (
            "rows asked for",
            lambda s: s.spine,
            lambda s: (s.history, s.per_key, s.views) == (2_000_000, 20, 3),
        ),
        ("history rows", lambda s: s.history, lambda s: (s.views, s.features) == (1, 4)),
        ("views", lambda s: s.views, lambda s: (s.history, s.features) == (500_000, 4)),
    )
    grew = [one for one in sizes if sum(map(one[2], measured)) > 1]
    figure, panels = plt.subplots(
        1, 1 + len(grew), figsize=(5 + 4.5 * len(grew), 4.2), constrained_layout=True, squeeze=False
    )
    judged, *growing = panels[0]
    shapes = [shape for shape in (*JUDGED, *QUICK) if shape in measured]
    width = 0.8 / len(points)
    for turn, (side, found) in enumerate(points.items()):
        taken = dict(found)
        some = [(n + turn * width, taken[one]) for n, one in enumerate(shapes) if one in taken]
        if some:
            judged.bar(*zip(*some, strict=True), width, label=side)
    names = [f"{one.spine // 1000} k rows,\n{one.per_key} a key" for one in shapes]
    judged.set_xticks([n + width for n in range(len(shapes))], names)
    judged.set(xlabel="rows asked for, of 3 views", ylabel="seconds", yscale="log")
    judged.legend()
    for panel, (label, value, chosen) in zip(growing, grew, strict=True):
        for side, found in points.items():
            some = sorted((value(shape), taken) for shape, taken in found if chosen(shape))
            if some:
                panel.plot(*zip(*some, strict=True), marker="o", label=side)
        panel.set(xlabel=label, ylabel="seconds", xscale="log", yscale="log")
        panel.grid(alpha=0.3, which="both")
        panel.legend()
    figure.suptitle("Point-in-time join")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
