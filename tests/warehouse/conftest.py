"""Warehouses built by the real command from small generated logs, in copies.

Tests are imported with `--import-mode=importlib`, where a test cannot import its neighbour by name:
the two modules beside this file are loaded here by path, under names of their own.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

from profilestore import lake
from profilestore.privacy.pseudonyms import pseudonym
from profilestore.settings import Settings, child_environment
from profilestore.sources import RawLog, write_raw_logs
from profilestore.sources.simulator import Simulation, simulate

HERE = Path(__file__).parent
REPO = HERE.parents[1]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PHRASE = "zebra-quilt phrase of a test's deployment"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"warehouse_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


logs = _load("logs")
reference = _load("reference")
given = _load("given")


@dataclass(frozen=True)
class Warehouse:
    """A deployment whose lake was built from a log that we made.

    Attributes:
        events: the rows of the owner's files, in their order.
        categories: item -> categories of the catalogue.
    """

    settings: Settings
    raw: RawLog
    events: list[Any]
    categories: dict[str, list[str]]

    @property
    def accepted(self) -> list[Any]:
        """The sound events, with the pseudonym for the person."""
        sound = (one for one in self.events if one.fault is None)
        return [
            logs.Event(**{**vars(one), "user": pseudonym(one.user, PHRASE.encode())})
            for one in sound
        ]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table of the lake; timestamps are microseconds since 1970."""
        with lake.connect() as connection:
            lake.attach_lake(connection, self.settings.lake_catalog, self.settings.lake_files)
            rows: list[dict[str, Any]] = reference.plain(
                connection.execute(f"FROM lake.main.{table}").to_arrow_table()
            )
        return rows


def build(settings: Settings) -> subprocess.CompletedProcess[str]:
    """`profilestore build`, as make runs it."""
    return subprocess.run(
        [sys.executable, "-m", "profilestore", "build"],
        cwd=REPO,
        env=child_environment(
            PROFILESTORE_HOME=str(settings.home), PROFILESTORE_PSEUDONYM_KEY=PHRASE
        ),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def build_in() -> Callable[[Settings], subprocess.CompletedProcess[str]]:
    return build


def new_home(folder: Path) -> Settings:
    """A deployment with nothing in it but a copy of the dbt project."""
    settings = Settings(folder / "home", pseudonym_key=PHRASE)
    ignored = shutil.ignore_patterns("target", "logs")
    shutil.copytree(REPO / "dbt_project", settings.dbt_project, ignore=ignored)
    return settings


@pytest.fixture(scope="session")
def home_in() -> Callable[[Path], Settings]:
    return new_home


def make_warehouse(folder: Path, shift: str) -> Warehouse:
    rng = random.Random(20261122)
    categories = logs.catalogue(rng)
    events = logs.sound_log(rng, list(categories))
    faulty = logs.faulty_rows()
    # Among the others, in their own order.
    for place, one in zip(sorted(rng.sample(range(len(events)), len(faulty))), faulty, strict=True):
        events.insert(place, one)
    settings = new_home(folder)
    source = logs.write_source(folder / "source", events, categories, shift)
    raw = write_raw_logs(str(source), settings, now=NOW)
    done = build(settings)
    assert done.returncode == 0, done.stderr
    return Warehouse(settings, raw, events, categories)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return make_warehouse(tmp_path_factory.mktemp("warehouse"), "none")


@pytest.fixture(scope="session")
def lake_of_events(warehouse: Warehouse) -> Any:
    """Marts over events that a test makes up."""
    return given.Lake(warehouse.settings.dbt_project / "target" / "compiled" / "profilestore")


@pytest.fixture(scope="session")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The same log, brought to our clock."""
    return make_warehouse(tmp_path_factory.mktemp("shifted"), "to_now")


# Not one of those by which the thresholds were chosen.
SHOP = Simulation(users=800, days=30, seed=4096)


@dataclass(frozen=True)
class Scored:
    """A lake, attached, with the truth beside it: `judged` has each raw row with its `kinds`."""

    settings: Settings
    connection: duckdb.DuckDBPyConnection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def counts(self, where: str) -> dict[str | None, int]:
        """Rows by verdict."""
        return dict(
            self.rows(f"SELECT rejected_because, count(*) FROM judged WHERE {where} GROUP BY 1")
        )

    def truth(self, table: str) -> str:
        return f"'{self.settings.simulated}/truth/{table}.parquet'"


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scored]:
    """Simulated logs, built once."""
    settings = new_home(tmp_path_factory.mktemp("scored"))
    simulate(SHOP, settings.simulated)
    write_raw_logs("simulated", settings, now=NOW)
    done = build(settings)
    assert done.returncode == 0, done.stderr
    with lake.connect() as connection:
        lake.attach_lake(connection, settings.lake_catalog, settings.lake_files)
        found = Scored(settings, connection)
        connection.execute(
            f"""
            CREATE TABLE judged AS
            WITH noted AS (
                SELECT file, row, list(kind) AS kinds FROM {found.truth("dirt")} GROUP BY ALL
            )
            SELECT checked.*, coalesce(noted.kinds, []) AS kinds
            FROM lake.int_events_checked AS checked
            LEFT JOIN noted ON checked.raw_file = noted.file AND checked.raw_row = noted.row
            """
        )
        yield found
