"""The Feast offline store: checks, then one statement for DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL, FeatureView
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import compute_non_entity_date_range
from pydantic import Field, model_validator

from profilestore.errors import InputError
from profilestore.instants import MICROSECOND, from_micros, to_micros
from profilestore.offline_store import monitoring
from profilestore.offline_store.append import append
from profilestore.offline_store.connections import NOTHING, cursor
from profilestore.offline_store.contract import same_family
from profilestore.offline_store.logged_features import write_logged_features
from profilestore.offline_store.point_in_time import (
    Column,
    Spine,
    View,
    change_rows,
    identifier,
    latest_statement,
    literal,
    point_in_time_statement,
    rows_statement,
    spine_statement,
)
from profilestore.offline_store.retrieval_job import DuckDBRetrievalJob, Query
from profilestore.offline_store.source import (
    DuckDBSource,
    arrow_schema,
    batch_source,
    check_source,
    columns_of,
    estimated_rows,
    find_column,
    is_query,
    lake_location,
    needs,
    read_columns,
    relation,
    repo_root,
    source_column,
    time_column,
    time_columns,
)
from profilestore.offline_store.spine import (
    EVENT_TIMESTAMP,
    QueryRows,
    SpineRows,
    count_repeats,
    describe_spine,
    spine_rows,
)
from profilestore.offline_store.types import joinable

# Longer than any history; keeps `instant - ttl` inside 64 bits.
LONGEST_TTL = 2**61


class NativeDuckDBOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """`offline_store:` of `feature_store.yaml`.

    Attributes:
        catalog: the DuckLake's SQLite file, relative to the feature repo; None if only files are
            read.
        data_path: the folder of the lake's files, relative to the feature repo; by default the
            folder `files` beside the catalog.
        threads, memory_limit: DuckDB's settings of that name (`4`, `"8GB"`).
        snapshot: read the lake as it was at this snapshot, and append nothing to it. Files and
            DuckDB files are read as they are.
        snapshot_time: the same, by time (`"2026-01-01T00:00:00Z"`; UTC if it has no zone): the
            last snapshot made by then. Not together with `snapshot`.
        staging_path: the folder for exported training sets (`to_remote_storage`), relative to the
            feature repo; without it there is no export.
        monitoring_path: the SQLite file of Feast's monitoring metrics, relative to the feature
            repo; made when monitoring is first used.
    """

    type: Literal["profilestore.offline_store.NativeDuckDBOfflineStore"] = (
        "profilestore.offline_store.NativeDuckDBOfflineStore"
    )
    catalog: str | None = None
    data_path: str | None = None
    threads: int | None = None
    memory_limit: str | None = None
    snapshot: int | None = Field(default=None, ge=0)
    snapshot_time: datetime | None = None
    staging_path: str | None = None
    monitoring_path: str = "monitoring.sqlite"

    @model_validator(mode="after")
    def _one_pin(self) -> NativeDuckDBOfflineStoreConfig:
        if self.snapshot is not None and self.snapshot_time is not None:
            raise ValueError("give snapshot or snapshot_time, not both")
        return self


class NativeDuckDBOfflineStore(OfflineStore):  # type: ignore[misc]
    """Point-in-time joins, pulls and appends on DuckDB: lake tables, DuckDB files, queries, files.

    Reading changes nothing: lakes and DuckDB files are attached read-only. What writes says so.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: Any,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        **unknown: Any,
    ) -> DuckDBRetrievalJob:
        """The spine's columns as given, in the spine's row order, and the features as of each row.

        Args:
            entity_df: the spine: a pandas DataFrame, an Arrow table, or a SELECT that may read
                `lake.main.<table>`. Its instants are in `event_timestamp`, or in its only column
                of times; naive times are UTC.
                None: every (keys, event time) between `start_date` and `end_date`, both included,
                at which one of the views changes, each with all features as of then. The views
                must have the same keys; views without entity add features and no rows. (Feast's
                own stores differ here: most give one row per entity, at `end_date`.)
            start_date, end_date: only without `entity_df`. By default the end is now, and the
                start is the longest ttl, or 30 days, before it.
            filter_by_created_timestamp: leave out rows learned after the spine's instant; a row
                without a created time is then never used. Views without a created column are not
                affected.
            full_feature_names: call features `<view>__<feature>`.

        Raises:
            InputError: the spine lacks a key or an instant, two columns of the result would have
                the same name, or a source lacks a column.
            MissingStageError: a table is not there yet.
        """
        if unknown:
            raise InputError(f"get_historical_features does not know: {', '.join(unknown)}.")
        requested = _requested(feature_views, feature_refs, registry, project)
        location = lake_location(config)
        needed = NOTHING
        for feature_view, _ in requested:
            needed |= needs(_batch_source_of(feature_view), config)
        with cursor(location, needed) as connection:
            # A transaction reads the lake's catalog once, not once a statement.
            connection.execute("BEGIN")
            sources = [_Source.read(connection, view, config) for view, _ in requested]
            rows: SpineRows
            if entity_df is None:
                start, end = compute_non_entity_date_range(
                    feature_views, start_date=start_date, end_date=end_date
                )
                rows = _changes(sources, to_micros(start), to_micros(end))
            else:
                rows = spine_rows(entity_df)
            spine = describe_spine(rows, connection)
        computed = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        _require_request_data(computed, [column.name for column in spine.columns])
        views = [
            source.view(spine, features, full_feature_names)
            for source, (_, features) in zip(sources, requested, strict=True)
        ]
        names = [column.name for column in spine.columns]
        names += [output for view in views for _, output in view.features]
        _refuse_repeated(names, len(spine.columns))

        def prepare(connection: duckdb.DuckDBPyConnection) -> str:
            reach = count_repeats(connection, rows.load(connection, spine), views)
            return point_in_time_statement(
                spine, views, reach=reach, known_only=filter_by_created_timestamp
            )

        def metadata() -> RetrievalMetadata:
            with cursor(location, needed) as connection:
                reach = rows.load(connection, spine)
            return RetrievalMetadata(
                features=feature_refs,
                keys=[c.name for n, c in enumerate(spine.columns) if n != spine.time],
                min_event_timestamp=from_micros(reach.first) if reach else None,
                max_event_timestamp=from_micros(reach.last) if reach else None,
            )

        spine_query = None
        if rows.query is not None:
            spine_query = spine_statement(spine, f"(\n{rows.query}\n)")
        return DuckDBRetrievalJob(
            location=location,
            query=Query(
                text=point_in_time_statement(
                    spine,
                    views,
                    known_only=filter_by_created_timestamp,
                    spine_query=spine_query,
                ),
                prepare=prepare,
                names=names,
                arrow_types=rows.arrow_types,
                needs=needed,
                reads=", ".join(source.label for source in sources) or "the spine",
            ),
            repo_path=repo_root(config),
            staging_path=_staging_path(config),
            full_feature_names=full_feature_names,
            on_demand_feature_views=computed,
            metadata=metadata,
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> DuckDBRetrievalJob:
        """The latest row per key with start_date <= event time <= end_date.

        Of rows with the same event time the one created last. Rows with a null key are left out:
        nobody can ask for them. Column names are the source's; both times come back in UTC.
        Without keys: one row, under Feast's dummy key.
        """
        return _pull(
            config,
            data_source,
            join_key_columns,
            feature_name_columns,
            timestamp_field,
            created_timestamp_column,
            start_date,
            end_date,
            latest=True,
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> DuckDBRetrievalJob:
        """Every row with start_date <= event time <= end_date; a bound that is None is open.

        Columns as in `pull_latest_from_table_or_query`.
        """
        return _pull(
            config,
            data_source,
            join_key_columns,
            feature_name_columns,
            timestamp_field,
            created_timestamp_column,
            start_date,
            end_date,
            latest=False,
        )

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Append rows to the view's source: whole or not at all, safe from threads and processes.

        A folder of Parquet files gets a new file; a lake table and a table of a DuckDB file one
        INSERT; a single Parquet file is written anew, which costs the file. The house never calls
        this on its marts: dbt is their only writer.

        Args:
            table: the source's columns in any order; mapped names are undone.
            progress: called once, with the number of rows.

        Raises:
            InputError, MissingStageError: as `profilestore.offline_store.append.append` says.
        """
        append(config, feature_view, table)
        if progress:
            progress(table.num_rows)

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: pa.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Append served features to the folder of their destination, as one new Parquet file.

        Args:
            data: an Arrow table, or a folder of Parquet files, with the columns of `source`.

        Raises:
            InputError: the rows do not fit, or the destination is of another store.
        """
        write_logged_features(config, data, source, logging_config, registry)

    @staticmethod
    def compute_monitoring_metrics(
        config: RepoConfig,
        data_source: DataSource,
        feature_columns: list[tuple[str, str]],
        timestamp_field: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        histogram_bins: int = 20,
        top_n: int = 10,
    ) -> list[dict[str, Any]]:
        """As `profilestore.offline_store.monitoring.feature_metrics`."""
        return monitoring.feature_metrics(
            config,
            data_source,
            feature_columns,
            timestamp_field,
            start_date,
            end_date,
            histogram_bins,
            top_n,
        )

    @staticmethod
    def get_monitoring_max_timestamp(
        config: RepoConfig, data_source: DataSource, timestamp_field: str
    ) -> datetime | None:
        """The latest event time of a source, in UTC; None if it has none."""
        return monitoring.max_timestamp(config, data_source, timestamp_field)

    @staticmethod
    def ensure_monitoring_tables(config: RepoConfig) -> None:
        """Make the SQLite file at `monitoring_path`, with its tables."""
        monitoring.ensure_tables(config)

    @staticmethod
    def save_monitoring_metrics(
        config: RepoConfig, metric_type: str, metrics: list[dict[str, Any]]
    ) -> None:
        """As `profilestore.offline_store.monitoring.save`."""
        monitoring.save(config, metric_type, metrics)

    @staticmethod
    def query_monitoring_metrics(
        config: RepoConfig,
        project: str,
        metric_type: str,
        filters: dict[str, Any] | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
    ) -> list[dict[str, Any]]:
        """As `profilestore.offline_store.monitoring.query`."""
        return monitoring.query(config, project, metric_type, filters, start_date, end_date)

    @staticmethod
    def clear_monitoring_baseline(
        config: RepoConfig,
        project: str,
        feature_view_name: str | None = None,
        feature_name: str | None = None,
        data_source_type: str | None = None,
    ) -> None:
        """As `profilestore.offline_store.monitoring.clear_baseline`."""
        monitoring.clear_baseline(
            config, project, feature_view_name, feature_name, data_source_type
        )

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Check that a source can be read and has its time columns.

        Raises:
            MissingStageError, InputError: it cannot, or has not.
        """
        check_source(data_source, config)

    def get_table_column_names_and_types_from_data_source(
        self, config: RepoConfig, data_source: DataSource
    ) -> list[tuple[str, str]]:
        """(column, type) in the relation's order; a type is in the words of the source's class.

        Those are DuckDB's for a DuckDBSource and Arrow's for a FileSource. DuckDB looks in both
        cases: it also reads folders, globs and Delta tables, where Feast's own way fails.

        Raises:
            MissingStageError, InputError: the source cannot be read.
        """
        source = batch_source(data_source, f"source {data_source.name!r}")
        if isinstance(source, DuckDBSource):
            return list(source.get_table_column_names_and_types(config))
        return [(field.name, str(field.type)) for field in arrow_schema(source, config)]


@dataclass(frozen=True)
class _Source:
    """A feature view and what its source was found to hold."""

    feature_view: FeatureView
    source: DataSource
    relation: str
    columns: list[Column]
    event: Column
    created: Column | None
    rows: int | None

    @property
    def label(self) -> str:
        return _label(self.feature_view)

    @classmethod
    def read(
        cls, connection: duckdb.DuckDBPyConnection, feature_view: FeatureView, config: RepoConfig
    ) -> _Source:
        label = _label(feature_view)
        source = _batch_source_of(feature_view)
        columns = read_columns(connection, source, config, label)
        event, created = time_columns(source, columns, f"{label}: source {source.name!r}")
        read = relation(source, config)
        rows = estimated_rows(connection, read)
        return cls(feature_view, source, read, columns, event, created, rows)

    def column(self, name: str, role: str) -> Column:
        return find_column(
            self.columns,
            source_column(self.source, name),
            f"{self.label}: source {self.source.name!r}",
            role,
        )

    def keys(self) -> dict[str, Column]:
        """Name in the spine -> history column, per join key."""
        renamed = self.feature_view.projection.join_key_map or {}
        return {
            renamed.get(key.name, key.name): self.column(key.name, "a join key")
            for key in self.feature_view.entity_columns
            if key.name != DUMMY_ENTITY_ID
        }

    def feature(self, name: str) -> Column:
        """The column of a feature, which may have changed since the view was applied.

        Raises:
            InputError: it is gone, or its type is of another kind than the declared one.
        """
        column = self.column(name, "a feature")
        declared = [field.dtype for field in self.feature_view.features if field.name == name]
        if declared and not same_family(column.type, declared[0]):
            raise InputError(
                f"{self.label}: source {self.source.name!r}: column {column.name!r} is "
                f"{column.type}, and feature {name!r} is declared {declared[0]}. The source has "
                f"changed since `feast apply`: correct the model, or the declaration, and apply "
                f"again."
            )
        return column

    def view(self, spine: Spine, features: Sequence[str], full_feature_names: bool) -> View:
        projection = self.feature_view.projection
        prefix = f"{projection.name_alias or projection.name}__" if full_feature_names else ""
        ttl = self.feature_view.ttl
        microseconds = ttl // MICROSECOND if ttl else 0
        return View(
            relation=self.relation,
            keys=tuple(
                (self._spine_key(spine, name, column), column)
                for name, column in self.keys().items()
            ),
            event=self.event,
            created=self.created,
            features=tuple((self.feature(name), f"{prefix}{name}") for name in features),
            ttl=microseconds if 0 < microseconds < LONGEST_TTL else None,
            read_once=is_query(self.source),
            rows=self.rows,
        )

    def _spine_key(self, spine: Spine, name: str, column: Column) -> int:
        names = [given.name for given in spine.columns]
        if name not in names:
            raise InputError(
                f"the spine has no column {name!r}, a key of {self.label}; "
                f"found: {', '.join(names)}. Add it, or rename the column that is meant."
            )
        position = names.index(name)
        found = spine.columns[position].type
        if not joinable(found, column.type):
            raise InputError(
                f"the spine's column {name!r} is {found}, and {column.name!r} of {self.label} is "
                f"{column.type}: they are never equal. Cast one of them."
            )
        return position


def _requested(
    feature_views: Sequence[FeatureView],
    feature_refs: Sequence[str],
    registry: BaseRegistry,
    project: str,
) -> list[tuple[FeatureView, list[str]]]:
    """The views that stored features are asked of, each with those features, in asked order."""
    views = {view.projection.name_to_use(): view for view in feature_views}
    features: dict[str, list[str]] = {}
    computed: set[str] | None = None
    for ref in feature_refs:
        view, _, feature = ref.partition(":")
        view = view.removesuffix("@latest")
        if view not in views:
            if computed is None:
                computed = {
                    odfv.projection.name_to_use()
                    for odfv in OnDemandFeatureView.get_requested_odfvs(
                        feature_refs, project, registry
                    )
                }
            if view in computed:
                continue
            raise InputError(
                f"no feature view {view!r} for {ref!r}; found: {', '.join(sorted(views))}."
            )
        asked = features.setdefault(view, [])
        if feature not in asked:
            asked.append(feature)
    return [(views[view], asked) for view, asked in features.items()]


def _changes(sources: Sequence[_Source], first: int, last: int) -> QueryRows:
    """The spine where none is given: see `get_historical_features`."""
    if not sources:
        raise InputError("no stored feature is asked for, and there is no spine: give entity_df.")
    keyed = [source for source in sources if source.keys()] or list(sources)
    names = list(keyed[0].keys())
    for other in keyed[1:]:
        if set(other.keys()) != set(names):
            raise InputError(
                f"without entity_df all views need the same keys: {keyed[0].label} has "
                f"{', '.join(names)}; {other.label} has {', '.join(other.keys())}. "
                f"Give a spine as entity_df, or ask for them one by one."
            )
    if EVENT_TIMESTAMP in names:
        raise InputError(f"without entity_df no key may be called {EVENT_TIMESTAMP!r}.")
    views = []
    for source in keyed:
        by_name = source.keys()
        views.append(
            View(
                relation=source.relation,
                keys=tuple((n, by_name[name]) for n, name in enumerate(names)),
                event=source.event,
                created=source.created,
                features=(),
            )
        )
    return QueryRows(change_rows(views, names, EVENT_TIMESTAMP, first, last))


def _require_request_data(views: Sequence[OnDemandFeatureView], spine: Sequence[str]) -> None:
    """Feast itself looks for it only in data frames."""
    for view in views:
        for name in view.get_request_data_schema():
            if name not in spine:
                raise InputError(
                    f"the spine has no column {name!r}, which on-demand feature view "
                    f"{view.name!r} takes from whoever asks; found: {', '.join(spine)}. Add it."
                )


def _refuse_repeated(names: Sequence[str], spine_width: int) -> None:
    for n, name in enumerate(names):
        if n >= spine_width and name in names[:n]:
            other = "the spine has a column" if name in names[:spine_width] else "another view has"
            raise InputError(
                f"the result would have two columns named {name!r}: {other} of that name. "
                f"Ask with full_feature_names=True, or rename one of them."
            )


def _pull(
    config: RepoConfig,
    data_source: DataSource,
    join_keys: Sequence[str],
    features: Sequence[str],
    timestamp_field: str,
    created_timestamp_column: str | None,
    start_date: datetime | None,
    end_date: datetime | None,
    *,
    latest: bool,
) -> DuckDBRetrievalJob:
    location = lake_location(config)
    source = batch_source(data_source, f"source {getattr(data_source, 'name', '')!r}")
    where = f"source {source.name!r}"
    columns = columns_of(source, config)
    if not features:
        # Feast's way to ask for all columns, for a transformation to choose from.
        apart = {*join_keys, timestamp_field, created_timestamp_column}
        features = [column.name for column in columns if column.name not in apart]
    event = time_column(columns, timestamp_field, where, "the event time")
    created = None
    if created_timestamp_column:
        created = time_column(columns, created_timestamp_column, where, "the created time")
    view = View(
        relation=relation(source, config),
        keys=tuple(
            (n, find_column(columns, key, where, "a join key")) for n, key in enumerate(join_keys)
        ),
        event=event,
        created=created,
        features=tuple(
            (find_column(columns, feature, where, "a feature"), feature) for feature in features
        ),
        read_once=is_query(source),
    )
    names = [*join_keys, *features, timestamp_field]
    if created is not None:
        names.append(str(created_timestamp_column))
    build = latest_statement if latest else rows_statement
    statement = build(
        view,
        names,
        None if start_date is None else to_micros(start_date),
        None if end_date is None else to_micros(end_date),
    )
    if not join_keys:
        names.append(DUMMY_ENTITY_ID)
        statement = (
            f"SELECT *, {literal(DUMMY_ENTITY_VAL)} AS {identifier(DUMMY_ENTITY_ID)} "
            f"FROM (\n{statement}\n)"
        )
    return DuckDBRetrievalJob(
        location=location,
        query=Query(
            text=statement,
            prepare=lambda _: statement,
            names=names,
            needs=needs(source, config),
            reads=where,
        ),
        repo_path=repo_root(config),
        staging_path=_staging_path(config),
    )


def _label(feature_view: FeatureView) -> str:
    return f"feature view {feature_view.projection.name_to_use()!r}"


def _batch_source_of(feature_view: FeatureView) -> DataSource:
    return batch_source(feature_view.batch_source, _label(feature_view))


def _staging_path(config: RepoConfig) -> Path | None:
    staging = config.offline_store.staging_path
    return None if staging is None else repo_root(config) / staging
