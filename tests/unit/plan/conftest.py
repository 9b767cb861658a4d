"""A small feature repo that was really applied and materialised, to change and to compare."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from profilestore.codegen import generate
from profilestore.feature_store import FeatureStore
from profilestore.lake import connect
from profilestore.offline_store.connections import forget_instances
from profilestore.plan import Finding, Plan, make_plan
from profilestore.settings import Settings, child_environment

REPO = Path(__file__).resolve().parents[3]
TIME = "timestamp with time zone"
FEATURE_STORE = """
project: small
provider: local
registry: {registry_type: file, path: ../data/registry.db}
offline_store:
  type: profilestore.offline_store.NativeDuckDBOfflineStore
  catalog: ../data/lake/catalog.sqlite
  data_path: ../data/lake/files
online_store: {type: sqlite, path: ../data/online/online.db}
entity_key_serialization_version: 3
materialization: {pull_latest_features: true}
"""
SERVICES = """
from feast import FeatureService
from feature_views import item_attributes, user_activity, user_history

retrieval_v1 = FeatureService(
    name="retrieval_v1",
    features=[user_activity, user_history, item_attributes],
    tags={"purpose": "recommendation"},
)
profile_v1 = FeatureService(
    name="profile_v1", features=[user_activity, user_history], tags={"purpose": "profile"}
)
items_v1 = FeatureService(
    name="items_v1",
    features=[item_attributes[["title", "blurb"]]],
    tags={"purpose": "profile"},
)
"""
LAKE = """
    CREATE TABLE lake.main.user_activity AS
    SELECT 'u-1' AS user_id, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS event_timestamp,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' AS loaded_at, 1::BIGINT AS events_7d,
        1::BIGINT AS events_lifetime, 2.5::FLOAT AS value_mean_7d,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' AS last_event_at;
    CREATE TABLE lake.main.user_history AS
    SELECT 'u-1' AS user_id, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS event_timestamp,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' AS loaded_at, ['i-1'] AS item_ids,
        [3]::INTEGER[] AS places;
    CREATE TABLE lake.main.item_attributes AS
    SELECT 'i-1' AS item_id, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS event_timestamp,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' AS loaded_at, 'A film' AS title,
        'About it' AS blurb, 1999 AS release_year;
    CREATE TABLE lake.main.interactions AS SELECT 'u-1' AS user_id;
"""


def column(name: str, data_type: str = "bigint", **meta: Any) -> dict[str, Any]:
    return {
        "name": name,
        "data_type": data_type,
        "description": f"What {name} holds.",
        "config": {"meta": {"class": "behaviour"} | meta},
    }


def model(name: str, entity: str, *columns: dict[str, Any], **feast: Any) -> dict[str, Any]:
    every = [column(f"{entity}_id", "varchar"), *columns]
    every += [column("event_timestamp", TIME), column("loaded_at", TIME)]
    return {
        "resource_type": "model",
        "name": name,
        "description": f"One row per {entity}.",
        "config": {
            "contract": {"enforced": True},
            "meta": {
                "owner": "analytics",
                "purposes": ["profile", "recommendation"],
                "feast": {"entity": entity} | feast,
            },
        },
        "depends_on": {"nodes": []},
        "columns": {one["name"]: one for one in every},
    }


@dataclass
class Declaration:
    """What dbt and the feature repo say; tests change it."""

    models: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            one["name"]: one
            for one in (
                model(
                    "user_activity",
                    "user",
                    column("events_7d", unit="events"),
                    column("events_lifetime"),
                    column("value_mean_7d", "float"),
                    column("last_event_at", TIME, unit="seconds"),
                    ttl_days=30,
                    tags={"block": "activity"},
                ),
                model(
                    "user_history",
                    "user",
                    column("item_ids", "varchar[]", vocabulary="item_id"),
                    column("places", "integer[]"),
                ),
                model(
                    "item_attributes",
                    "item",
                    column("title", "varchar"),
                    column("blurb", "varchar"),
                    column("release_year", "integer"),
                ),
            )
        }
    )
    exposures: dict[str, Any] = field(default_factory=dict)
    services: str = SERVICES
    files: dict[str, str] = field(default_factory=dict)

    def columns(self, view: str) -> dict[str, Any]:
        columns: dict[str, Any] = self.models[view]["columns"]
        return columns

    def meta(self, view: str) -> dict[str, Any]:
        said: dict[str, Any] = self.models[view]["config"]["meta"]
        return said

    def feast(self, view: str) -> dict[str, Any]:
        said: dict[str, Any] = self.meta(view)["feast"]
        return said

    def replace(self, old: str, new: str) -> None:
        assert old in self.services
        self.services = self.services.replace(old, new)

    def rename(self, view: str, old: str, new: str) -> None:
        columns = self.columns(view)
        columns[new] = columns.pop(old) | {"name": new}

    def write(self, settings: Settings) -> None:
        """Into the home folder, with feature_views.py as `make generate` writes it."""
        settings.manifest.parent.mkdir(parents=True, exist_ok=True)
        nodes = {f"model.profilestore.{name}": deepcopy(one) for name, one in self.models.items()}
        content = {"nodes": nodes, "exposures": self.exposures}
        settings.manifest.write_text(json.dumps(content))
        settings.feature_repo.mkdir(exist_ok=True)
        (settings.feature_repo / "feature_store.yaml").write_text(FEATURE_STORE)
        entities = (REPO / "feature_repo" / "entities.py").read_text()
        for name, text in {
            "entities.py": entities,
            "feature_services.py": self.services,
            **self.files,
        }.items():
            (settings.feature_repo / name).write_text(text)
        generate(settings)


def feast_apply(settings: Settings) -> None:
    settings.online.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("feast")), "apply"],
        cwd=settings.feature_repo,
        env=child_environment(PROFILESTORE_HOME=str(settings.home), PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was applied and materialised, with a bundle."""
    settings = Settings(tmp_path_factory.mktemp("plan") / "home")
    settings.lake_files.mkdir(parents=True)
    with connect() as connection:
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{settings.lake_catalog}' AS lake "
            f"(DATA_PATH '{settings.lake_files}/')"
        )
        connection.execute(LAKE)
    Declaration().write(settings)
    feast_apply(settings)
    FeatureStore(settings).materialize()
    forget_instances()
    bundle = settings.models / "v1"
    bundle.mkdir(parents=True)
    (settings.models / "current.json").write_text('{"version": "v1"}')
    manifest = {"version": "v1", "files": {}, "feature_service": "retrieval_v1"}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    encoding = {
        "entity": "user",
        "numbers": ["user_activity__events_7d"],
        "ages": [],
        "ids": {},
        "id_lists": {"user_history__item_ids": "item_id"},
        "weights": {},
        "left_out": {},
    }
    (bundle / "encoding.json").write_text(json.dumps(encoding))
    return settings.home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Settings:
    """A copy of the applied home."""
    shutil.copytree(template, tmp_path / "home")
    return Settings(tmp_path / "home")


@pytest.fixture
def declaration() -> Declaration:
    """What the applied home declares."""
    return Declaration()


Edit = Callable[[Declaration], None]


@pytest.fixture
def plan_of(home: Settings, declaration: Declaration) -> Callable[[Edit], Plan]:
    """The plan after an edit of the declaration."""

    def make(edit: Edit) -> Plan:
        edit(declaration)
        declaration.write(home)
        return make_plan(home)

    return make


@pytest.fixture
def only(plan_of: Callable[[Edit], Plan]) -> Callable[[Edit], Finding]:
    """The one finding after an edit."""

    def make(edit: Edit) -> Finding:
        (finding,) = plan_of(edit).findings
        return finding

    return make


@pytest.fixture
def apply() -> Callable[[Settings], None]:
    return feast_apply


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    } | {str(path.relative_to(folder)): (b"", 0) for path in folder.rglob("*") if path.is_dir()}


@pytest.fixture
def untouched() -> Callable[[Path], dict[str, tuple[bytes, int]]]:
    """Every file below a folder with its bytes and its time, and every folder."""
    return contents
