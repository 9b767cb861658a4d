from __future__ import annotations

import gc
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from feast import (
    Entity,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RequestSource,
)
from feast.cli.cli import cli
from feast.data_format import FileFormat
from feast.feature_view import DUMMY_ENTITY_ID
from feast.types import Int64
from feast.value_type import ValueType

from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.offline_store import (
    DuckDBSource,
    NativeDuckDBOfflineStore,
    NativeDuckDBOfflineStoreConfig,
)

EARLY = datetime(2020, 1, 1, tzinfo=UTC)
LATE = datetime(2030, 1, 1, tzinfo=UTC)
ACTIVITY = DuckDBSource(
    table="user_activity", timestamp_field="event_timestamp", created_timestamp_column="loaded_at"
)
SITE = DuckDBSource(table="site", timestamp_field="event_timestamp")


def pull(store, source=ACTIVITY, *, latest=True, **changes):
    options = {
        "join_key_columns": ["user_id"],
        "feature_name_columns": ["clicks"],
        "timestamp_field": "event_timestamp",
        "created_timestamp_column": "loaded_at",
        "start_date": EARLY,
        "end_date": LATE,
        **changes,
    }
    method = (
        NativeDuckDBOfflineStore.pull_latest_from_table_or_query
        if latest
        else NativeDuckDBOfflineStore.pull_all_from_table_or_query
    )
    return method(store.config, source, **options)


def test_the_store_is_found_by_its_public_path(repo):
    assert isinstance(repo.config.offline_store, NativeDuckDBOfflineStoreConfig)
    assert isinstance(repo._get_provider().offline_store, NativeDuckDBOfflineStore)
    assert NativeDuckDBOfflineStore.supports_filter_by_created_timestamp


def test_the_latest_row_per_key(repo):
    table = pull(repo).to_arrow()
    assert table.column_names == ["user_id", "clicks", "event_timestamp", "loaded_at"]
    rows = sorted(table.to_pylist(), key=lambda row: row["user_id"])
    # A row whose key is null is nobody's.
    assert [(row["user_id"], row["clicks"]) for row in rows] == [(1, 20), (2, None)]
    assert table.schema.field("event_timestamp").type == pa.timestamp("us", "UTC")
    assert table.schema.field("loaded_at").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (EARLY, datetime(2024, 1, 2), {1: 10, 2: None}),
        (datetime(2024, 1, 2), datetime(2024, 1, 3), {1: 20, 2: None}),
        (datetime(2024, 1, 2, 0, 0, 0, 1), datetime(2024, 1, 3), {1: 20}),
        (EARLY, datetime(2024, 1, 3) - timedelta(microseconds=1), {1: 10, 2: None}),
    ],
)
def test_the_range_includes_both_ends(repo, start, end, expected):
    rows = pull(repo, start_date=start, end_date=end).to_arrow().to_pylist()
    assert {row["user_id"]: row["clicks"] for row in rows} == expected


def test_of_equal_events_the_one_created_last(repo, write):
    write(
        "INSERT INTO lake.main.user_activity VALUES "
        "(1, TIMESTAMP '2024-01-03', TIMESTAMP '2024-01-04', 21, NULL, NULL), "
        "(1, TIMESTAMP '2024-01-03', TIMESTAMP '2024-01-06', 22, NULL, NULL), "
        "(1, TIMESTAMP '2024-01-03', NULL, 23, NULL, NULL)"
    )
    rows = pull(repo).to_arrow().to_pylist()
    assert [row["clicks"] for row in rows if row["user_id"] == 1] == [22]
    # Without a created column one of them, and only one.
    assert pull(repo, created_timestamp_column=None).to_arrow().num_rows == 2


def test_all_rows_in_a_range(repo):
    assert pull(repo, latest=False).to_arrow().num_rows == 4
    found = pull(repo, latest=False, start_date=None, end_date=datetime(2024, 1, 2)).to_arrow()
    assert sorted(found["clicks"].to_pylist(), key=str) == [10, 99, None]
    found = pull(repo, latest=False, start_date=datetime(2024, 1, 3), end_date=None).to_arrow()
    assert found["clicks"].to_pylist() == [20]


def test_a_view_without_entity_has_one_row_under_the_dummy_key(repo):
    options = {
        "join_key_columns": [],
        "feature_name_columns": ["load"],
        "created_timestamp_column": None,
    }
    rows = pull(repo, SITE, **options).to_arrow().to_pylist()
    assert [(row[DUMMY_ENTITY_ID], row["load"]) for row in rows] == [("", 8)]
    assert pull(repo, SITE, latest=False, **options).to_arrow().num_rows == 2


def test_no_named_features_are_all_of_them(repo):
    table = pull(repo, feature_name_columns=[]).to_arrow()
    assert table.column_names == [
        "user_id",
        "clicks",
        "vector",
        "amount",
        "event_timestamp",
        "loaded_at",
    ]


def test_pulls_from_queries_files_and_pushes(repo):
    path = repo.repo_path / "site.parquet"
    pq.write_table(pull(repo, latest=False).to_arrow(), path)
    for source in (
        DuckDBSource(name="q", query="FROM lake.main.user_activity;", timestamp_field="t"),
        DuckDBSource(name="p", path="site.parquet", timestamp_field="t"),
        FileSource(name="f", path="site.parquet", timestamp_field="t"),
        PushSource(name="pushed", batch_source=ACTIVITY),
    ):
        rows = pull(repo, source).to_arrow().to_pylist()
        assert {row["user_id"]: row["clicks"] for row in rows} == {1: 20, 2: None}


def test_pulled_columns_that_are_not_there(repo):
    with pytest.raises(InputError, match=r"source 'user_activity': no column 'clics' \(a feature"):
        pull(repo, feature_name_columns=["clics"])
    with pytest.raises(InputError, match=r"no column 'user' \(a join key\)"):
        pull(repo, join_key_columns=["user"])
    with pytest.raises(MissingStageError, match="no table 'none'"):
        pull(repo, DuckDBSource(table="none", timestamp_field="t"))


def test_pulled_metadata_is_none(repo):
    assert pull(repo).metadata is None
    assert pull(repo).to_sql().startswith("WITH history")


def test_a_feature_that_the_source_lacks(applied):
    activity = applied.get_feature_view("user_activity")
    activity = FeatureView(
        name="user_activity",
        entities=[applied.get_entity("user")],
        source=ACTIVITY,
        schema=[*activity.schema, Field(name="orders", dtype=Int64)],
    )
    applied.apply([activity])
    frame = pd.DataFrame({"user_id": [1], "event_timestamp": [LATE]})
    with pytest.raises(InputError) as caught:
        applied.get_historical_features(entity_df=frame, features=["user_activity:orders"])
    message = str(caught.value)
    for part in (
        "feature view 'user_activity'",
        "source 'user_activity'",
        "no column 'orders' (a feature)",
        "found: user_id, event_timestamp, loaded_at, clicks, vector, amount",
    ):
        assert part in message


def test_sources_that_are_of_another_store(repo):
    class Feather(FileFormat):
        def to_proto(self):
            raise NotImplementedError

    other = FileSource(name="other", path="x", file_format=Feather(), timestamp_field="t")
    with pytest.raises(InputError, match="a FileSource of Feather; this store reads Parquet"):
        pull(repo, other)
    remote = FileSource(name="far", path="s3://bucket/x.parquet", timestamp_field="t")
    with pytest.raises(InputError, match=r"source 'far' is at s3://.*from the local disk"):
        pull(repo, remote)
    request = RequestSource(name="request", schema=[Field(name="n", dtype=Int64)])
    with pytest.raises(InputError, match="found a RequestSource; wanted a DuckDBSource"):
        pull(repo, request)


def test_a_range_of_views_with_different_keys(applied, write):
    write(
        "CREATE TABLE lake.main.items AS SELECT 5 AS item_id, TIMESTAMP '2024-01-01' AS at, 1 AS n"
    )
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.INT64)
    items = FeatureView(
        name="items",
        entities=[item],
        source=DuckDBSource(table="items", timestamp_field="at"),
        schema=[Field(name="n", dtype=Int64)],
    )
    applied.apply([item, items])
    with pytest.raises(InputError, match=r"need the same keys: .*user_id; .*item_id"):
        applied.get_historical_features(
            features=["user_activity:clicks", "items:n"], start_date=EARLY, end_date=LATE
        )


def test_a_range_ends_now_and_starts_thirty_days_before(applied, write):
    now = datetime.now(tz=UTC)
    for days in (1, 29, 31):
        write(
            f"INSERT INTO lake.main.site VALUES "
            f"(TIMESTAMPTZ '{now - timedelta(days=days)}', {days})"
        )
    found = applied.get_historical_features(features=["site:load"], start_date=None).to_arrow()
    assert found["load"].to_pylist() == [29, 1]


def test_what_cannot_be_asked(applied):
    with pytest.raises(InputError, match="does not know: colour"):
        NativeDuckDBOfflineStore.get_historical_features(
            applied.config, [], [], None, applied.registry, "unit", colour=1
        )
    with pytest.raises(InputError, match="no stored feature is asked for"):
        NativeDuckDBOfflineStore.get_historical_features(
            applied.config, [], [], None, applied.registry, "unit"
        )
    view = applied.get_feature_view("site")
    with pytest.raises(InputError, match="no feature view 'other'"):
        NativeDuckDBOfflineStore.get_historical_features(
            applied.config, [view], ["other:x"], None, applied.registry, "unit"
        )


DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureView, Field
from feast.types import Array, Decimal, Float32, Int64
from feast.value_type import ValueType
from profilestore.offline_store import DuckDBSource

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
user_activity = FeatureView(
    name="user_activity", entities=[user], ttl=timedelta(days=9),
    source=DuckDBSource(
        table="user_activity", timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    schema=[
        Field(name="clicks", dtype=Int64), Field(name="vector", dtype=Array(Float32)),
        Field(name="amount", dtype=Decimal),
    ],
)
inferred = FeatureView(
    name="inferred", entities=[user],
    source=DuckDBSource(
        name="seen", query="SELECT user_id, event_timestamp, vector FROM lake.main.user_activity",
        timestamp_field="event_timestamp",
    ),
)
site = FeatureView(
    name="site", source=DuckDBSource(table="site", timestamp_field="event_timestamp"),
    schema=[Field(name="load", dtype=Int64)],
)
"""


@pytest.fixture
def command(repo, monkeypatch):
    """Run `feast` in the test's repo."""
    known = set(sys.modules)

    def run(*arguments):
        monkeypatch.chdir(repo.repo_path)
        return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)

    yield run
    # `feast apply` imports the repo's files by their bare names.
    for name in set(sys.modules) - known:
        if name.startswith("spec_repo_"):
            del sys.modules[name]


@pytest.mark.parametrize("latest", [True, False])
def test_apply_and_materialize_from_the_command_line(repo, command, write, latest):
    settings = repo.repo_path / "feature_store.yaml"
    if latest:
        settings.write_text(
            f"{settings.read_text()}materialization: {{pull_latest_features: true}}\n"
        )
    else:
        # Feast then pulls all rows, and stops at one whose key is null.
        write("DELETE FROM lake.main.user_activity WHERE user_id IS NULL")
    (repo.repo_path / f"spec_repo_{latest}.py").write_text(DEFINITIONS)
    assert command("apply").exit_code == 0
    found = command("materialize", "2023-12-01T00:00:00", "2024-02-01T00:00:00")
    assert found.exit_code == 0
    store = FeatureStore(repo_path=str(repo.repo_path))
    assert [f.name for f in store.get_feature_view("inferred").features] == ["vector"]
    online = store.get_online_features(
        features=[
            "user_activity:clicks",
            "user_activity:vector",
            "user_activity:amount",
            "inferred:vector",
            "site:load",
        ],
        entity_rows=[{"user_id": 1}, {"user_id": 2}, {"user_id": 3}],
        full_feature_names=True,
    ).to_dict()
    assert online["user_activity__clicks"] == [20, None, None]
    assert online["user_activity__vector"] == [[3.0, 4.0], None, None]
    assert [str(value) for value in online["user_activity__amount"]] == ["2.50", "None", "None"]
    assert online["inferred__vector"] == [[3.0, 4.0], None, None]
    assert online["site__load"] == [8, 8, 8]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('table="site"', 'table="sight"', "no table 'sight'"),
        ('"loaded_at"', '"learned_at"', "no column 'learned_at'"),
    ],
)
def test_apply_stops_at_a_source_that_is_wrong(repo, command, old, new, wanted):
    name = f"spec_repo_{new.strip(chr(34)).replace('=', '_').replace(chr(34), '')}"
    (repo.repo_path / f"{name}.py").write_text(DEFINITIONS.replace(old, new))
    with pytest.raises(ProfilestoreError, match=wanted):
        command("apply")
    assert (
        not (repo.repo_path / "registry.db").exists()
        or not FeatureStore(repo_path=str(repo.repo_path)).list_feature_views()
    )


def test_eight_threads_get_right_answers_and_leave_nothing_open(applied, write):
    write(
        "INSERT INTO lake.main.user_activity SELECT 1000 + i, "
        "TIMESTAMP '2024-01-01' + to_days((i % 9)::INT), TIMESTAMP '2024-01-20', i, NULL, NULL "
        "FROM range(2000) t(i)"
    )
    view = applied.get_feature_view("user_activity")

    def read(seed):
        chosen = random.Random(seed).sample(range(2_000), 20)
        spine = pa.table(
            {
                "user_id": [1_000 + n for n in chosen],
                "event_timestamp": [datetime(2024, 1, 5, tzinfo=UTC)] * 20,
            }
        )
        job = NativeDuckDBOfflineStore.get_historical_features(
            applied.config, [view], ["user_activity:clicks"], spine, applied.registry, "unit"
        )
        expected = [n if n % 9 <= 4 else None for n in chosen]
        return job.to_arrow()["clicks"].to_pylist() == expected

    assert read(0)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(800)))
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
