"""How many profiles a second, how late, and what of that is ours?

One process of the service on one core, keep-alive clients of another process on another core.

- `features`: the same request of the same features, 5 views of 10 of a million entities, asked of
  our service and of Feast's own server (`feast serve`, one worker, without an access log, its
  registry never refreshed), over our embedded store and over one Redis that both read. The answers
  are compared. Beside it the limit: a loop that reads the records and writes them as JSON.
- `profiles`: whole profiles, recommendations and events of the log that is built in this home.
- `overload`: twice as many requests as were answered, at a steady rate.

    make bench-serving            -> results/serving.json, results/serving.png
    make bench-serving QUICK=1    -> results/serving.quick.json: fewer entities, shorter
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import yaml
from child import answer, family, kib_besides_stores, measure
from http_load import request_bytes, run
from result import CHECKOUT, Figure, show, write_result
from workload import FIRST, NOW, Shape, entity_keys, feast_repo, quiet, redis_server, write_workload

from profilestore.settings import child_environment, load_settings

mpl.use("Agg")
import matplotlib.pyplot as plt

STORED, QUICK_STORED = 1_000_000, 20_000
VIEWS = 5
ENTITIES = (1, 10, 100)
CONNECTIONS = 4
SECONDS, QUICK_SECONDS = 10.0, 2.0
SERVER_CORE, CLIENT_CORE = 0, 1
OURS, OURS_REDIS, FEAST_REDIS = "ours", "ours on Redis", "feast serve on Redis"
# Requests a second and core beside `feast serve`, and its 99th percentile beside ours.
WANTED = {1: 30.0, 100: 50.0}
WANTED_P99_AT_100 = 30.0
WANTED_OF_LIMIT = 3.0
WANTED_READY_SECONDS = 2.0
WANTED_MIB = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer entities, shorter")
    parser.add_argument("--only", nargs="*", choices=["features", "profiles"], help="parts")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        answer({"load": run, "limit": limit}[given.child["do"]](given.child))
        return
    parts = given.only or ["features", "profiles"]
    seconds = QUICK_SECONDS if given.quick else SECONDS
    figures: list[Figure] = []
    if "features" in parts:
        figures += features(QUICK_STORED if given.quick else STORED, seconds)
    if "profiles" in parts:
        figures += profiles(seconds)
    show(figures)
    path = write_result(
        "serving", figures, quick=given.quick or set(parts) != {"features", "profiles"}
    )
    print(f"wrote {path}")
    if not given.quick and given.only is None:
        plot(figures, path.with_suffix(".png"))


# --- features -------------------------------------------------------------------------------------


def features(stored: int, seconds: float) -> list[Figure]:
    shape = Shape(10, stored, 1, VIEWS)
    figures = []
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as redis:
        folder = Path(name)
        write_workload(folder, shape)
        online = {
            OURS: {
                "type": "profilestore.online_store.LMDBOnlineStore",
                "path": str(folder / "lmdb"),
            },
            FEAST_REDIS: {"type": "redis", "connection_string": redis},
        }
        homes = {side: home(folder, shape, side, section) for side, section in online.items()}
        homes[OURS_REDIS] = homes[FEAST_REDIS]
        found: dict[str, dict[int, dict[str, Any]]] = {}
        bodies: dict[str, dict[int, Any]] = {}
        for side, at in homes.items():
            serve = feast_server if side == FEAST_REDIS else our_server
            seconds_to_start = ready(serve, at)
            with serve(at) as server:
                found[side], bodies[side] = {}, {}
                for entities in ENTITIES:
                    requests = folder / f"requests_{entities}.json"
                    if not requests.exists():
                        requests.write_text(json.dumps(feature_requests(shape, entities)))
                    bodies[side][entities] = asked(server.port, json.loads(requests.read_text())[0])
                    found[side][entities] = load(
                        server.port, requests, seconds, connections=CONNECTIONS
                    )
                found[side][0] = {"mib": server.mib(), "ready": seconds_to_start}
        for entities in ENTITIES:
            assert bodies[OURS][entities] == bodies[FEAST_REDIS][entities], "answers differ"
            assert bodies[OURS_REDIS][entities] == bodies[FEAST_REDIS][entities], "answers differ"
        limits = measure(
            __file__,
            {
                **{"do": "limit", "folder": name, "shape": vars(shape), "online": online[OURS]},
                "entities": ENTITIES,
            },
        )["found"]
    for entities in ENTITIES:
        case = f"{entities} of {stored:,} entities x {VIEWS} views of 10 features"
        peer = found[FEAST_REDIS][entities]
        for side in (OURS, OURS_REDIS):
            own = found[side][entities]
            figures.append(
                Figure(
                    *(case, f"{side}, requests a second and core", own["per_second"], "1/s"),
                    *(FEAST_REDIS, peer["per_second"], own["per_second"] / peer["per_second"]),
                )
            )
            figures += [
                Figure(
                    *(case, f"{side}, {name}", own[name], "ms"),
                    *(FEAST_REDIS, peer[name], peer[name] / own[name]),
                )
                for name in ("p50", "p99", "p99.9")
            ]
        bare = limits[str(entities)]
        own = 1 / found[OURS][entities]["per_second"]
        figures.append(
            Figure(
                *(case, "ours, time a request", own * 1e3, "ms"),
                *("read and JSON in a loop", bare * 1e3, bare / own),
            )
        )
    for side in (OURS, FEAST_REDIS):
        figures.append(Figure(side, "memory", found[side][0]["mib"], "MiB"))
        figures.append(Figure(side, "ready", found[side][0]["ready"], "s"))
    return figures


def home(folder: Path, shape: Shape, side: str, online: dict[str, Any]) -> Path:
    """A home whose registry has the workload's views, and whose online store is full."""
    with quiet():
        store = feast_repo(folder, shape, offline="ours", online=online, engine="ours")
        store.materialize(FIRST - timedelta(days=1), NOW)
    at = folder / re.sub(r"\W+", "_", side)
    (at / "feature_repo").mkdir(parents=True)
    (at / "data").mkdir()
    shutil.copy(store.config.registry.path, at / "data" / "registry.db")
    said = {
        "project": "bench",
        "provider": "local",
        "registry": {"registry_type": "file", "path": "../data/registry.db"},
        "offline_store": {"type": "profilestore.offline_store.NativeDuckDBOfflineStore"},
        "online_store": online,
        "entity_key_serialization_version": 3,
    }
    (at / "feature_repo" / "feature_store.yaml").write_text(yaml.safe_dump(said))
    return at


def feature_requests(shape: Shape, entities: int) -> list[str]:
    """Requests for different entities, all over the store."""
    count = 1_000 if entities < 100 else 200
    keys = entity_keys(shape, count * entities)
    return [
        request_bytes(
            "POST",
            "/get-online-features",
            {
                "feature_service": "all",
                "entities": {"user_id": keys[n::count]},
                "full_feature_names": True,
            },
        )
        for n in range(count)
    ]


def limit(case: dict[str, Any]) -> dict[str, Any]:
    """Seconds for reading the records and writing their values as JSON, a request."""
    import numpy as np
    import orjson

    from profilestore.online_store import text_key
    from profilestore.online_store.selection import Selection, Selections

    os.sched_setaffinity(0, {SERVER_CORE})
    shape = Shape(**case["shape"])
    with quiet():
        store = feast_repo(
            Path(case["folder"]), shape, offline="ours", online=case["online"], engine="ours"
        )
    views = [store.get_feature_view(f"view_{n}") for n in range(shape.views)]
    wanted = Selections(
        [Selection.of(view, [feature.name for feature in view.features]) for view in views]
    )
    build, online = text_key("user_id"), store._get_provider().online_store
    found = {}
    for entities in case["entities"]:
        keys = entity_keys(shape, 200 * entities)
        requests = [keys[n::200] for n in range(200)]

        def once(asked_for: Sequence[str]) -> bytes:
            records = online.read_selections(
                store.config, wanted, [build(key) for key in asked_for]
            )
            return orjson.dumps(
                [[written(column) for column in view.stored] for view in records],
                option=orjson.OPT_SERIALIZE_NUMPY,
            )

        def written(column: Any) -> Any:
            return np.ascontiguousarray(column) if isinstance(column, np.ndarray) else column

        # As warm as the servers, which are asked the same again and again.
        for one in requests:
            once(one)
        began = time.perf_counter()
        for one in requests:
            once(one)
        found[entities] = (time.perf_counter() - began) / len(requests)
    return {"found": found}


# --- profiles -------------------------------------------------------------------------------------


def profiles(seconds: float) -> list[Figure]:
    """Of the home that is built here; events go to a copy of its live log and online store."""
    settings = load_settings()
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = folder / "home"
        shutil.copytree(
            settings.home,
            copy,
            ignore=shutil.ignore_patterns(
                *(".git", ".venv", "raw", "checkpoints", "training_logs", "node_modules", "target")
            ),
            symlinks=True,
        )
        figures.append(Figure("profiles", "ready", ready(our_server, copy), "s"))
        with our_server(copy) as server:
            address = f"http://127.0.0.1:{server.port}"
            page = json.loads(get(f"{address}/v1/users?limit=500"))
            users = [one["user_id"] for one in page["users"]]
            known = json.loads(get(f"{address}/v1/profiles/{users[0]}"))
            item = known["history"]["items"][0]["item_id"]
            kinds = {
                "profile": [request_bytes("GET", f"/v1/profiles/{one}") for one in users],
                "profile, blocks of views alone": [
                    request_bytes("GET", f"/v1/profiles/{one}?fields=attributes,activity,interests")
                    for one in users
                ],
                "recommendations": [
                    request_bytes("GET", f"/v1/recommendations/{one}") for one in users
                ],
                "event": [event(users[n % len(users)], item) for n in range(20_000)],
            }
            carried = {}
            for kind, requests in kinds.items():
                path = folder / "requests.json"
                path.write_text(json.dumps(requests))
                for connections in (1, CONNECTIONS):
                    own = load(server.port, path, seconds, connections=connections)
                    case = f"{kind}, {connections} connections, {len(page['users'])} people"
                    figures.append(
                        Figure(case, "requests a second and core", own["per_second"], "1/s")
                    )
                    figures += [
                        Figure(case, one, own[one], "ms") for one in ("p50", "p99", "p99.9")
                    ]
                    carried[kind, connections] = own
            figures.append(Figure("profiles", "memory", server.mib(), "MiB"))
            figures += overload(server, folder, kinds["profile"], carried["profile", 1], seconds)
    return figures


def event(user_id: str, item_id: str) -> str:
    said = {
        "event_id": uuid.uuid4().hex,
        "user_id": user_id,
        "item_id": item_id,
        "event_type": "view",
        "event_timestamp": datetime.now(UTC).isoformat(),
    }
    return request_bytes("POST", "/v1/events", said)


def overload(
    server: Server, folder: Path, requests: list[str], carried: dict[str, Any], seconds: float
) -> list[Figure]:
    """Half of what one connection got, and twice what four got, each at a steady rate."""
    path = folder / "requests.json"
    path.write_text(json.dumps(requests))
    most = load(server.port, path, seconds, connections=CONNECTIONS)["per_second"]
    calm = load(server.port, path, seconds, rate=most / 2)
    busy = load(server.port, path, seconds, rate=2 * most)
    shed = sum(count for status, count in busy["statuses"].items() if status in ("429", "503"))
    others = sum(
        count for status, count in busy["statuses"].items() if status not in ("200", "429", "503")
    )
    case = "twice the load that can be carried"
    return [
        Figure(case, "p99 of what is accepted", busy["p99"], "ms", "half the load", calm["p99"],
               calm["p99"] / busy["p99"]),
        Figure(case, "accepted", busy["per_second"], "1/s", "all that can be carried", most,
               busy["per_second"] / most),
        Figure(case, "refused with 429 or 503", shed, "requests"),
        Figure(case, "refused that say when to come again", busy["retry_after"], "requests"),
        Figure(case, "any other answer", others, "requests"),
        Figure(case, "requests that found no connection", busy["late"], "requests"),
    ]  # fmt: skip


# --- servers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: int
    ready_seconds: float

    def mib(self) -> float:
        """Resident memory of it and its workers, without the pages of a store's file: those are
        the machine's cache, which it takes back when it needs them."""
        return sum(kib_besides_stores(one) for one in family(self.process)) / 1024


def ready(serve: Callable[[Path], AbstractContextManager[Server]], at: Path) -> float:
    """Seconds from a server's start to its first answer: the median of three, after one in which
    Python compiles its modules, as an installer would have done."""
    seconds = []
    for _ in range(4):
        with serve(at) as server:
            seconds.append(server.ready_seconds)
    return statistics.median(seconds[1:])


@contextlib.contextmanager
def our_server(at: Path) -> Iterator[Server]:
    with _server(
        [sys.executable, "-m", "profilestore", "serve", "--port", str(_free_port())],
        "/healthz",
        PROFILESTORE_HOME=str(at),
        PROFILESTORE_LOG="warning",
    ) as server:
        yield server


@contextlib.contextmanager
def feast_server(at: Path) -> Iterator[Server]:
    feast = Path(sys.executable).parent / "feast"
    with _server(
        [
            *(str(feast), "-c", str(at / "feature_repo"), "serve", "--port", str(_free_port())),
            *("--no-access-log", "--registry_ttl_sec", "86400", "--max-requests", "100000000"),
        ],
        "/health",
        FEAST_USAGE="False",
    ) as server:
        yield server


@contextlib.contextmanager
def _server(command: list[str], alive: str, **environment: str) -> Iterator[Server]:
    port = int(command[command.index("--port") + 1])
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=compiling(child_environment(**environment)),
            cwd=CHECKOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
        try:
            while True:
                with contextlib.suppress(OSError):
                    get(f"http://127.0.0.1:{port}{alive}")
                    break
                if process.poll() is not None or time.perf_counter() - began > 120:
                    said.seek(0)
                    raise SystemExit(f"{' '.join(command)} did not start:\n{said.read()[-2000:]}")
                time.sleep(0.01)
            yield Server(port, process.pid, time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait(60)


def compiling(environment: dict[str, str]) -> dict[str, str]:
    """With Python's compiled modules kept, as they are wherever something is installed."""
    return {name: at for name, at in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


def load(port: int, requests: Path, seconds: float, **how: Any) -> dict[str, Any]:
    """What a load of the server gave: see `http_load.run`."""
    case = {"port": port, "requests": str(requests), "seconds": seconds, "core": CLIENT_CORE}
    return measure(__file__, {"do": "load", **case, **how})


def asked(port: int, request: str) -> Any:
    """The features of an answer, by name: each registry has its own order of them."""
    head, _, body = request.partition("\r\n\r\n")
    method, path, _ = head.split("\r\n")[0].split(" ")
    made = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        body.encode() or None,
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(made) as answered:
        said = json.loads(answered.read())
    return dict(zip(said["metadata"]["feature_names"], said["results"], strict=True))


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answered:
        return bytes(answered.read())


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plot(figures: Sequence[Figure], path: Path) -> None:
    by = [one for one in figures if one.metric.endswith("requests a second and core")]
    of_features = [one for one in by if "entities x" in one.case]
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for side in (OURS, OURS_REDIS):
        chosen = [one for one in of_features if one.metric.startswith(f"{side},")]
        axes.plot(ENTITIES, [one.value for one in chosen], "o-", label=side)
    axes.plot(ENTITIES, [one.peer_value for one in chosen], "o-", label=FEAST_REDIS)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("entities a request")
    axes.set_ylabel("requests a second and core")
    axes.set_title(f"{VIEWS} views of 10 features, {CONNECTIONS} connections, one core")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
