from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from profilestore.errors import InputError
from profilestore.offline_store.spine import describe_spine, spine_rows

NOON = datetime(2024, 1, 3, 12, tzinfo=UTC)


def ask(store, spine, features=("user_activity:clicks",), **options):
    return store.get_historical_features(entity_df=spine, features=list(features), **options)


def clicks(store, spine):
    return ask(store, spine).to_arrow()["clicks"].to_pylist()


def test_the_column_of_instants_may_have_another_name(applied):
    frame = pd.DataFrame({"user_id": [1, 2], "asked_at": [NOON, NOON]})
    found = ask(applied, frame).to_df()
    assert list(found.columns) == ["user_id", "asked_at", "clicks"]
    assert found["clicks"].iloc[0] == 20


def test_no_instants(applied):
    with pytest.raises(InputError, match=r"no column 'event_timestamp'.*columns of times: none"):
        ask(applied, pd.DataFrame({"user_id": [1]}))
    two = pd.DataFrame({"user_id": [1], "a": [NOON], "b": [NOON]})
    with pytest.raises(InputError, match="columns of times: a, b"):
        ask(applied, two)


def test_instants_as_text(applied):
    frame = pd.DataFrame({"user_id": [1], "event_timestamp": ["2024-01-03"]})
    with pytest.raises(InputError, match=r"is VARCHAR; a time is wanted. Use pd.to_datetime"):
        ask(applied, frame)
    with pytest.raises(InputError, match="is VARCHAR; a time is wanted"):
        ask(applied, "SELECT 1 AS user_id, '2024-01-03' AS event_timestamp")


def test_no_key(applied):
    frame = pd.DataFrame({"user": [1], "event_timestamp": [NOON]})
    with pytest.raises(InputError, match=r"no column 'user_id', a key of feature view 'user_act"):
        ask(applied, frame)


def test_a_key_of_another_kind(applied):
    frame = pd.DataFrame({"user_id": ["1"], "event_timestamp": [NOON]})
    with pytest.raises(InputError, match=r"is VARCHAR, and 'user_id' of feature view.*is BIGINT"):
        ask(applied, frame)


def test_a_name_twice(applied):
    frame = pd.DataFrame({"user_id": [1], "event_timestamp": [NOON], "clicks": [3]})
    with pytest.raises(InputError, match=r"two columns named 'clicks'.*full_feature_names=True"):
        ask(applied, frame)
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([1])], names=["user_id", "user_id"])
    with pytest.raises(InputError, match="several columns named user_id"):
        ask(applied, twice)
    with pytest.raises(InputError, match="cannot be read"):
        ask(applied, pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_something_else(applied):
    with pytest.raises(InputError, match="the spine is a list"):
        ask(applied, [1])
    with pytest.raises(InputError, match=r"query does not run.*nowhere"):
        ask(applied, "SELECT * FROM nowhere")


def test_a_query_reads_the_lake_once_per_call_and_keeps_its_order(applied):
    query = """
        SELECT user_id, event_timestamp, 'x' AS note FROM lake.main.user_activity
        ORDER BY event_timestamp DESC, user_id; -- the last first
    """
    job = ask(applied, query)
    found = job.to_arrow()
    assert found["user_id"].to_pylist() == [1, 2, None, 1]
    assert found["clicks"].to_pylist() == [20, None, None, 10]
    assert found["note"].to_pylist() == ["x"] * 4
    # A query whose rows change between runs is joined to the rows it gave.
    job = ask(applied, "SELECT 1 AS user_id, TIMESTAMP '2024-01-03' AS event_timestamp, random() r")
    assert job.to_arrow().num_rows == 1


@pytest.mark.parametrize(
    "instants",
    [
        pd.Series([NOON], dtype="datetime64[ns, UTC]"),
        pd.Series([NOON], dtype="datetime64[us, UTC]"),
        pd.Series([NOON]).dt.tz_convert("Asia/Kolkata"),
        pd.Series([NOON.replace(tzinfo=None)], dtype="datetime64[s]"),
        pd.Series([NOON], dtype=object),
        pd.Series([NOON.astimezone(timezone(timedelta(hours=-7)))], dtype=object),
        pd.Series([date(2024, 1, 4)], dtype=object),
    ],
)
def test_instants_in_every_form(applied, instants):
    assert clicks(applied, pd.DataFrame({"user_id": [1], "event_timestamp": instants})) == [20]


def test_mixed_zones_in_one_column_are_instants(applied):
    there = timezone(timedelta(hours=2))
    instants = pd.Series(
        [datetime(2024, 1, 3, 1, tzinfo=there), datetime(2024, 1, 3, 0, tzinfo=UTC)], dtype=object
    )
    frame = pd.DataFrame({"user_id": [1, 1], "event_timestamp": instants})
    assert clicks(applied, frame) == [10, 20]


def test_no_rows_and_rows_without_anything(applied):
    empty = pd.DataFrame({"user_id": [], "event_timestamp": []})
    found = ask(applied, empty).to_df()
    assert list(found.columns) == ["user_id", "event_timestamp", "clicks"]
    assert found.empty
    nothing = pd.DataFrame({"user_id": [None], "event_timestamp": [pd.NaT], "label": [None]})
    assert clicks(applied, nothing) == [None]
    unkeyed = pd.DataFrame({"user_id": [None, None], "event_timestamp": [NOON, NOON]})
    assert clicks(applied, unkeyed) == [None, None]


def test_keys_that_pandas_made_floats(applied):
    frame = pd.DataFrame({"user_id": [1, np.nan, 1.5], "event_timestamp": [NOON] * 3})
    assert clicks(applied, frame) == [20, None, None]
    frame = pd.DataFrame(
        {"user_id": pd.array([1, None], dtype="Int64"), "event_timestamp": [NOON] * 2}
    )
    assert clicks(applied, frame) == [20, None]


def test_the_callers_columns_keep_their_types(applied):
    given = pa.table(
        {
            "n": pa.array([None, None]),
            "user_id": pa.array([1, 2], pa.int32()),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "event_timestamp": pa.array([NOON, NOON], pa.timestamp("ns", "Europe/Berlin")),
            "naive": pa.array([NOON.replace(tzinfo=None)] * 2, pa.timestamp("ms")),
            "long": pa.array(["x", None], pa.large_string()),
            "list": pa.array([[1], None], pa.list_(pa.int8())),
        }
    )
    found = ask(applied, given).to_arrow()
    assert found.select(given.column_names).schema == given.schema
    assert found.select(given.column_names).to_pylist() == given.to_pylist()
    frame = given.to_pandas()
    returned = ask(applied, frame).to_df()[list(frame.columns)]
    assert str(returned["kind"].dtype) == "category"


def test_an_index_is_not_read(applied):
    frame = pd.DataFrame({"user_id": [1], "event_timestamp": [NOON]}, index=[99])
    assert list(ask(applied, frame).to_df().columns) == ["user_id", "event_timestamp", "clicks"]


def test_anything_that_is_arrow(applied):
    class Stream:
        """As Polars has it."""

        def __arrow_c_stream__(self, requested_schema=None):
            table = pa.table({"user_id": [1], "event_timestamp": [NOON]})
            return table.__arrow_c_stream__(requested_schema)

    assert clicks(applied, Stream()) == [20]


def test_capitals_make_two_columns():
    table = pa.table({"a": [1], "A": [2], "event_timestamp": [NOON]})
    spine = describe_spine(spine_rows(table), duckdb.connect())
    assert [column.name for column in spine.columns] == ["a", "A", "event_timestamp"]
    assert spine.time == 2
