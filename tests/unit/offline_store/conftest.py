"""A lake and a feature repo of one's own, for each test that asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from feast import Entity, FeatureStore, FeatureView, Field
from feast.types import Array, Float32, Int64
from feast.types import Decimal as FeastDecimal
from feast.value_type import ValueType

from profilestore.lake import connect
from profilestore.offline_store import DuckDBSource
from profilestore.offline_store.connections import forget_instances

ACTIVITY = """
    CREATE TABLE lake.main.user_activity AS
    SELECT * FROM (VALUES
        (1::BIGINT, TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-01 01:00', 10::BIGINT,
         [1, 2]::FLOAT[], 1.50::DECIMAL(10,2)),
        (1, TIMESTAMP '2024-01-03', TIMESTAMP '2024-01-05', 20, [3, 4], 2.50),
        (2, TIMESTAMP '2024-01-02', TIMESTAMP '2024-01-02 01:00', NULL, NULL, NULL),
        (NULL, TIMESTAMP '2024-01-02', TIMESTAMP '2024-01-02 01:00', 99, NULL, NULL)
    ) AS t(user_id, event_timestamp, loaded_at, clicks, vector, amount)
"""
SITE = """
    CREATE TABLE lake.main.site AS
    SELECT TIMESTAMPTZ '2024-01-02 00:00:00+00' AS event_timestamp, 7::BIGINT AS load
    UNION ALL SELECT TIMESTAMPTZ '2024-01-04 00:00:00+00', 8
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], None]:
    """Run a statement on the test's lake, as dbt would: in another connection."""
    files = tmp_path / "lake" / "files"
    files.mkdir(parents=True)

    def run(statement: str) -> None:
        with connect() as connection:
            connection.execute(
                f"ATTACH 'ducklake:sqlite:{tmp_path}/lake/catalog.sqlite' AS lake "
                f"(DATA_PATH '{files}/')"
            )
            connection.execute(statement)

    return run


@pytest.fixture
def repo(tmp_path: Path, write: Callable[[str], None]) -> Iterator[FeatureStore]:
    """A feature repo with nothing applied, beside a lake with two tables."""
    write(ACTIVITY)
    write(SITE)
    folder = tmp_path / "feature_repo"
    folder.mkdir()
    (folder / "feature_store.yaml").write_text(
        "project: unit\nprovider: local\nregistry: registry.db\n"
        "entity_key_serialization_version: 3\n"
        "online_store: {type: sqlite, path: online.db}\n"
        "offline_store:\n"
        "  type: profilestore.offline_store.NativeDuckDBOfflineStore\n"
        "  catalog: ../lake/catalog.sqlite\n"
        "  data_path: ../lake/files\n"
    )
    yield FeatureStore(repo_path=str(folder))
    forget_instances()


@pytest.fixture
def applied(repo: FeatureStore) -> FeatureStore:
    """The repo with the views `user_activity` and `site` applied."""
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
    activity = FeatureView(
        name="user_activity",
        entities=[user],
        source=DuckDBSource(
            table="user_activity",
            timestamp_field="event_timestamp",
            created_timestamp_column="loaded_at",
        ),
        schema=[
            Field(name="clicks", dtype=Int64),
            Field(name="vector", dtype=Array(Float32)),
            Field(name="amount", dtype=FeastDecimal),
        ],
    )
    site = FeatureView(
        name="site",
        source=DuckDBSource(table="site", timestamp_field="event_timestamp"),
        schema=[Field(name="load", dtype=Int64)],
    )
    repo.apply([user, activity, site])
    return repo


@pytest.fixture
def reopen(repo: FeatureStore) -> Callable[..., FeatureStore]:
    """The repo again, with more options of the offline store."""

    def again(**options: object) -> FeatureStore:
        settings = Path(repo.repo_path) / "feature_store.yaml"
        added = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in options.items())
        settings.write_text(settings.read_text() + added)
        return FeatureStore(repo_path=str(repo.repo_path))

    return again
