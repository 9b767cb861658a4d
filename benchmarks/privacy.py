"""What does privacy cost?

- `encryption`: the same records in two embedded stores, one of them sealed (`key_file`), read in
  turn by one process: `get_online_features` as Feast gives it, and the bytes that our feature
  server answers with. The answers are compared. Beside it, filling either store.

    make bench-privacy            -> results/privacy.json, results/privacy.png
    make bench-privacy QUICK=1    -> results/privacy.quick.json, ...
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from child import answer, measure
from result import Figure, show, write_result
from workload import FIRST, NOW, Shape, entity_keys, feast_repo, quiet, write_workload

mpl.use("Agg")
import matplotlib.pyplot as plt

STORED, QUICK_STORED = 100_000, 20_000
VIEWS = 5
ENTITIES = (1, 10, 100)
SECONDS, QUICK_SECONDS = 10.0, 3.0
PLAIN, SEALED = "plain", "encrypted"
FEAST, SERVER = "get_online_features", "feature server's answer"
FILL = "materialise"
# Of the plain store's throughput.
WANTED = 0.75

Times = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer entities, shorter")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        answer(_child(given.child))
        return
    stored = QUICK_STORED if given.quick else STORED
    seconds = QUICK_SECONDS if given.quick else SECONDS
    shape = Shape(10, stored, 1, VIEWS)
    with tempfile.TemporaryDirectory() as folder:
        write_workload(Path(folder), shape)
        case = {"folder": folder, "shape": vars(shape), "seconds": seconds}
        found = measure(__file__, case)
    figures, short = [], []
    for way, entities, times in found["reads"]:
        name = f"{entities} entities x {VIEWS} views of 10 features, {stored:,} entities stored"
        share = times[PLAIN] / times[SEALED]
        figures.append(
            Figure(
                *(name, f"{way}, {SEALED}, median", times[SEALED] * 1e3, "ms"),
                *(PLAIN, times[PLAIN] * 1e3, share),
            )
        )
        if share < WANTED:
            short.append(f"{name}, {way}: {share:.0%} of the plain store, wanted {WANTED:.0%}")
    fill = found["fill"]
    figures.append(
        Figure(
            *(f"{stored:,} entities x {VIEWS} views", f"{FILL}, {SEALED}", fill[SEALED], "s"),
            *(PLAIN, fill[PLAIN], fill[PLAIN] / fill[SEALED]),
        )
    )
    path = write_result("privacy", figures, quick=given.quick)
    _plot(found["reads"], path.with_suffix(".png"))
    show(figures)
    print("\n".join(["", *(short or ["all that is wanted is reached"]), str(path)]))


def _child(case: Mapping[str, Any]) -> dict[str, Any]:
    folder, shape = Path(case["folder"]), Shape(**case["shape"])
    stores, fill = {}, {}
    with quiet():
        for side in (PLAIN, SEALED):
            section = {
                "type": "profilestore.online_store.LMDBOnlineStore",
                "path": str(folder / side),
                **({"key_file": str(folder / "keys" / "online.key")} if side == SEALED else {}),
            }
            store = feast_repo(folder, shape, offline="ours", online=section, engine="ours")
            begun = time.perf_counter()
            store.materialize(FIRST - timedelta(days=1), NOW)
            fill[side] = time.perf_counter() - begun
            stores[side] = store
    reads = []
    for way, of in ((FEAST, _feast_read), (SERVER, _server_read)):
        for entities in ENTITIES:
            keys = entity_keys(shape, entities)
            ways = {side: of(store, keys) for side, store in stores.items()}
            assert ways[PLAIN]() == ways[SEALED](), "the stores answer differently"
            reads.append((way, entities, _in_turn(ways, case["seconds"])))
    return {"reads": reads, "fill": fill}


def _feast_read(store: Any, keys: Sequence[str]) -> Callable[[], Any]:
    service = store.get_feature_service("all")
    rows = [{"user_id": key} for key in keys]
    return lambda: store.get_online_features(
        features=service, entity_rows=rows, full_feature_names=True
    ).proto.SerializeToString()


def _server_read(store: Any, keys: Sequence[str]) -> Callable[[], Any]:
    online = store._get_provider().online_store
    plan = online.plan_read(store.get_feature_service("all"), store.registry, store.project, True)
    return lambda: online.get_online_json(store.config, plan, {"user_id": list(keys)})


def _in_turn(ways: Mapping[str, Callable[[], Any]], seconds: float) -> Times:
    """Median of each; they take turns, so that noise falls on both."""
    taken: dict[str, list[float]] = {side: [] for side in ways}
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        for side, read in ways.items():
            read()
            for _ in range(30):
                start = time.perf_counter()
                read()
                taken[side].append(time.perf_counter() - start)
    return {side: float(np.median(times)) for side, times in taken.items()}


def _plot(reads: Sequence[tuple[str, int, Times]], path: Path) -> None:
    figure, panel = plt.subplots(figsize=(8, 4.4), constrained_layout=True)
    for way in (FEAST, SERVER):
        chosen = [(entities, times) for one, entities, times in reads if one == way]
        shares = [100 * times[PLAIN] / times[SEALED] for _, times in chosen]
        panel.plot([entities for entities, _ in chosen], shares, marker="o", label=way)
    panel.axhline(100 * WANTED, color="grey", linestyle=":", label="wanted")
    panel.set(
        xlabel=f"entities, {VIEWS} views of 10 features each",
        ylabel="throughput, % of the plain store",
        xscale="log",
        ylim=(0, 110),
    )
    panel.set_title("Reading an encrypted store")
    panel.grid(alpha=0.3)
    panel.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
