"""An online store of one's own for each test, without a registry where none is needed."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from feast import Entity, FeatureView, Field, FileSource
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig
from feast.type_map import python_values_to_proto_values
from feast.types import Float32, Int64, String
from feast.value_type import ValueType

from profilestore.instants import to_micros
from profilestore.online_store import LMDBOnlineStore
from profilestore.online_store.columns import declared, entities, records
from profilestore.online_store.loading import commit

USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
ACTIVITY = [("clicks", Int64), ("score", Float32), ("tag", String)]
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def user(name: str) -> EntityKey:
    return EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=name)])


class Online:
    """A store and its folder, written and read by short names.

    Rows are (user, values by feature, event, created); a value is Python's.
    """

    def __init__(self, folder: Path, project: str = "unit", **options: Any) -> None:
        self.folder = folder / "online"
        self.store = LMDBOnlineStore()
        self.config = RepoConfig(
            project=project,
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={
                "type": "profilestore.online_store.LMDBOnlineStore",
                "path": "online",
                "map_size_gib": 0.25,
                "sync": False,
                **options,
            },
            entity_key_serialization_version=3,
            repo_path=folder,
        )

    def view(
        self, name: str = "activity", features: Any = ACTIVITY, ttl: timedelta | None = None
    ) -> FeatureView:
        fields = [
            one if isinstance(one, Field) else Field(name=one[0], dtype=one[1]) for one in features
        ]
        return FeatureView(
            name=name,
            entities=[USER],
            ttl=ttl,
            source=FileSource(name=name, path="none.parquet", timestamp_field="at"),
            schema=[Field(name="user_id", dtype=String), *fields],
        )

    def push(self, view: FeatureView, *rows: Any) -> None:
        kinds = {field.name: field.dtype.to_value_type() for field in view.features}
        self.store.online_write_batch(
            self.config,
            view,
            [
                (
                    key if isinstance(key, EntityKey) else user(key),
                    {
                        name: python_values_to_proto_values([value], kinds[name])[0]
                        for name, value in values.items()
                    },
                    event,
                    created,
                )
                for key, values, event, created in rows
            ],
            None,
        )

    def load(self, view: FeatureView, *rows: Any) -> Any:
        """A load that has these rows, within `with`; not committed."""
        return _Filled(self.store.load(self.config, view), view, rows)

    def materialise(self, view: FeatureView, *rows: Any, whole_since: int | None = 0) -> None:
        with self.load(view, *rows) as load:
            commit([(load, whole_since)])

    def read(self, view: FeatureView, *users: str, features: Any = None) -> list[Any]:
        """(event, values) a user; values as Python's, None where there are none."""
        found = self.store.online_read(self.config, view, [user(u) for u in users], features)
        return [
            (event, None if values is None else {n: _python(v) for n, v in values.items()})
            for event, values in found
        ]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


class _Filled:
    def __init__(self, load: Any, view: FeatureView, rows: Any) -> None:
        self._load = load
        self._view = view
        self._rows = rows

    def __enter__(self) -> Any:
        load = self._load.__enter__()
        try:
            self._fill(load)
        except BaseException as error:
            load.__exit__(type(error), error, error.__traceback__)
            raise
        return load

    def _fill(self, load: Any) -> None:
        columns = {}
        for field in self._view.features:
            values = [values.get(field.name) for _, values, _, _ in self._rows]
            column = pa.array(values)
            columns[field.name] = declared(column, field.dtype.to_value_type(), field.name)
        created = [-(2**63) if c is None else to_micros(c) for _, _, _, c in self._rows]
        packed = records(
            load.schema,
            load.position,
            columns,
            event=np.array([to_micros(e) for _, _, e, _ in self._rows], np.int64),
            created=np.array(created, np.int64),
            written=load.written,
            run=load.run,
        )
        keys = {"user_id": pa.array([name for name, _, _, _ in self._rows], pa.string())}
        if self._rows:
            load.add(entities([("user_id", ValueType.STRING)], keys), packed)

    def __exit__(self, *error: Any) -> None:
        self._load.__exit__(*error)


def _python(value: Value) -> Any:
    name = value.WhichOneof("val")
    if name is None:
        return None
    found = getattr(value, name)
    return list(found.val) if name.endswith("list_val") else found


@pytest.fixture(params=[{}, {"key_file": "keys/online.key"}], ids=["plain", "sealed"])
def kept(request: pytest.FixtureRequest) -> dict[str, str]:
    """How records are kept: as they are, or encrypted."""
    options: dict[str, str] = request.param
    return options


@pytest.fixture
def online(tmp_path: Path, kept: dict[str, str]) -> Online:
    return Online(tmp_path, **kept)


@pytest.fixture
def another(tmp_path: Path, kept: dict[str, str]) -> Callable[..., Online]:
    """A store in the same folder: of another project, or with other options."""
    return lambda **options: Online(tmp_path, **{**kept, **options})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the store's clock."""

    def set_to(moment: datetime) -> None:
        monkeypatch.setattr("profilestore.online_store.store._now", lambda: to_micros(moment))

    set_to(NOON)
    return set_to


class Child:
    """A process that runs one function; `send`, `receive`, `result`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("fork")
        self._here, there = context.Pipe()

        def run() -> None:
            self._here.close()
            try:
                there.send((True, function(there, *arguments)))
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
                there.send((False, (text, traceback.format_exc())))

        self.process = context.Process(target=run)
        self.process.start()
        there.close()

    def send(self, message: Any = None) -> None:
        try:
            self._here.send(message)
        except BrokenPipeError:
            raise AssertionError(self.error()) from None

    def receive(self) -> Any:
        assert self._here.poll(20), "the other process says nothing"
        return self._here.recv()

    def result(self) -> Any:
        """What the function returned."""
        good, found = self.receive()
        self.process.join(20)
        assert good, found[1]
        return found

    def error(self) -> str:
        """The name and text of what the function raised."""
        good, found = self.receive()
        self.process.join(20)
        assert not good, found
        return str(found[0])


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """`child(function, *arguments)`: another process, which has a pipe as its first argument."""
    started: list[Child] = []

    def start(function: Callable[..., Any], *arguments: Any) -> Child:
        started.append(Child(function, *arguments))
        return started[-1]

    yield start
    for one in started:
        with suppress(Exception):
            one.process.kill()
        one.process.join()
