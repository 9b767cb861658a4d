"""Feast's monitoring: statistics of features, and the SQLite file in which they are kept.

The statistics are those of Feast's own calculator, so that they can be compared with what any other
store computed; two things differ. Numbers that are not finite count as rows and not as nulls, and
enter no statistic, where Feast's calculator gives none at all; and of an array, which Feast calls
numeric by its elements, only rows and nulls are counted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from feast.data_source import DataSource
from feast.monitoring.monitoring_utils import monitoring_table_meta, normalize_monitoring_row
from feast.repo_config import RepoConfig

from profilestore.errors import InputError
from profilestore.instants import from_micros, to_micros
from profilestore.offline_store.connections import cursor
from profilestore.offline_store.point_in_time import Column, identifier, within
from profilestore.offline_store.source import (
    batch_source,
    find_column,
    first_line,
    lake_location,
    needs,
    read_columns,
    relation,
    repo_root,
    source_column,
    time_column,
)
from profilestore.offline_store.types import FLOATS, INTEGERS, kind, microseconds

METRIC_TYPES = ("feature", "feature_view", "feature_service", "job")
QUANTILES = {"p50": 0.50, "p75": 0.75, "p90": 0.90, "p95": 0.95, "p99": 0.99}
BUSY_SECONDS = 30.0

_NONE_YET: dict[str, Any] = dict.fromkeys(
    ("mean", "stddev", "min_val", "max_val", *QUANTILES, "histogram")
)


def feature_metrics(
    config: RepoConfig,
    data_source: DataSource,
    feature_columns: Sequence[tuple[str, str]],
    timestamp_field: str,
    start_date: datetime | None,
    end_date: datetime | None,
    histogram_bins: int,
    top_n: int,
) -> list[dict[str, Any]]:
    """Statistics of features over start_date <= event time <= end_date, in one pass and statement.

    Args:
        feature_columns: (feature, "numeric" or "categorical").
        start_date, end_date: naive times are UTC; None is open.
        histogram_bins: buckets of equal width between the least and the greatest number.
        top_n: how many of the most frequent values of a categorical feature are named; of equally
            frequent ones the first by name.

    Returns:
        One dictionary per feature, in the order given, with the keys of Feast's calculator.

    Raises:
        InputError, MissingStageError: the source cannot be read, or lacks a column.
    """
    source = batch_source(data_source, f"source {data_source.name!r}")
    where = f"source {source.name!r}"
    with cursor(lake_location(config), needs(source, config)) as connection:
        columns = read_columns(connection, source, config)
        event = time_column(
            columns, source_column(source, timestamp_field), where, "the event time"
        )
        statistics: list[_Numbers | _Values] = []
        for n, (feature, feature_type) in enumerate(feature_columns):
            column = find_column(columns, source_column(source, feature), where, "a feature")
            if feature_type == "numeric":
                statistics.append(_Numbers(feature, n, column, histogram_bins))
            else:
                statistics.append(_Values(feature, n, column, top_n))
        if not statistics:
            return []
        bounds = [None if date is None else to_micros(date) for date in (start_date, end_date)]
        conditions = within(event, *bounds)
        where_sql = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        given = ", ".join(s.given() for s in statistics)
        totals = ", ".join(total for s in statistics for total in s.totals())
        groups = ", ".join(s.groups() for s in statistics if s.groups())
        statement = (
            f"WITH given AS MATERIALIZED (\nSELECT {given}\n"
            f"FROM {relation(source, config)} AS source\n{where_sql}\n),\n"
            f"totals AS MATERIALIZED (SELECT count(*) AS rows, {totals} FROM given)"
            f"{', ' if groups else ''}{groups}\n"
            f"SELECT totals.*, {', '.join(s.result() for s in statistics)} FROM totals"
        )
        try:
            answer = connection.execute(statement)
            names = [described[0] for described in answer.description or []]
            found = dict(zip(names, answer.fetchall()[0], strict=True))
        except duckdb.Error as error:
            raise InputError(f"{where}: reading failed: {first_line(error)}") from error
    return [s.metric(found) for s in statistics]


class _Numbers:
    """SQL and result for a number; `n` keeps the names of several features apart."""

    def __init__(self, feature: str, n: int, column: Column, bins: int) -> None:
        self.feature = feature
        self.n = n
        self.column = identifier(column.name)
        self.bins = bins
        self.is_number = kind(column.type) in INTEGERS | FLOATS | {"DECIMAL"}

    def given(self) -> str:
        number = f"CAST(source.{self.column} AS DOUBLE)"
        finite = (
            f"CASE WHEN isfinite({number}) THEN {number} END"
            if self.is_number
            else ("CAST(NULL AS DOUBLE)")
        )
        return f"source.{self.column} IS NULL AS missing_{self.n}, {finite} AS number_{self.n}"

    def totals(self) -> Iterator[str]:
        x = f"number_{self.n}"
        yield f"count(*) FILTER (WHERE missing_{self.n}) AS nulls_{self.n}"
        yield f"avg({x}) AS mean_{self.n}"
        yield f"stddev_samp({x}) AS stddev_{self.n}"
        yield f"min({x}) AS least_{self.n}"
        yield f"max({x}) AS greatest_{self.n}"
        yield f"count({x}) AS numbers_{self.n}"
        yield f"quantile_cont({x}, {list(QUANTILES.values())}) AS quantiles_{self.n}"

    def groups(self) -> str:
        n = self.n
        width = f"((greatest_{n} - least_{n}) / {self.bins})"
        return (
            f"buckets_{n} AS (SELECT least(floor((number_{n} - least_{n}) / {width}), "
            f"{self.bins - 1}) AS bucket, count(*) AS rows FROM given, totals "
            f"WHERE number_{n} IS NOT NULL AND greatest_{n} > least_{n} GROUP BY bucket)"
        )

    def result(self) -> str:
        return f"(SELECT list([bucket, rows]) FROM buckets_{self.n}) AS histogram_{self.n}"

    def metric(self, found: Mapping[str, Any]) -> dict[str, Any]:
        n = self.n
        metric = _counted(self.feature, "numeric", found["rows"], found[f"nulls_{n}"])
        least, greatest = found[f"least_{n}"], found[f"greatest_{n}"]
        if least is None:
            return metric
        metric.update(
            mean=found[f"mean_{n}"],
            stddev=found[f"stddev_{n}"],
            min_val=least,
            max_val=greatest,
            **dict(zip(QUANTILES, found[f"quantiles_{n}"], strict=True)),
        )
        if least == greatest:
            histogram = {
                "bins": [least, greatest],
                "counts": [found[f"numbers_{n}"]],
                "bin_width": 0.0,
            }
        else:
            width = (greatest - least) / self.bins
            counts = [0] * self.bins
            for bucket, rows in found[f"histogram_{n}"]:
                counts[int(bucket)] = int(rows)
            histogram = {
                "bins": [least + edge * width for edge in range(self.bins + 1)],
                "counts": counts,
                "bin_width": width,
            }
        return {**metric, "histogram": histogram}


class _Values:
    """SQL and result for a value that is one of several."""

    def __init__(self, feature: str, n: int, column: Column, top_n: int) -> None:
        self.feature = feature
        self.n = n
        self.column = identifier(column.name)
        self.top_n = top_n

    def given(self) -> str:
        return f"CAST(source.{self.column} AS VARCHAR) AS value_{self.n}"

    def totals(self) -> Iterator[str]:
        yield f"count(*) - count(value_{self.n}) AS nulls_{self.n}"

    def groups(self) -> str:
        return (
            f"values_{self.n} AS MATERIALIZED (SELECT value_{self.n} AS value, count(*) AS rows "
            f"FROM given WHERE value_{self.n} IS NOT NULL GROUP BY value)"
        )

    def result(self) -> str:
        return (
            f"(SELECT count(*) FROM values_{self.n}) AS unique_{self.n}, "
            f"(SELECT list({{'value': value, 'rows': rows}} ORDER BY rows DESC, value) FROM "
            f"(FROM values_{self.n} ORDER BY rows DESC, value LIMIT {int(self.top_n)})) "
            f"AS top_{self.n}"
        )

    def metric(self, found: Mapping[str, Any]) -> dict[str, Any]:
        rows, nulls = found["rows"], found[f"nulls_{self.n}"]
        metric = _counted(self.feature, "categorical", rows, nulls)
        if rows == nulls:
            return metric
        top = [{"value": t["value"], "count": t["rows"]} for t in found[f"top_{self.n}"] or []]
        return {
            **metric,
            "histogram": {
                "values": top,
                "other_count": rows - nulls - sum(entry["count"] for entry in top),
                "unique_count": found[f"unique_{self.n}"],
            },
        }


def _counted(feature: str, feature_type: str, rows: int, nulls: int) -> dict[str, Any]:
    return {
        "feature_name": feature,
        "feature_type": feature_type,
        "row_count": rows,
        "null_count": nulls,
        "null_rate": nulls / rows if rows else 0.0,
        **_NONE_YET,
    }


def max_timestamp(
    config: RepoConfig, data_source: DataSource, timestamp_field: str
) -> datetime | None:
    """The latest event time of a source, in UTC; None if it has none."""
    source = batch_source(data_source, f"source {data_source.name!r}")
    with cursor(lake_location(config), needs(source, config)) as connection:
        columns = read_columns(connection, source, config)
        name = source_column(source, timestamp_field)
        event = time_column(columns, name, f"source {source.name!r}", "the event time")
        instant = microseconds(f"source.{identifier(event.name)}", event.type)
        rows = connection.execute(
            f"SELECT max({instant}) FROM {relation(source, config)} AS source"
        ).fetchall()
    latest = rows[0][0]
    return None if latest is None else from_micros(latest)


def ensure_tables(config: RepoConfig) -> None:
    """Make the SQLite file and its tables where they are not there yet."""
    with _metrics(config):
        pass


def save(config: RepoConfig, metric_type: str, metrics: Sequence[Mapping[str, Any]]) -> None:
    """Put metrics in, all or none; one with the key of another replaces it.

    Raises:
        InputError: no such type of metric.
    """
    table, columns, _ = _table(metric_type)
    marks = ", ".join("?" * len(columns))
    with _metrics(config) as connection:
        connection.executemany(
            f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})",
            [[_stored(metric.get(column)) for column in columns] for metric in metrics],
        )


def query(
    config: RepoConfig,
    project: str,
    metric_type: str,
    filters: Mapping[str, Any] | None,
    start_date: date | None,
    end_date: date | None,
) -> list[dict[str, Any]]:
    """Metrics with start_date <= metric_date <= end_date, by metric date.

    Args:
        project: all projects if empty.
        filters: column -> the value it has to have; None is any.

    Returns:
        Dictionaries with every column; dates and times as ISO text, histograms as dictionaries.

    Raises:
        InputError: no such type of metric, or no such column to filter by.
    """
    table, columns, keys = _table(metric_type)
    wanted = {name: value for name, value in (filters or {}).items() if value is not None}
    if project:
        wanted["project_id"] = project
    unknown = sorted(set(wanted) - set(columns))
    if unknown:
        raise InputError(
            f"monitoring metrics of type {metric_type!r} have no column {', '.join(unknown)}; "
            f"they have {', '.join(columns)}."
        )
    conditions = [f"{name} = ?" for name in wanted]
    values = [_stored(value) for value in wanted.values()]
    for sign, bound in ((">=", start_date), ("<=", end_date)):
        if bound is not None:
            conditions.append(f"metric_date {sign} ?")
            values.append(_stored(bound))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = ", ".join(dict.fromkeys(["metric_date", *keys]))
    with _metrics(config) as connection:
        rows = connection.execute(
            f"SELECT {', '.join(columns)} FROM {table}{where} ORDER BY {order}", values
        ).fetchall()
    return [normalize_monitoring_row(dict(zip(columns, row, strict=True))) for row in rows]


def clear_baseline(
    config: RepoConfig,
    project: str,
    feature_view_name: str | None,
    feature_name: str | None,
    data_source_type: str | None,
) -> None:
    """Make matching feature metrics baselines no longer; a name that is None is any."""
    given = {
        "project_id": project,
        "feature_view_name": feature_view_name,
        "feature_name": feature_name,
        "data_source_type": data_source_type,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    table = _table("feature")[0]
    with _metrics(config) as connection:
        connection.execute(
            f"UPDATE {table} SET is_baseline = 0 "
            f"WHERE is_baseline AND {' AND '.join(f'{name} = ?' for name in wanted)}",
            list(wanted.values()),
        )


@contextmanager
def _metrics(config: RepoConfig) -> Iterator[sqlite3.Connection]:
    """One transaction on the file, which is made if need be."""
    path: Path = repo_root(config) / config.offline_store.monitoring_path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(
            sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for metric_type in METRIC_TYPES:
                table, columns, keys = _table(metric_type)
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} "
                    f"({', '.join(columns)}, PRIMARY KEY ({', '.join(keys)}))"
                )
            yield connection
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise InputError(
            f"monitoring metrics in {path}: {error}. Correct monitoring_path of the offline store "
            f"in feature_store.yaml, or take the file away: it is made anew."
        ) from error


def _table(metric_type: str) -> tuple[str, list[str], list[str]]:
    if metric_type not in METRIC_TYPES:
        raise InputError(
            f"no monitoring metrics of type {metric_type!r}; there are {', '.join(METRIC_TYPES)}."
        )
    table, columns, keys = monitoring_table_meta(metric_type)
    return str(table), list(columns), list(keys)


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return value
