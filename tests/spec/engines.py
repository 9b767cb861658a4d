"""Run a scenario on our store, with lake tables, queries or files, and on Feast's dask store."""

from __future__ import annotations

import math
import warnings
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int64,
    String,
    Struct,
    UnixTimestamp,
)
from feast.types import Decimal as FeastDecimal
from feast.value_type import ValueType

from profilestore.lake import connect
from profilestore.offline_store import DuckDBSource

FEAST_TYPES = {
    "int": Int64,
    "float": Float64,
    "text": String,
    "bool": Bool,
    "time": UnixTimestamp,
    "berlin": UnixTimestamp,
    "naive": UnixTimestamp,
    "date": UnixTimestamp,
    "decimal": FeastDecimal,
    "bytes": Bytes,
    "texts": Array(String),
    "floats": Array(Float32),
    "pair": Struct({"n": Int64, "word": String}),
}


OURS = (
    "{type: profilestore.offline_store.NativeDuckDBOfflineStore, "
    "catalog: ../lake/catalog.sqlite, data_path: ../lake/files}"
)
OFFLINE_STORES = {"lake": OURS, "queries": OURS, "files": OURS, "dask": "{type: dask}"}


class Repos:
    """One feature repo per engine and scenario, made when first asked for, and one lake for all.

    Engines: our store with lake tables and an Arrow spine (`lake`), with queries on the lake and a
    query as spine (`queries`), with files and a pandas spine (`files`), and Feast's store for
    files with the same files and spine (`dask`).
    """

    def __init__(self, root: Path, scenarios: list[Any]) -> None:
        self._root = root
        self._schemas = {scenario.name: f"s{n}" for n, scenario in enumerate(scenarios)}
        self._stores: dict[tuple[str, str], FeatureStore] = {}
        self._write_lake(scenarios)

    def run(self, engine: str, scenario: Any) -> pa.Table:
        """The result of a scenario on an engine."""
        with warnings.catch_warnings():
            if engine == "dask":
                warnings.simplefilter("ignore")
            job = ask(self.store(engine, scenario), scenario, self._spine(engine, scenario))
            if engine == "dask":
                return pa.Table.from_pandas(job.to_df(), preserve_index=False)
            return job.to_arrow()

    def store(self, engine: str, scenario: Any) -> FeatureStore:
        key = (engine, scenario.name)
        if key not in self._stores:
            folder = self._root / f"{engine}_{self._schemas[scenario.name]}"
            folder.mkdir()
            source = getattr(self, f"_source_for_{engine}")(scenario, folder)
            self._stores[key] = open_store(scenario, folder, OFFLINE_STORES[engine], source)
        return self._stores[key]

    def _write_lake(self, scenarios: list[Any]) -> None:
        files = self._root / "lake" / "files"
        files.mkdir(parents=True)
        with connect() as connection:
            connection.execute(
                f"ATTACH 'ducklake:sqlite:{self._root}/lake/catalog.sqlite' AS lake "
                f"(DATA_PATH '{files}/')"
            )
            connection.execute("BEGIN")
            for scenario in scenarios:
                schema = self._schemas[scenario.name]
                connection.execute(f"CREATE SCHEMA lake.{schema}")
                tables = {name: grid.arrow() for name, grid in scenario.histories.items()}
                if _spine_can_be_a_table(scenario):
                    rows = scenario.spine.arrow()
                    order = pa.array(range(rows.num_rows))
                    tables["spine"] = rows.append_column("row order", order)
                for name, table in tables.items():
                    connection.register("given", table)
                    connection.execute(f"CREATE TABLE lake.{schema}.{name} AS FROM given")
                    connection.unregister("given")
            connection.execute("COMMIT")

    def _spine(self, engine: str, scenario: Any) -> Any:
        if scenario.spine is None:
            return None
        if engine == "queries" and _spine_can_be_a_table(scenario):
            names = ", ".join(
                '"' + name.replace('"', '""') + '"' for name in scenario.spine.columns
            )
            schema = self._schemas[scenario.name]
            return f'SELECT {names} FROM lake.{schema}.spine ORDER BY "row order";  '
        table = scenario.spine.arrow()
        return table if engine in ("lake", "queries") else table.to_pandas()

    def _source_for_lake(self, scenario: Any, folder: Path) -> Any:
        schema = self._schemas[scenario.name]
        return lambda view: DuckDBSource(
            name=view.table, table=f"{schema}.{view.table}", **_times(view)
        )

    def _source_for_queries(self, scenario: Any, folder: Path) -> Any:
        schema = self._schemas[scenario.name]
        return lambda view: DuckDBSource(
            name=view.table, query=f"FROM lake.{schema}.{view.table} -- all", **_times(view)
        )

    def _source_for_files(self, scenario: Any, folder: Path) -> Any:
        for table, grid in scenario.histories.items():
            pq.write_table(grid.arrow(), folder / f"{table}.parquet")
        return lambda view: FileSource(
            name=view.table, path=f"{view.table}.parquet", **_times(view)
        )

    _source_for_dask = _source_for_files


def _times(view: Any) -> dict[str, Any]:
    return {
        "timestamp_field": view.event,
        "created_timestamp_column": view.created,
        "field_mapping": view.mapping,
    }


def _spine_can_be_a_table(scenario: Any) -> bool:
    """DuckDB tables cannot have two columns that differ only in capitals; data frames can."""
    if scenario.spine is None:
        return False
    return len({name.lower() for name in scenario.spine.columns}) == len(scenario.spine.columns)


def open_store(scenario: Any, folder: Path, offline_store: str, source: Any) -> FeatureStore:
    """A feature repo in `folder` with the scenario's views applied, and a service that asks."""
    (folder / "feature_store.yaml").write_text(
        "project: spec\nprovider: local\nregistry: registry.db\n"
        "entity_key_serialization_version: 3\n"
        "online_store: {type: sqlite, path: online.db}\n"
        f"offline_store: {offline_store}\n"
    )
    entities: dict[str, Entity] = {}
    views: dict[str, FeatureView] = {}
    projections = []
    for view in scenario.views:
        grid = scenario.histories[view.table]
        types = {
            view.mapping.get(name, name): FEAST_TYPES[kind]
            for name, kind in zip(grid.columns, grid.types, strict=True)
        }
        if view.table not in views:
            for key in view.keys:
                value_type = ValueType.STRING if types[key] is String else ValueType.INT64
                entities.setdefault(key, Entity(name=key, join_keys=[key], value_type=value_type))
            times = {view.event, view.created}
            views[view.table] = FeatureView(
                name=view.table,
                entities=[entities[key] for key in view.keys],
                ttl=view.ttl,
                schema=[
                    Field(name=name, dtype=dtype)
                    for name, dtype in types.items()
                    if name not in times
                ],
                source=source(view),
            )
        projection = views[view.table]
        if view.alias:
            projection = projection.with_name(view.alias)
        if view.join_key_map:
            projection = projection.with_join_key_map(view.join_key_map)
        projections.append(projection[scenario.features_of(view)])
    store = FeatureStore(repo_path=str(folder))
    store.apply(
        [
            *entities.values(),
            *views.values(),
            FeatureService(name="asked", features=projections),
        ]
    )
    return store


def ask(store: FeatureStore, scenario: Any, spine: Any) -> Any:
    service = store.get_feature_service("asked")
    between = scenario.between or (None, None)
    return store.get_historical_features(
        entity_df=spine,
        features=service,
        full_feature_names=scenario.full_names,
        start_date=between[0],
        end_date=between[1],
        filter_by_created_timestamp=scenario.known_only,
    )


def plain(table: pa.Table) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of plain Python values, comparable across engines."""
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    return table.column_names, list(zip(*columns, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, pd.Timestamp):
        value = value.to_pydatetime()
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, Decimal):
        return value.normalize()
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return tuple((name, _plain(item)) for name, item in value.items())
    return value


def plain_grid(grid: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    rows = [tuple(_plain(value) for value in row) for row in grid.rows]
    return list(grid.columns), rows


def unordered(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in an order that depends on their values only (equal numbers hash alike: 1 and 1.0)."""
    return sorted(rows, key=lambda row: [hash(value) for value in row])
