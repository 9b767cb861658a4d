"""Law 1: every raw row is accepted, or in the quarantine with its reason, and nothing else is."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import duckdb
from warehouse_logs import rows_of_files


def test_raw_is_accepted_plus_quarantined(warehouse: Any) -> None:
    counted = warehouse.rows("event_reconciliation")
    with duckdb.connect(":memory:") as connection:
        raw = connection.execute(
            f"SELECT count(*) FROM read_parquet('{warehouse.raw.folder}/events.parquet')"
        ).fetchone()
    files = defaultdict(list)
    for (file, _), one in zip(rows_of_files(warehouse.events), warehouse.events, strict=True):
        files[file].append(one)
    assert {row["raw_file"]: row for row in counted} == {
        file: {
            "source": "files",
            "raw_file": file,
            "raw_rows": len(events),
            "accepted_rows": sum(not one.fault for one in events),
            "quarantined_rows": sum(bool(one.fault) for one in events),
            "first_event_at": min(one.at for one in events if not one.fault),
            "last_event_at": max(one.at for one in events if not one.fault),
        }
        for file, events in files.items()
    }
    assert len(counted) == len(files) == 2
    assert raw == (len(warehouse.events),)


def test_the_quarantine_holds_the_planted_rows_with_their_reasons(warehouse: Any) -> None:
    places = rows_of_files(warehouse.events)
    wanted = {
        place: (one.event_id, one.fault)
        for place, one in zip(places, warehouse.events, strict=True)
        if one.fault
    }
    found = warehouse.rows("quarantined_events")
    assert {
        (row["raw_file"], row["raw_row"]): (row["event_id"], row["rejected_because"])
        for row in found
    } == wanted
    assert len(found) == len(wanted)
    assert {row["source"] for row in found} == {"files"}


def test_a_quarantined_row_keeps_what_it_said(warehouse: Any) -> None:
    found = {(row["raw_file"], row["raw_row"]): row for row in warehouse.rows("quarantined_events")}
    for place, one in zip(rows_of_files(warehouse.events), warehouse.events, strict=True):
        if one.fault:
            row = found[place]
            assert (row["item_id"], row["event_type"]) == (one.item, one.event_type)
            assert row["event_timestamp"] == one.at
            assert (row["user_id"] is None) == (one.user is None)
            assert row["user_id"] is None or row["user_id"].startswith("u-")


def test_every_reason_is_there(warehouse: Any) -> None:
    """A reason that no planted row has would be a reason that nothing tests."""
    models = warehouse.settings.dbt_project / "models" / "intermediate"
    text = "".join((models / f"int_events_{step}.sql").read_text() for step in ("read", "checked"))
    reasons = Counter(one.fault for one in warehouse.events if one.fault)
    planned = {word for word in text.split("'") if word.startswith(("missing_", "time_", "dupl"))}
    # `files` makes an id and a load time for an event that has none: there these cannot happen, nor
    # can an event be learned before it happened, which other owners' logs may mean.
    elsewhere = {"missing_event_id", "missing_load_time", "time_after_load"}
    assert planned - elsewhere == set(reasons)


def test_the_checked_events_are_all_rows_once(warehouse: Any) -> None:
    found = [(row["raw_file"], row["raw_row"]) for row in warehouse.rows("int_events_checked")]
    assert sorted(found) == sorted(rows_of_files(warehouse.events))


def test_of_several_copies_the_sound_one_learned_first_is_kept(warehouse: Any) -> None:
    kept = {row["event_id"]: row for row in warehouse.rows("interactions")}
    assert kept["d0"]["item_id"] == "i2"
    assert kept["d1"]["item_id"] == "i3"
