"""Monitoring: the figures of Feast's own calculator and store, and a file that keeps them."""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FileSource
from feast.data_format import ParquetFormat
from feast.monitoring.metrics_calculator import MetricsCalculator
from feast.monitoring.monitoring_service import MonitoringService
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.errors import InputError
from profilestore.offline_store import DuckDBSource, NativeDuckDBOfflineStore

STORE = NativeDuckDBOfflineStore
START = datetime(2024, 1, 1, tzinfo=UTC)
FEATURES = [
    ("clicks", "numeric"),
    ("city", "categorical"),
    ("rate", "numeric"),
    ("empty", "numeric"),
    ("same", "numeric"),
    ("is_new", "categorical"),
    ("nothing", "categorical"),
]


def table_of(rows, seed=1):
    chance = random.Random(seed)
    return pa.table(
        {
            "user_id": list(range(rows)),
            "at": pa.array(
                [START + timedelta(minutes=n) for n in range(rows)], pa.timestamp("us", "UTC")
            ),
            "clicks": pa.array(
                [chance.choice([None, chance.randrange(100)]) for _ in range(rows)], pa.int64()
            ),
            "city": pa.array(
                [chance.choice([None, *"abcdefghijklmn"]) for _ in range(rows)], pa.string()
            ),
            "rate": pa.array([chance.gauss(0, 1) for _ in range(rows)], pa.float32()),
            "empty": pa.nulls(rows, pa.float64()),
            "same": pa.array([5] * rows, pa.int32()),
            "is_new": pa.array([chance.random() < 0.3 for _ in range(rows)], pa.bool_()),
            "nothing": pa.nulls(rows, pa.string()),
        }
    )


@pytest.fixture
def source(repo):
    pq.write_table(table_of(1_000), repo.repo_path / "data.parquet")
    return DuckDBSource(name="data", path="data.parquet", timestamp_field="at")


def metrics_of(repo, source, features=FEATURES, start=None, end=None, **options):
    return STORE.compute_monitoring_metrics(
        repo.config, source, features, "at", start, end, **options
    )


def settled(metric):
    """To nine digits, and with values that are equally frequent left out: any may be named."""
    metric = {key: digits(value) for key, value in metric.items()}
    histogram = metric["histogram"]
    if histogram and metric["feature_type"] == "categorical":
        tail = histogram["values"][-1]["count"]
        named = [
            (str(entry["value"]).lower(), entry["count"])
            for entry in histogram["values"]
            if entry["count"] > tail
        ]
        metric["histogram"] = {**histogram, "values": sorted(named)}
    elif histogram:
        metric["histogram"] = {
            "bins": [digits(edge) for edge in histogram["bins"]],
            "counts": histogram["counts"],
            "bin_width": digits(histogram["bin_width"]),
        }
    return metric


def digits(value):
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_the_figures_of_feasts_calculator(repo, source):
    expected = MetricsCalculator().compute_all(table_of(1_000), FEATURES)
    found = metrics_of(repo, source)
    assert [metric["feature_name"] for metric in found] == [name for name, _ in FEATURES]
    for ours, theirs in zip(found, expected, strict=True):
        assert set(ours) == set(theirs)
        if ours["feature_name"] == "same":
            # Its calculator spreads one value over buckets around it; Feast's stores do as we do.
            assert ours["histogram"] == {"bins": [5.0, 5.0], "counts": [1000], "bin_width": 0.0}
            ours = {**ours, "histogram": None}
            theirs = {**theirs, "histogram": None}
        assert settled(ours) == settled(theirs), ours["feature_name"]


def test_the_figures_of_feasts_duckdb_store(repo, source, tmp_path):
    """In another process: its store brings a library that the other tests do not want."""
    script = (
        "import json, sys, types; from datetime import datetime, UTC; from pathlib import Path; "
        "from feast import FileSource; from feast.data_format import ParquetFormat; "
        "from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, "
        "DuckDBOfflineStoreConfig; "
        "config = types.SimpleNamespace(offline_store=DuckDBOfflineStoreConfig(), "
        "repo_path=Path(sys.argv[1])); "
        "source = FileSource(path='data.parquet', file_format=ParquetFormat()); "
        "start, end = map(datetime.fromisoformat, sys.argv[3:]); "
        "print(json.dumps([DuckDBOfflineStore.compute_monitoring_metrics(config, source, "
        "json.loads(sys.argv[2]), 'at', start, end), "
        "DuckDBOfflineStore.get_monitoring_max_timestamp(config, source, 'at').isoformat()]))"
    )
    start, end = START + timedelta(minutes=100), START + timedelta(minutes=500)
    import json

    # Of a feature that is null throughout, its store says that there were no rows.
    features = [feature for feature in FEATURES if feature[0] != "nothing"]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            script,
            str(repo.repo_path),
            json.dumps(features),
            start.isoformat(),
            end.isoformat(),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'ibis'" in done.stderr:
        pytest.skip("Feast's DuckDB store is not installed here")
    assert done.returncode == 0, done.stderr
    expected, latest = json.loads(done.stdout)
    found = {
        metric["feature_name"]: metric for metric in metrics_of(repo, source, features, start, end)
    }
    assert found["clicks"]["row_count"] == 401
    assert found.keys() == {metric["feature_name"] for metric in expected}
    for theirs in expected:
        ours = found[theirs["feature_name"]]
        assert settled(ours) == settled(theirs), ours["feature_name"]
    ours = STORE.get_monitoring_max_timestamp(repo.config, source, "at")
    assert ours == datetime.fromisoformat(latest)


@given(
    numbers=st.lists(
        st.none() | st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-5, 5).map(float),
        max_size=30,
    ),
    bins=st.integers(1, 7),
)
@settings(max_examples=60, deadline=None)
def test_numbers_of_any_kind(tmp_path_factory, numbers, bins):
    repo = stub(tmp_path_factory)
    rows = len(numbers)
    table = pa.table(
        {
            "at": pa.array([START] * rows, pa.timestamp("us", "UTC")),
            "x": pa.array(numbers, pa.float64()),
        }
    )
    pq.write_table(table, repo.repo_path / "random.parquet")
    source = DuckDBSource(name="r", path="random.parquet", timestamp_field="at")
    (found,) = metrics_of(repo, source, [("x", "numeric")], histogram_bins=bins)
    (expected,) = MetricsCalculator(histogram_bins=bins).compute_all(table, [("x", "numeric")])
    for key in ("row_count", "null_count", "null_rate", "min_val", "max_val", "p50", "p95"):
        wanted = expected[key]
        if wanted is not None:
            wanted = pytest.approx(wanted, rel=1e-9, abs=1e-9)
        assert found[key] == wanted, key
    assert (found["mean"] is None) == (expected["mean"] is None)
    if found["mean"] is not None:
        spread = max(abs(n) for n in numbers if n is not None)
        assert found["mean"] == pytest.approx(expected["mean"], rel=1e-9, abs=1e-9 * spread)
        assert sum(found["histogram"]["counts"]) == rows - found["null_count"]


_stubs = []


def stub(factory):
    """One repo without a lake for all examples."""
    if not _stubs:
        from feast import FeatureStore

        folder = factory.mktemp("monitoring")
        (folder / "feature_store.yaml").write_text(
            "project: m\nprovider: local\nregistry: registry.db\n"
            "entity_key_serialization_version: 3\n"
            "offline_store: {type: profilestore.offline_store.NativeDuckDBOfflineStore}\n"
        )
        _stubs.append(FeatureStore(repo_path=str(folder)))
    return _stubs[0]


def test_what_is_not_finite_and_what_is_an_array(repo):
    table = pa.table(
        {
            "at": pa.array([START] * 5, pa.timestamp("us", "UTC")),
            "x": [1.0, float("nan"), float("inf"), None, 3.0],
            "vector": [[1.0], None, [2.0], [], None],
        }
    )
    pq.write_table(table, repo.repo_path / "odd.parquet")
    source = DuckDBSource(name="odd", path="odd.parquet", timestamp_field="at")
    numbers, vector = metrics_of(
        repo, source, [("x", "numeric"), ("vector", "numeric")], histogram_bins=2
    )
    assert (numbers["row_count"], numbers["null_count"], numbers["mean"]) == (5, 1, 2.0)
    assert numbers["histogram"]["counts"] == [1, 1]
    assert (vector["row_count"], vector["null_count"], vector["mean"]) == (5, 2, None)


def test_no_rows_and_no_features(repo, source):
    late = datetime(2030, 1, 1)
    for metric in metrics_of(repo, source, start=late):
        assert (metric["row_count"], metric["null_rate"], metric["histogram"]) == (0, 0.0, None)
    assert metrics_of(repo, source, []) == []
    empty = DuckDBSource(name="e", query="SELECT now() AS at WHERE false", timestamp_field="at")
    assert STORE.get_monitoring_max_timestamp(repo.config, empty, "at") is None


def test_mapped_names_and_any_source(repo, write):
    write('CREATE TABLE lake.main.mapped AS SELECT TIMESTAMP \'2024-01-01\' AS at, 5 AS "n ""x"')
    source = DuckDBSource(
        table="mapped", timestamp_field="happened", field_mapping={"at": "happened", 'n "x': "n"}
    )
    (metric,) = STORE.compute_monitoring_metrics(
        repo.config, source, [("n", "numeric")], "happened", START, START
    )
    assert (metric["feature_name"], metric["mean"]) == ("n", 5.0)
    latest = STORE.get_monitoring_max_timestamp(repo.config, source, "happened")
    assert latest == START
    with pytest.raises(InputError, match=r"source 'mapped': no column 'm' \(a feature\)"):
        STORE.compute_monitoring_metrics(repo.config, source, [("m", "numeric")], "happened")


def metric(**changes):
    return {
        "project_id": "p",
        "feature_view_name": "v",
        "feature_name": "f",
        "metric_date": date(2024, 1, 2),
        "granularity": "daily",
        "data_source_type": "batch",
        "computed_at": datetime(2024, 1, 3, tzinfo=UTC),
        "max_event_timestamp": datetime(2024, 1, 2, 5),
        "is_baseline": True,
        "feature_type": "numeric",
        "row_count": 3,
        "null_count": 0,
        "null_rate": 0.0,
        "mean": float("nan"),
        "histogram": {"bins": [1.0, 2.0], "counts": [3], "bin_width": 1.0},
        **changes,
    }


def test_kept_and_found_again(repo):
    STORE.ensure_monitoring_tables(repo.config)
    STORE.save_monitoring_metrics(repo.config, "feature", [])
    first = metric(feature_name="g")
    STORE.save_monitoring_metrics(repo.config, "feature", [metric(), first])
    STORE.save_monitoring_metrics(repo.config, "feature", [metric(row_count=4)])
    STORE.save_monitoring_metrics(
        repo.config, "feature", [metric(metric_date=date(2024, 1, 1), project_id="q")]
    )
    found = STORE.query_monitoring_metrics(repo.config, "p", "feature")
    assert [(row["feature_name"], row["row_count"]) for row in found] == [("f", 4), ("g", 3)]
    assert found[0] | {"stddev": 1} == {
        **metric(row_count=4),
        "metric_date": "2024-01-02",
        "computed_at": "2024-01-03T00:00:00+00:00",
        "max_event_timestamp": "2024-01-02T05:00:00+00:00",
        "mean": None,
        "min_val": None,
        "max_val": None,
        **dict.fromkeys(("p50", "p75", "p90", "p95", "p99")),
        "stddev": 1,
    }
    assert found[0]["is_baseline"] is True

    def names(project="", **options):
        rows = STORE.query_monitoring_metrics(repo.config, project, "feature", **options)
        return [(row["project_id"], row["feature_name"]) for row in rows]

    assert names() == [("q", "f"), ("p", "f"), ("p", "g")]
    assert names(start_date=date(2024, 1, 2), filters={"feature_name": "g"}) == [("p", "g")]
    assert names(end_date=date(2024, 1, 1), filters={"feature_name": None}) == [("q", "f")]
    assert names(filters={"is_baseline": False}) == []
    STORE.clear_monitoring_baseline(repo.config, "p", feature_view_name="v", feature_name="f")
    assert names(filters={"is_baseline": True}) == [("q", "f"), ("p", "g")]
    STORE.clear_monitoring_baseline(repo.config, "p")
    assert names(filters={"is_baseline": True}) == [("q", "f")]


def test_what_cannot_be_asked(repo):
    with pytest.raises(InputError, match="no monitoring metrics of type 'colour'"):
        STORE.query_monitoring_metrics(repo.config, "p", "colour")
    with pytest.raises(InputError, match="of type 'job' have no column size"):
        STORE.query_monitoring_metrics(repo.config, "p", "job", filters={"size": 1})
    (repo.repo_path / "monitoring.sqlite").write_text("not a database " * 100)
    with pytest.raises(InputError, match=r"monitoring\.sqlite: file is not a database"):
        STORE.ensure_monitoring_tables(repo.config)


def test_threads_lose_nothing(repo):
    def save(n):
        STORE.save_monitoring_metrics(
            repo.config, "feature", [metric(feature_name=f"{n} {m}") for m in range(5)]
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(40)))
    assert len(STORE.query_monitoring_metrics(repo.config, "p", "feature")) == 200


def test_feasts_monitoring_service_from_end_to_end(applied):
    service = MonitoringService(applied)
    job = service.submit_job("unit", "auto_compute")
    result = service.job_manager.execute_job(job, service)
    assert (result["status"], result["computed_feature_views"]) == ("completed", 2)
    assert service.job_manager.get_job(job)["status"] == "completed"
    rows = STORE.query_monitoring_metrics(
        applied.config, "unit", "feature", {"granularity": "baseline", "feature_name": "clicks"}
    )
    assert [(row["row_count"], row["null_count"], row["max_val"]) for row in rows] == [(4, 1, 99.0)]
    views = STORE.query_monitoring_metrics(
        applied.config, "unit", "feature_view", {"granularity": "quarterly"}
    )
    assert {row["feature_view_name"]: row["total_row_count"] for row in views} == {
        "user_activity": 4,
        "site": 2,
    }


def test_a_file_source_too(repo, source):
    given_as_file = FileSource(
        name="f", path="data.parquet", file_format=ParquetFormat(), timestamp_field="at"
    )
    assert metrics_of(repo, given_as_file) == metrics_of(repo, source)
