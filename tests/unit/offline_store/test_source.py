from __future__ import annotations

import pytest
from feast import FileSource, PushSource
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto

from profilestore.errors import InputError, MissingStageError
from profilestore.offline_store import DuckDBSource
from profilestore.offline_store.connections import cursor
from profilestore.offline_store.source import (
    batch_source,
    check_source,
    estimated_rows,
    lake_location,
)


@pytest.mark.parametrize(
    "options",
    [
        {"table": "user_activity"},
        {"name": "asked", "query": "SELECT 'ä;' AS \"x y\" -- no more"},
        {"name": "files", "path": "data/*.parquet"},
    ],
)
def test_a_source_survives_the_registry(options):
    source = DuckDBSource(
        timestamp_field="at",
        created_timestamp_column="learned",
        field_mapping={"n": "clicks"},
        description="what it is",
        tags={"team": "profiles"},
        owner="someone@example.org",
        **options,
    )
    proto = DataSourceProto.FromString(source.to_proto().SerializeToString())
    assert proto.type == DataSourceProto.CUSTOM_SOURCE
    assert proto.data_source_class_type == "profilestore.offline_store.DuckDBSource"
    again = DataSource.from_proto(proto)
    assert type(again) is DuckDBSource
    assert again == source
    assert hash(again) == hash(source)
    assert (again.table, again.query, again.path) == (source.table, source.query, source.path)
    assert again.to_proto() == source.to_proto()


def test_sources_differ_by_what_they_read():
    assert DuckDBSource(name="a", table="t") != DuckDBSource(name="a", table="u")
    assert DuckDBSource(name="a", query="t") != DuckDBSource(name="a", table="t")
    assert DuckDBSource(name="a", table="t") != FileSource(name="a", path="t")


def test_exactly_one_thing_to_read():
    with pytest.raises(InputError, match="given: none"):
        DuckDBSource(name="a")
    with pytest.raises(InputError, match="given: table, path"):
        DuckDBSource(name="a", table="t", path="p")
    with pytest.raises(InputError, match="give it a name"):
        DuckDBSource(query="SELECT 1")


@pytest.mark.parametrize(
    ("table", "relation"),
    [
        ("user_activity", '"lake"."main"."user_activity"'),
        ("marts.user_activity", '"lake"."marts"."user_activity"'),
        ("lake.marts.user_activity", '"lake"."marts"."user_activity"'),
        ('"two words"', '"lake"."main"."two words"'),
        ('main."a.b"', '"lake"."main"."a.b"'),
    ],
)
def test_a_bare_table_is_in_the_lake(table, relation):
    assert DuckDBSource(name="x", table=table).get_table_query_string() == relation


def test_a_query_may_end_in_a_semicolon_or_a_comment():
    query = DuckDBSource(name="x", query=" SELECT 1 ; \n").get_table_query_string()
    assert query == "(\nSELECT 1\n)"
    query = DuckDBSource(name="x", query="SELECT 'ä;' ;; -- one; two").get_table_query_string()
    assert query == "(\nSELECT 'ä;'\n)"
    query = DuckDBSource(name="x", query="SELECT 1 -- one").get_table_query_string()
    assert query == "(\nSELECT 1 -- one\n)"


def test_columns_and_types_of_a_table(repo):
    source = DuckDBSource(table="user_activity", timestamp_field="event_timestamp")
    assert list(source.get_table_column_names_and_types(repo.config)) == [
        ("user_id", "BIGINT"),
        ("event_timestamp", "TIMESTAMP"),
        ("loaded_at", "TIMESTAMP"),
        ("clicks", "BIGINT"),
        ("vector", "FLOAT[]"),
        ("amount", "DECIMAL(10,2)"),
    ]


def test_files_are_found_from_the_repo(repo):
    (repo.repo_path / "data").mkdir()
    (repo.repo_path / "data" / "a.csv").write_text("user_id,at\n1,2024-01-01 00:00:00\n")
    with cursor(lake_location(repo.config)) as connection:
        connection.execute(f"COPY (SELECT 1 AS a) TO '{repo.repo_path}/data/a.parquet'")
    source = DuckDBSource(name="csv", path="data/a.csv", timestamp_field="at")
    source.validate(repo.config)
    assert list(source.get_table_column_names_and_types(repo.config)) == [
        ("user_id", "BIGINT"),
        ("at", "TIMESTAMP"),
    ]
    for path in ("data/a.parquet", "data/*.parquet", "data"):
        source = DuckDBSource(name="parquet", path=path)
        assert list(source.get_table_column_names_and_types(repo.config)) == [("a", "INTEGER")]


def test_a_missing_table_says_what_there_is(repo):
    source = DuckDBSource(table="user_activty", timestamp_field="event_timestamp")
    with pytest.raises(MissingStageError) as caught:
        source.validate(repo.config)
    message = str(caught.value)
    for part in ("'user_activty'", "catalog.sqlite", "site, user_activity", "make build"):
        assert part in message


def test_a_missing_column_says_what_there_is(repo):
    source = DuckDBSource(table="site", timestamp_field="at")
    with pytest.raises(InputError, match=r"source 'site': no column 'at' \(the event time\)") as e:
        source.validate(repo.config)
    assert "found: event_timestamp, load" in str(e.value)
    source = DuckDBSource(
        table="site", timestamp_field="event_timestamp", created_timestamp_column="loaded_at"
    )
    with pytest.raises(InputError, match=r"'loaded_at' \(the created time\)"):
        source.validate(repo.config)
    source = DuckDBSource(
        table="site", timestamp_field="event_timestamp", field_mapping={"laod": "load"}
    )
    with pytest.raises(InputError, match=r"'laod' \(named in field_mapping\)"):
        source.validate(repo.config)


def test_a_time_that_is_no_time_says_what_it_is(repo):
    source = DuckDBSource(table="site", timestamp_field="load")
    with pytest.raises(InputError, match="is BIGINT; a time is wanted"):
        source.validate(repo.config)
    with pytest.raises(InputError, match="no timestamp_field"):
        DuckDBSource(table="site").validate(repo.config)


def test_a_query_that_does_not_run_says_why(repo):
    source = DuckDBSource(name="q", query="SELECT nothing FROM lake.main.site")
    with pytest.raises(InputError, match=r"source 'q': its query does not run.*nothing"):
        source.validate(repo.config)


def test_a_file_that_is_not_there(repo):
    with pytest.raises(MissingStageError, match=r"source 'p': cannot read.*none\.parquet"):
        DuckDBSource(name="p", path="none.parquet", timestamp_field="at").validate(repo.config)
    with pytest.raises(MissingStageError, match=r"none\.parquet"):
        check_source(FileSource(name="f", path="none.parquet", timestamp_field="at"), repo.config)


def test_a_push_source_is_the_source_behind_it():
    behind = DuckDBSource(table="site", timestamp_field="event_timestamp")
    assert batch_source(PushSource(name="pushed", batch_source=behind), "view") is behind
    with pytest.raises(InputError, match="view: found no batch source"):
        batch_source(PushSource(name="pushed"), "view")
    with pytest.raises(InputError, match="view: found no batch source"):
        batch_source(None, "view")


def test_mapped_time_columns_are_checked_under_their_own_names(repo):
    DuckDBSource(
        table="site",
        timestamp_field="happened_at",
        field_mapping={"event_timestamp": "happened_at"},
    ).validate(repo.config)


def test_sizes_are_estimated_without_reading(repo):
    with cursor(lake_location(repo.config)) as connection:
        assert estimated_rows(connection, "lake.main.user_activity") == 4
        assert estimated_rows(connection, "(SELECT 1)") == 1


def test_a_view_names_the_public_class_path():
    from feast import FeatureView

    source = DuckDBSource(table="user_activity", timestamp_field="event_timestamp")
    proto = FeatureView(name="view", source=source).to_proto()
    assert (
        proto.spec.batch_source.data_source_class_type == "profilestore.offline_store.DuckDBSource"
    )


def test_the_same_source_made_twice_has_the_same_proto():
    one, other = (
        DuckDBSource(table="user_activity", timestamp_field="event_timestamp") for _ in range(2)
    )
    other.created_timestamp = other.last_updated_timestamp = None
    assert one.to_proto() == other.to_proto()
