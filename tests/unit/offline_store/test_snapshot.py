"""A lake pinned to a snapshot is read as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from profilestore.errors import InputError
from profilestore.lake import connect
from profilestore.offline_store.connections import cursor
from profilestore.offline_store.source import lake_location

SPINE = pa.table({"event_timestamp": [datetime(2030, 1, 1, tzinfo=UTC)]})


def load(store):
    found = store.get_historical_features(entity_df=SPINE, features=["site:load"]).to_arrow()
    return found["load"].to_pylist()


def snapshots(store):
    with cursor(lake_location(store.config)) as connection:
        return connection.execute(
            "SELECT snapshot_id, snapshot_time FROM lake.snapshots() ORDER BY 1"
        ).fetchall()


def test_by_number(applied, reopen, write):
    last = snapshots(applied)[-1][0]
    write("INSERT INTO lake.main.site VALUES (TIMESTAMPTZ '2024-02-01 00:00:00+00', 9)")
    assert load(applied) == [9]
    assert load(reopen(snapshot=last)) == [8]
    # The two are apart, in one process and at once.
    assert load(applied) == [9]


@pytest.mark.parametrize(
    "written", [str, lambda t: t.astimezone(UTC).replace(tzinfo=None).isoformat()]
)
def test_by_time(applied, reopen, write, written):
    before = snapshots(applied)[-1][1]
    write("INSERT INTO lake.main.site VALUES (TIMESTAMPTZ '2024-02-01 00:00:00+00', 9)")
    after = snapshots(applied)[-1][1]
    pinned = reopen(snapshot_time=written(after - timedelta(microseconds=1)))
    assert before < after
    assert load(pinned) == [8]
    assert load(applied) == [9]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({"snapshot": 99}, "no snapshot 99"), ({"snapshot_time": "2001-01-01"}, "no snapshot 2001")],
)
def test_a_snapshot_that_is_not_there_says_which_are(applied, reopen, options, wanted):
    store = reopen(**options)
    with pytest.raises(InputError, match=rf"{wanted}.*it has 0 to \d+, made from .*Correct"):
        load(store)


def test_a_table_younger_than_the_snapshot(applied, reopen):
    store = reopen(snapshot=1)
    with pytest.raises(
        Exception, match=r"no table 'site' .*as of snapshot 1; found: user_activity"
    ):
        load(store)


@pytest.mark.parametrize(
    "options",
    [
        {"snapshot": 1, "snapshot_time": "2026-01-01"},
        {"snapshot": -1},
        {"snapshot_time": "yesterday"},
    ],
)
def test_what_is_no_pin(reopen, options):
    with pytest.raises(Exception, match="snapshot"):
        reopen(**options).config.offline_store  # noqa: B018


def test_an_attached_lake_is_read_only_unless_asked(tmp_path, write):
    from profilestore.lake import attach_lake

    write("CREATE TABLE lake.main.t AS SELECT 1 AS n")
    for writable in (False, True):
        with connect() as connection:
            attach_lake(
                connection,
                tmp_path / "lake/catalog.sqlite",
                tmp_path / "lake/files",
                writable=writable,
            )
            if writable:
                connection.execute("INSERT INTO lake.main.t VALUES (2)")
            else:
                with pytest.raises(Exception, match="read-only"):
                    connection.execute("INSERT INTO lake.main.t VALUES (2)")
