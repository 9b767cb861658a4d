"""A feature repo over a Parquet file or a lake table, materialised by our engine or by Feast's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource
from feast.types import Int64, String
from feast.value_type import ValueType

from profilestore.lake import connect
from profilestore.offline_store import DuckDBSource
from profilestore.offline_store.connections import forget_instances

USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
_SAME = datetime(1, 1, 1)
OURS = "profilestore.compute_engine.NativeDuckDBComputeEngine"
TYPES = {
    "user_id": pa.string(),
    "at": pa.timestamp("us", "UTC"),
    "learned_at": pa.timestamp("us", "UTC"),
    "clicks": pa.int64(),
    "more": pa.float64(),
}


@dataclass
class World:
    """A repo, and the source of its view `activity`; `name` for others."""

    folder: Path
    kind: str
    online: str = "{type: profilestore.online_store.LMDBOnlineStore, path: online, sync: false}"
    engine: str = OURS
    columns: list[Any] = field(default_factory=lambda: [("clicks", Int64)])
    ttl: timedelta | None = timedelta(0)

    def __post_init__(self) -> None:
        (self.folder / "lake" / "files").mkdir(parents=True, exist_ok=True)
        self.repo = self.folder / "repo"
        self.repo.mkdir()
        lake = "  catalog: ../lake/catalog.sqlite\n  data_path: ../lake/files\n"
        (self.repo / "feature_store.yaml").write_text(
            "project: unit\nprovider: local\nregistry: registry.db\n"
            "entity_key_serialization_version: 3\n"
            f"online_store: {self.online}\n"
            f"batch_engine: {{type: {self.engine}}}\n"
            "materialization: {pull_latest_features: true}\n"
            "offline_store:\n"
            "  type: profilestore.offline_store.NativeDuckDBOfflineStore\n"
            f"{lake if self.kind == 'lake' else ''}"
        )
        self.store = FeatureStore(repo_path=str(self.repo))

    def write(self, rows: Any, name: str = "activity", types: dict[str, Any] | None = None) -> None:
        """Replace the source: rows are (user, clicks, event, created), or a whole table."""
        if isinstance(rows, list):
            names = ["user_id", "clicks", "at", "learned_at", "more"]
            rows = [dict(zip(names, row, strict=False)) for row in rows]
            kinds = {**TYPES, **(types or {})}
            present = [n for n in kinds if n != "more" or any("more" in row for row in rows)]
            rows = pa.table({n: pa.array([row.get(n) for row in rows], kinds[n]) for n in present})
        path = self.folder / f"{name}.parquet"
        pq.write_table(rows, path)
        if self.kind == "lake":
            with connect() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute(
                    f"ATTACH 'ducklake:sqlite:{self.folder}/lake/catalog.sqlite' AS lake "
                    f"(DATA_PATH '{self.folder}/lake/files/')"
                )
                connection.execute(f"CREATE OR REPLACE TABLE lake.main.{name} AS FROM '{path}'")

    def view(self, name: str = "activity", **changes: Any) -> FeatureView:
        options: dict[str, Any] = {
            "timestamp_field": "at",
            "created_timestamp_column": "learned_at",
        }
        if self.kind == "lake":
            source: Any = DuckDBSource(table=name, **options)
        else:
            source = FileSource(name=f"{name}_file", path=f"../{name}.parquet", **options)
        columns = [
            one if isinstance(one, Field) else Field(name=one[0], dtype=one[1])
            for one in changes.pop("columns", self.columns)
        ]
        return FeatureView(
            **{
                "name": name,
                "entities": [USER],
                "ttl": self.ttl,
                "source": PushSource(name=f"{name}_pushes", batch_source=source),
                "schema": [Field(name="user_id", dtype=String), *columns],
                **changes,
            }
        )

    def apply(self, *views: FeatureView) -> None:
        self.store.apply([USER, *(views or [self.view()])])

    def materialise(self, start: datetime, end: datetime, *views: str) -> None:
        self.store.materialize(start, end, feature_views=list(views) or None)

    def increment(self, end: datetime, *views: str) -> None:
        self.store.materialize_incremental(end, feature_views=list(views) or None)

    def read(self, *users: str, view: str = "activity", feature: str = "clicks") -> list[Any]:
        """A feature of some users."""
        found = self.store.get_online_features(
            [f"{view}:{feature}"], [{"user_id": user} for user in users]
        )
        values: list[Any] = found.to_dict()[feature]
        return values

    def push(
        self, user: str, clicks: int, event: datetime | None, learned: datetime | None = _SAME
    ) -> None:
        columns = {
            "user_id": [user],
            "clicks": [clicks],
            "at": pd.Series([event], dtype="datetime64[us, UTC]"),
            "learned_at": pd.Series(
                [event if learned is _SAME else learned], dtype="datetime64[us, UTC]"
            ),
        }
        self.store.push("activity_pushes", pd.DataFrame(columns))


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """`make_world(kind, ...)`: a repo of its own each time, in a folder of its own."""
    made: list[World] = []

    def make(kind: str = "file", **options: Any) -> World:
        folder = tmp_path / f"world{len(made)}"
        folder.mkdir()
        made.append(World(folder, kind, **options))
        return made[-1]

    yield make
    forget_instances()


@pytest.fixture(params=["file", "lake"])
def world(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> World:
    return make_world(request.param)


@pytest.fixture
def now() -> datetime:
    """A moment in the past that everything of a test is dated by."""
    return datetime.now(UTC) - timedelta(days=10)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Redis server, which keeps nothing."""
    program = _redis_program()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(port, server, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _redis_program() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    # Without it nothing here can be known of Redis: as a message, not a skip.
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update"], check=False, capture_output=True)
        subprocess.run(
            ["apt-get", "install", "-y", "redis-server"], check=False, capture_output=True
        )
        found = shutil.which("redis-server")
        if found:
            return found
    pytest.fail("these tests need redis-server on the path: apt-get install redis-server")


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"redis-server does not answer\n{log.read_text()}")
