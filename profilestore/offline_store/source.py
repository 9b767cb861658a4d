"""Where a feature view's rows come from: a table, a query, or files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from feast.data_format import DeltaFormat, ParquetFormat
from feast.data_source import DataSource, PushSource
from feast.infra.offline_stores.file_source import FileSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.offline_store.connections import LakeLocation, Needs, cursor
from profilestore.offline_store.point_in_time import Column, identifier, literal
from profilestore.offline_store.types import (
    TIMESTAMPS,
    UNTYPED,
    arrow_type,
    kind,
    portable,
    value_type,
)

# Written into registries: never change it.
CLASS_PATH = "profilestore.offline_store.DuckDBSource"


class DuckDBSource(DataSource):  # type: ignore[misc]
    """A relation that DuckDB can read.

    Exactly one of:
        table: a lake table or view; `user_activity` means `lake.main.user_activity`. With
            `database`, a table or view of that DuckDB file; `t` means `main.t` there.
        query: one SELECT; lake tables are called `lake.main.<table>` in it.
        path: relative to the feature repo: a Parquet or CSV file, a glob of them, a folder of
            Parquet files (at any depth), or the folder of a Delta table.

    Args:
        database: a DuckDB file, relative to the feature repo. It is opened read-only while a job
            reads it. A process that has it open for writing keeps readers out, and the reverse.

    Times without a zone are UTC. Everything is read from the local disk.

    Raises:
        InputError: none or several of table, query and path; no name where there is no table; a
            database without a table.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        table: str | None = None,
        query: str | None = None,
        path: str | None = None,
        database: str | None = None,
        timestamp_field: str | None = None,
        created_timestamp_column: str | None = None,
        field_mapping: dict[str, str] | None = None,
        description: str | None = "",
        tags: dict[str, str] | None = None,
        owner: str | None = "",
    ) -> None:
        given = [
            key for key, value in (("table", table), ("query", query), ("path", path)) if value
        ]
        if len(given) != 1:
            raise InputError(
                f"DuckDBSource {name or ''!r}: give exactly one of table, query and path; "
                f"given: {', '.join(given) or 'none'}."
            )
        if database and not table:
            raise InputError(
                f"DuckDBSource {name or ''!r}: database={database!r} goes with a table of it; "
                f"given: {given[0]}. For a query over a DuckDB file make a view in the file."
            )
        name = name or table
        if not name:
            raise InputError(f"DuckDBSource with {given[0]}=...: give it a name.")
        self.table = table or None
        self.query = query or None
        self.path = path or None
        self.database = database or None
        super().__init__(
            name=name,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            field_mapping=field_mapping,
            description=description,
            tags=tags,
            owner=owner,
        )

    def _reads(self) -> tuple[str | None, ...]:
        return self.table, self.query, self.path, self.database

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DuckDBSource)
            and bool(super().__eq__(other))
            and self._reads() == other._reads()
        )

    def __hash__(self) -> int:
        return hash((self.name, *self._reads()))

    def _set_timestamps_in_proto(self, data_source_proto: Any) -> None:
        """Leave out when this object was made: Feast would show it as a change of every view."""

    def source_type(self) -> Any:
        return DataSourceProto.CUSTOM_SOURCE

    @staticmethod
    def from_proto(data_source: Any) -> DuckDBSource:
        options = json.loads(data_source.custom_options.configuration)
        return DuckDBSource(
            name=data_source.name,
            table=options.get("table"),
            query=options.get("query"),
            path=options.get("path"),
            database=options.get("database"),
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
        )

    def _to_proto_impl(self) -> Any:
        options = {
            "table": self.table,
            "query": self.query,
            "path": self.path,
            "database": self.database,
        }
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=CLASS_PATH,
            custom_options=DataSourceProto.CustomSourceOptions(
                configuration=json.dumps(
                    {key: value for key, value in options.items() if value}, sort_keys=True
                ).encode()
            ),
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            field_mapping=self.field_mapping,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
        )

    def validate(self, config: RepoConfig) -> None:
        """Check that the relation exists and has the columns that this source names.

        Raises:
            MissingStageError: no such lake, table or file.
            InputError: a column is missing or is not a time; the query does not run.
        """
        check_source(self, config)

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        return value_type

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        """(column, DuckDB type) in the relation's order."""
        return [(column.name, column.type) for column in columns_of(self, config)]

    def get_table_query_string(self) -> str:
        """What stands after FROM; a path stays relative to the feature repo.

        A DuckDB file has to be attached under its path as its name.
        """
        return _relation(self, None)


def lake_location(config: RepoConfig) -> LakeLocation:
    """The lake of a feature repo; paths in `feature_store.yaml` are relative to the repo."""
    store = config.offline_store
    root = repo_root(config)
    return LakeLocation(
        catalog=(root / store.catalog).resolve() if store.catalog else None,
        files=(root / store.data_path).resolve() if store.data_path else None,
        threads=store.threads,
        memory_limit=store.memory_limit,
        snapshot=store.snapshot,
        snapshot_time=store.snapshot_time,
    )


def repo_root(config: RepoConfig) -> Path:
    """The folder of the feature repo, from which its paths go."""
    return Path(config.repo_path) if config.repo_path else Path.cwd()


def batch_source(source: DataSource | None, used_by: str) -> DataSource:
    """The source that holds history: itself, or the one behind a PushSource.

    Raises:
        InputError: there is none, or it is of a kind that DuckDB does not read.
    """
    if isinstance(source, PushSource):
        source = source.batch_source
    if isinstance(source, DuckDBSource):
        return source
    if isinstance(source, FileSource):
        known = (ParquetFormat, DeltaFormat)
        if source.file_format is not None and not isinstance(source.file_format, known):
            raise InputError(
                f"{used_by}: source {source.name!r} is a FileSource of "
                f"{type(source.file_format).__name__}; this store reads Parquet and Delta. For "
                f"CSV give DuckDBSource(path=...)."
            )
        if "://" in source.path and not source.path.startswith("file://"):
            raise InputError(
                f"{used_by}: source {source.name!r} is at {source.path}; this store reads from the "
                f"local disk. Copy or mount it, and give the local path."
            )
        return source
    found = "no batch source" if source is None else f"a {type(source).__name__}"
    raise InputError(f"{used_by}: found {found}; wanted a DuckDBSource or a FileSource.")


def relation(source: DataSource, config: RepoConfig) -> str:
    """What stands after FROM for a source returned by `batch_source`."""
    return _relation(source, repo_root(config))


def needs(source: DataSource, config: RepoConfig) -> Needs:
    """What a connection needs for `relation(source, config)` beside the lake."""
    database = database_path(source, config)
    path = file_path(source, config)
    one_file = path is not None and not is_csv(path) and path.is_file()
    return Needs(
        databases=frozenset() if database is None else frozenset({database}),
        delta=path is not None and is_delta(source, path),
        files=frozenset({path}) if path is not None and one_file else frozenset(),
    )


def database_path(source: DataSource, config: RepoConfig) -> Path | None:
    """The DuckDB file of a source that is a table of one."""
    if isinstance(source, DuckDBSource) and source.database:
        return (repo_root(config) / source.database).resolve()
    return None


def file_path(source: DataSource, config: RepoConfig) -> Path | None:
    """The file, folder or glob of a source that is one."""
    if isinstance(source, FileSource) or source.path:
        path: str = source.path
        return repo_root(config) / path.removeprefix("file://")
    return None


def is_delta(source: DataSource, path: Path) -> bool:
    """Whether files are a Delta table: declared as one, or with a log that says which count."""
    if isinstance(source, FileSource) and isinstance(source.file_format, DeltaFormat):
        return True
    return (path / "_delta_log").is_dir()


def _relation(source: DataSource, root: Path | None) -> str:
    if isinstance(source, FileSource):
        return _files(source, root)
    if source.table:
        parts = [part.strip('"').replace('""', '"') for part in _PART.findall(source.table)]
        if source.database:
            whole = Path(source.database) if root is None else (root / source.database).resolve()
            parts = [str(whole), *(["main"] if len(parts) == 1 else []), *parts]
        elif len(parts) < 3:
            parts = ["lake", *(["main"] if len(parts) == 1 else []), *parts]
        return ".".join(identifier(part) for part in parts)
    if source.query:
        return f"(\n{bare_query(source.query)}\n)"
    return _files(source, root)


_PART = re.compile(r'"(?:[^"]|"")+"|[^".]+')


def _files(source: DataSource, root: Path | None) -> str:
    path = source.path.removeprefix("file://")
    whole = Path(path) if root is None else root / path
    if is_csv(whole):
        return f"read_csv({literal(str(whole))})"
    if is_delta(source, whole):
        return f"delta_scan({literal(str(whole))})"
    if root is not None and whole.is_dir():
        whole = whole / "**" / "*.parquet"
    return f"read_parquet({literal(str(whole))})"


def is_csv(path: Path) -> bool:
    """Whether a path is read as CSV: `.csv`, `.tsv`, or compressed (`.csv.gz`)."""
    name = path.name.lower()
    return name.endswith((".csv", ".tsv")) or ".csv." in name


def bare_query(query: str) -> str:
    """A query without the semicolons that would end it inside brackets."""
    text = query.encode()
    # Positions are in bytes; comments are no tokens.
    for position, _ in reversed(duckdb.tokenize(query)):
        if text[position : position + 1] != b";":
            break
        text = text[:position]
    return text.decode().strip()


def is_query(source: DataSource) -> bool:
    return isinstance(source, DuckDBSource) and source.query is not None


def source_column(source: DataSource, name: str) -> str:
    """The source's column behind a mapped name (feature, key or time)."""
    for column, mapped in (source.field_mapping or {}).items():
        if mapped == name:
            return str(column)
    return name


def describe(connection: duckdb.DuckDBPyConnection, relation_sql: str) -> list[Column]:
    """Names and types of what `FROM <relation_sql>` gives.

    Raises:
        duckdb.Error: it cannot be read.
    """
    rows = connection.execute(f"DESCRIBE SELECT * FROM {relation_sql}").fetchall()
    return [Column(name=row[0], type=row[1]) for row in rows]


def estimated_rows(connection: duckdb.DuckDBPyConnection, relation_sql: str) -> int | None:
    """DuckDB's estimate of how many rows `FROM <relation_sql>` gives; nothing is read for it."""
    found = connection.execute(f"EXPLAIN (FORMAT json) SELECT * FROM {relation_sql}").fetchall()
    plan = json.loads(found[0][1])
    estimate = plan[0].get("extra_info", {}).get("Estimated Cardinality") if plan else None
    return None if estimate is None else int(estimate)


def columns_of(source: DataSource, config: RepoConfig, used_by: str = "") -> list[Column]:
    """As `read_columns`, on a connection of its own."""
    with cursor(lake_location(config), needs(source, config)) as connection:
        return read_columns(connection, source, config, used_by)


def arrow_schema(source: DataSource, config: RepoConfig) -> pa.Schema:
    """The columns of a source returned by `batch_source`, as Arrow has them."""
    with cursor(lake_location(config), needs(source, config)) as connection:
        columns = read_columns(connection, source, config)
        outputs = [portable(identifier(column.name), column.type) for column in columns]
        found = connection.execute(
            f"SELECT {', '.join(outputs)} FROM {relation(source, config)} LIMIT 0"
        ).to_arrow_table()
    types = [arrow_type(field.type) for field in found.schema]
    return pa.schema([(c.name, given) for c, given in zip(columns, types, strict=True)])


def read_columns(
    connection: duckdb.DuckDBPyConnection, source: DataSource, config: RepoConfig, used_by: str = ""
) -> list[Column]:
    """The columns of a source returned by `batch_source`.

    Args:
        connection: with what the source `needs`.

    Raises:
        MissingStageError: no such table or file.
        InputError: its query does not run; its files are not what they are said to be.
    """
    where = f"{used_by}: source {source.name!r}" if used_by else f"source {source.name!r}"
    try:
        return describe(connection, relation(source, config))
    except duckdb.Error as error:
        if is_query(source):
            raise InputError(
                f"{where}: its query does not run: {first_line(error)} Correct the query; lake "
                f"tables are called lake.main.<table> in it."
            ) from error
        database = database_path(source, config)
        if database is not None:
            raise MissingStageError(
                f"{where}: no table {source.table!r} in DuckDB file {database}; found: "
                f"{_tables(connection, str(database))}. Make it, or correct the name."
            ) from error
        if isinstance(source, DuckDBSource) and source.table:
            raise _no_lake_table(connection, source, config, where) from error
        raise _unreadable_files(source, config, where, error) from error


def _no_lake_table(
    connection: duckdb.DuckDBPyConnection, source: DuckDBSource, config: RepoConfig, where: str
) -> MissingStageError:
    location = lake_location(config)
    if location.catalog is None:
        return MissingStageError(
            f"{where}: table {source.table!r} is a lake table, and the offline store has no lake. "
            f"Give `catalog` in feature_store.yaml, or `database` in the source."
        )
    pinned = ""
    if location.snapshot is not None or location.snapshot_time is not None:
        pinned = f" as of snapshot {location.snapshot or location.snapshot_time}"
    return MissingStageError(
        f"{where}: no table {source.table!r} in the lake at {location.catalog}{pinned}; found: "
        f"{_tables(connection, 'lake')}. Run `make build`, or correct the name of the table."
    )


def _unreadable_files(
    source: DataSource, config: RepoConfig, where: str, error: duckdb.Error
) -> ProfilestoreError:
    path = file_path(source, config)
    assert path is not None
    said = first_line(error)
    if not is_glob(path) and not path.exists():
        return MissingStageError(
            f"{where}: cannot read {path}: there is no such file or folder. Make it, or correct "
            f"the path; it goes from the feature repo at {repo_root(config)}."
        )
    if "No files found" in said or "Path does not exist" in said:
        return MissingStageError(
            f"{where}: cannot read {path}: {said} Put files there, or correct the path; a folder "
            f"is read as Parquet."
        )
    kind_of_files = "CSV" if is_csv(path) else "Delta" if is_delta(source, path) else "Parquet"
    return InputError(
        f"{where}: cannot read {path} as {kind_of_files}: {said} Write the file anew, or correct "
        f"the path or the format of the source."
    )


def is_glob(path: Path) -> bool:
    """Whether DuckDB takes a path for a pattern."""
    return any(character in str(path) for character in "*?[")


def check_source(source: DataSource, config: RepoConfig, used_by: str = "") -> None:
    """Check that a source can be read and that its time columns are there and are times.

    Raises:
        MissingStageError, InputError: as `DuckDBSource.validate` says.
    """
    source = batch_source(source, used_by or f"source {getattr(source, 'name', '')!r}")
    columns = columns_of(source, config, used_by)
    where = f"{used_by}: source {source.name!r}" if used_by else f"source {source.name!r}"
    if not source.timestamp_field:
        raise InputError(f"{where}: no timestamp_field. Say which column is the event time.")
    time_columns(source, columns, where)
    for name in source.field_mapping or {}:
        find_column(columns, name, where, "named in field_mapping")


def time_columns(
    source: DataSource, columns: list[Column], where: str
) -> tuple[Column, Column | None]:
    """The event column and the created column of a source.

    Raises:
        InputError: one is missing or is not a time.
    """
    event = time_column(
        columns, source_column(source, source.timestamp_field), where, "the event time"
    )
    if not source.created_timestamp_column:
        return event, None
    name = source_column(source, source.created_timestamp_column)
    return event, time_column(columns, name, where, "the created time")


def time_column(columns: list[Column], name: str, where: str, role: str) -> Column:
    """As `find_column`, and the column is a time.

    Raises:
        InputError: it is not, or there is none.
    """
    column = find_column(columns, name, where, role)
    if kind(column.type) not in TIMESTAMPS | {UNTYPED}:
        raise InputError(
            f"{where}: column {column.name!r} ({role}) is {column.type}; a time is wanted "
            f"(TIMESTAMP, TIMESTAMPTZ or DATE). Cast it in the model."
        )
    return column


def find_column(columns: list[Column], name: str, where: str, role: str) -> Column:
    """The column of that exact name, or else of that name in other capitals.

    Raises:
        InputError: there is none; says what there is.
    """
    for column in columns:
        if column.name == name:
            return column
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    raise InputError(
        f"{where}: no column {name!r} ({role}); found: "
        f"{', '.join(column.name for column in columns)}. Correct the model, or the name in the "
        f"feature repo, and run `feast apply`."
    )


def _tables(connection: duckdb.DuckDBPyConnection, database: str) -> str:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = $database "
        "UNION SELECT view_name FROM duckdb_views() WHERE database_name = $database "
        "AND NOT internal ORDER BY 1",
        {"database": database},
    ).fetchall()
    return ", ".join(row[0] for row in rows) or "no tables"


def first_line(error: BaseException) -> str:
    """The first line of what DuckDB says, with a full stop."""
    said = str(error).strip().split("\n", 1)[0].rstrip()
    return said if said.endswith((".", "!", "?")) else f"{said}."
