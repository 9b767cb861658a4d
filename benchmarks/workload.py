"""What the Feast benchmarks run on: histories, spines, and one repo for every pair of stores.

Both sides read the same Parquet files through the same feature views; only the classes that
`feature_store.yaml` names are different.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

OFFLINE = {
    "ours": {"type": "profilestore.offline_store.NativeDuckDBOfflineStore"},
    "duckdb": {"type": "duckdb"},
    "dask": {"type": "dask"},
}
ENGINE = {
    "ours": {"type": "profilestore.compute_engine.NativeDuckDBComputeEngine"},
    "local": {"type": "local"},
}
# All times lie in these; the spine in the later half, so that nearly every row finds something.
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=200)
NOW = FIRST + SPAN


@dataclass(frozen=True)
class Shape:
    """How much there is.

    Attributes:
        spine: rows asked for.
        history: rows of each view.
        per_key: rows of each entity in a view.
        views: how many.
        features: of each view, half floats and half integers.
    """

    spine: int
    history: int
    per_key: int
    views: int
    features: int = 10

    @property
    def entities(self) -> int:
        return max(1, self.history // self.per_key)

    def __str__(self) -> str:
        return (
            f"{_short(self.spine)} spine rows x {self.views} views of {_short(self.history)} rows, "
            f"{_short(self.per_key)} a key, {_short(self.entities)} entities"
        )


def write_workload(folder: Path, shape: Shape) -> None:
    """`view_<n>.parquet` and `spine.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SELECT setseed(0.42)")
        first = int(FIRST.timestamp()) * 1_000_000
        span = SPAN // timedelta(microseconds=1)
        features = ", ".join(
            f"random() AS f{n}" if n % 2 else f"CAST(random() * 1e6 AS BIGINT) AS f{n}"
            for n in range(shape.features)
        )
        for view in range(shape.views):
            at = f"{first} + CAST(random() * {span} AS BIGINT)"
            connection.execute(
                f"COPY (SELECT {_key('range', shape)} AS user_id, {features}, "
                f"make_timestamptz({at}) AS event_timestamp, "
                f"make_timestamptz({first}) AS created FROM range({shape.history})) "
                f"TO '{folder}/view_{view}.parquet'"
            )
        at = f"{first + span // 2} + CAST(random() * {span // 2} AS BIGINT)"
        connection.execute(
            f"COPY (SELECT range AS row_id, {_key('CAST(random() * 1e9 AS BIGINT)', shape)} "
            f"AS user_id, make_timestamptz({at}) AS event_timestamp FROM range({shape.spine})) "
            f"TO '{folder}/spine.parquet'"
        )


def entity_keys(shape: Shape, count: int) -> list[str]:
    """Some entities of the histories, spread over all of them."""
    with duckdb.connect() as connection:
        step = max(1, shape.entities // count)
        rows = connection.execute(
            f"SELECT {_key(f'range * {step}', shape)} FROM range({count})"
        ).fetchall()
    return [row[0] for row in rows]


def feast_repo(
    folder: Path, shape: Shape, *, offline: str, online: dict[str, Any], engine: str = "local"
) -> Any:
    """A FeatureStore over a workload, applied; `online` is the section of `feature_store.yaml`."""
    from feast import (
        Entity,
        FeatureService,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
    )
    from feast.types import Float64, Int64, String
    from feast.value_type import ValueType

    name = f"{offline}-{online['type'].rsplit('.', 1)[-1]}-{engine}"
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / f"registry-{name}.db"),
        offline_store=OFFLINE[offline],
        online_store=online,
        batch_engine=ENGINE[engine],
        entity_key_serialization_version=3,
        # Of stock Feast's two ways to materialise the one that reads one row an entity.
        materialization={"pull_latest_features": True},
        repo_path=folder,
    )
    store = FeatureStore(config=config)
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    views = [
        FeatureView(
            name=f"view_{n}",
            entities=[user],
            ttl=timedelta(days=36_500),
            schema=[
                Field(name="user_id", dtype=String),
                *(
                    Field(name=f"f{k}", dtype=Float64 if k % 2 else Int64)
                    for k in range(shape.features)
                ),
            ],
            source=FileSource(
                name=f"source_{n}",
                path=str(folder / f"view_{n}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column="created",
            ),
        )
        for n in range(shape.views)
    ]
    with quiet():
        store.apply([user, *views, FeatureService(name="all", features=views)])
    return store


def refs(shape: Shape) -> list[str]:
    """Every feature of every view."""
    return [f"view_{n}:f{k}" for n in range(shape.views) for k in range(shape.features)]


@contextmanager
def quiet() -> Iterator[None]:
    """Without Feast's printing and progress bars."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis of its own on a free port, nothing saved; its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not on the path; on Debian: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _key(number: str, shape: Shape) -> str:
    return f"'u-' || md5(CAST(({number}) % {shape.entities} AS VARCHAR))"


def _short(number: int) -> str:
    for size, unit in ((1_000_000, " M"), (1_000, " k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return str(number)
