"""Moving a log by a constant moves its marts by that constant, and changes nothing else.

That is what lets evaluation speak of the log's own clock while the service says "today".
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from profilestore import lake
from profilestore.sources import read_clock

MARTS = [
    *("user_activity", "user_history", "user_interests", "item_popularity", "item_attributes"),
    *("interactions", "quarantined_events", "event_reconciliation"),
]


def instants(warehouse: Any, mart: str) -> tuple[set[str], set[str]]:
    """Columns that are timestamps, and lists of microseconds."""
    with lake.connect() as connection:
        lake.attach_lake(connection, warehouse.settings.lake_catalog, warehouse.settings.lake_files)
        schema = connection.execute(f"FROM lake.main.{mart} LIMIT 0").to_arrow_table().schema
    times = {field.name for field in schema if pa.types.is_timestamp(field.type)}
    return times, {field.name for field in schema if field.name.endswith("_at_us")}


def moved(value: Any, by: int) -> Any:
    if isinstance(value, list):
        return [moved(one, by) for one in value]
    return None if value is None else value + by


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = ("user_id", "item_id", "event_timestamp", "event_id", "raw_file", "raw_row")
    return sorted(rows, key=lambda row: [str(row.get(key)) for key in keys])


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)


@pytest.mark.parametrize("mart", MARTS)
def test_marts_move_with_the_log(warehouse: Any, shifted: Any, mart: str) -> None:
    by = read_clock(shifted.settings).shift_seconds * 1_000_000
    assert by > 0
    assert read_clock(warehouse.settings).shift_seconds == 0
    times, micros = instants(warehouse, mart)
    assert times
    expected = in_order(
        [
            {
                name: moved(value, by) if name in times | micros else value
                for name, value in row.items()
            }
            for row in warehouse.rows(mart)
        ]
    )
    found = in_order(shifted.rows(mart))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert same(one[name], other[name]), (name, one, other)


def test_the_log_is_moved_to_today(shifted: Any) -> None:
    """So that windows and ttl mean something: the last event lies within the week before now."""
    chosen = read_clock(shifted.settings).chosen_at.timestamp() * 1_000_000
    last = max(row["event_timestamp"] for row in shifted.rows("interactions"))
    assert 0 <= chosen - last < 7 * 86_400 * 1_000_000
