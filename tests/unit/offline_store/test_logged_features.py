"""Served features, logged and read back through Feast."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, FeatureStore
from feast.feature_logging import FeatureServiceLoggingSource, LoggingConfig
from feast.infra.offline_stores.file_source import FileLoggingDestination

from profilestore.errors import InputError, MissingStageError
from profilestore.offline_store import DuckDBLoggingDestination

START = datetime(2024, 1, 1, tzinfo=UTC)


def service_of(applied, destination):
    service = FeatureService(
        name="served",
        # Without the decimal, for which Feast has no log column.
        features=[
            applied.get_feature_view("user_activity")[["clicks", "vector"]],
            applied.get_feature_view("site"),
        ],
        logging_config=LoggingConfig(destination=destination),
    )
    applied.apply([service])
    return FeatureStore(repo_path=str(applied.repo_path)).get_feature_service("served")


@pytest.fixture(params=[DuckDBLoggingDestination, FileLoggingDestination])
def service(request, applied):
    return service_of(applied, request.param(path="logs/served"))


def logs_of(store, service, hours):
    """One row an hour, with the columns that Feast says."""
    schema = FeatureServiceLoggingSource(service, store.project).get_schema(store.registry)
    values = {
        "user_id": list(hours),
        "user_activity__clicks": [10 * n for n in hours],
        "user_activity__vector": [[0.5, float(n)] for n in hours],
        "user_activity__clicks__status": [2] * len(hours),
        "user_activity__clicks__timestamp": [START] * len(hours),
        "site__load": [None] * len(hours),
        "__log_timestamp": [START + timedelta(hours=n) for n in hours],
        "__log_date": [date(2024, 1, 1)] * len(hours),
        "__request_id": [f"r{n}" for n in hours],
    }
    nothing = [None] * len(hours)
    return pa.table({name: values.get(name, nothing) for name in schema.names}, schema=schema)


def read(store, service, start, end):
    job = store._get_provider().retrieve_feature_service_logs(
        feature_service=service,
        start_date=START + timedelta(hours=start),
        end_date=START + timedelta(hours=end),
        config=store.config,
        registry=store.registry,
    )
    return job.to_arrow().sort_by("__log_timestamp")


def test_written_and_read_back(applied, service):
    with pytest.raises(MissingStageError, match="logs/served: there is no such file or folder"):
        read(applied, service, 0, 9)
    first = logs_of(applied, service, [0, 1, 2])
    applied.write_logged_features(first, service)
    applied.write_logged_features(logs_of(applied, service, [3, 4]), service)
    applied.write_logged_features(first.slice(0, 0), service)
    assert len(list((applied.repo_path / "logs/served").iterdir())) == 2
    found = read(applied, service, 1, 3)
    assert set(first.column_names) <= set(found.column_names)
    assert found["__request_id"].to_pylist() == ["r1", "r2", "r3"]
    expected = logs_of(applied, service, [1, 2, 3])
    for name in expected.column_names:
        assert found[name].to_pylist() == expected[name].to_pylist(), name


def test_written_from_a_folder_of_parquet(applied, service, tmp_path):
    folder = tmp_path / "flushed"
    folder.mkdir()
    for n in range(3):
        pq.write_table(logs_of(applied, service, [n]), folder / f"{n}.parquet")
    applied.write_logged_features(folder, service)
    assert read(applied, service, 0, 9)["__request_id"].to_pylist() == ["r0", "r1", "r2"]
    assert len(list((applied.repo_path / "logs/served").iterdir())) == 1
    with pytest.raises(MissingStageError, match=r"no rows to write at .*none"):
        applied.write_logged_features(tmp_path / "none", service)
    (folder / "0.parquet").write_text("broken")
    with pytest.raises(InputError, match="cannot be read"):
        applied.write_logged_features(folder, service)
    assert read(applied, service, 0, 9).num_rows == 3


def test_written_by_threads(applied, service):
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: applied.write_logged_features(logs_of(applied, service, [n]), service),
                range(40),
            )
        )
    assert read(applied, service, 0, 99)["user_id"].to_pylist() == list(range(40))


def test_logs_that_do_not_fit(applied, service):
    logs = logs_of(applied, service, [0])
    with pytest.raises(InputError, match="column '__request_id': found none, wanted VARCHAR"):
        applied.write_logged_features(logs.drop_columns(["__request_id"]), service)
    texts = logs.set_column(
        logs.column_names.index("__log_timestamp"), "__log_timestamp", pa.array(["2024-01-01"])
    )
    with pytest.raises(InputError, match=r"'__log_timestamp': found VARCHAR.*pd\.to_datetime"):
        applied.write_logged_features(texts, service)
    assert not (applied.repo_path / "logs").exists()


def test_the_registry_knows_the_destination(applied):
    service = service_of(applied, DuckDBLoggingDestination(path="a"))
    assert service.logging_config.destination == DuckDBLoggingDestination(path="a")
    assert hash(service.logging_config.destination) == hash(DuckDBLoggingDestination(path="a"))
    proto = service.to_proto().spec.logging_config
    assert proto.custom_destination.kind == "profilestore.offline_store.DuckDBLoggingDestination"


def test_where_they_cannot_be_logged(applied):
    (applied.repo_path / "file").write_text("")
    for path, wanted in (("s3://bucket/logs", "on the local disk"), ("file", "it is a file")):
        service = service_of(applied, FileLoggingDestination(path=path))
        with pytest.raises(InputError, match=wanted):
            applied.write_logged_features(logs_of(applied, service, [0]), service)
    service.logging_config.destination = object()
    with pytest.raises(InputError, match="cannot be logged to a object: wanted"):
        applied.write_logged_features(logs_of(applied, service, [0]), service)


def test_a_feature_that_feast_cannot_log(applied):
    service = FeatureService(
        name="served",
        features=[applied.get_feature_view("user_activity")],
        logging_config=LoggingConfig(destination=DuckDBLoggingDestination(path="a")),
    )
    applied.apply([service])
    with pytest.raises(InputError, match="no log column for type Decimal"):
        applied.write_logged_features(pa.table({"user_id": [1]}), service)
