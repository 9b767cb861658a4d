"""How well the warehouse cleans logs of which we know the truth: simulated ones, built once."""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import pytest

REPO = Path(__file__).parents[2]


SOUND = ("clock_skew", "currency", "encoding", "late", "text_form", "time_format")
FAULTS = ("impossible_value", "missing_field", "time_out_of_range", "unreadable")
BOT_REASONS = ("bot_never_sleeps", "bot_too_fast", "bot_too_regular")
CLEANING = ("int_bots", "int_usual_values", "int_rejections", "int_events_checked")


def has(*kinds: str) -> str:
    return f"list_has_any(kinds, {list(kinds)})"


def test_bots_are_found_by_their_events(scored: Any) -> None:
    """Of those that are not rejected for something else already."""
    planted = scored.counts(f"{has('bot')} AND NOT {has('exact_duplicate', *FAULTS)}")
    right = sum(planted.get(reason, 0) for reason in BOT_REASONS)
    flagged = sum(scored.counts("TRUE").get(reason, 0) for reason in BOT_REASONS)
    wrong = sum(scored.counts(f"NOT {has('bot')}").get(reason, 0) for reason in BOT_REASONS)
    assert right > 1_000
    assert right / sum(planted.values()) >= 0.98
    assert 1 - wrong / flagged >= 0.98


def test_bots_are_found_by_who_they_are(scored: Any) -> None:
    """All of them, and no person: each has one pseudonym, known by the lines of its cookie."""
    named = scored.rows(
        f"""
        SELECT bots.id, any_value(judged.actor_id), count(DISTINCT judged.actor_id)
        FROM {scored.truth("bots")} AS bots
        INNER JOIN '{scored.settings.raw}/logs/web_events/*.parquet' AS lines
            ON contains(lines.line, '"anonymous_id":"' || bots.id || '"')
        INNER JOIN judged USING (raw_file, raw_row)
        WHERE NOT {has(*FAULTS)}
        GROUP BY bots.id
        """
    )
    assert len(named) == scored.rows(f"SELECT count(*) FROM {scored.truth('bots')}")[0][0] > 0
    assert {count for _, _, count in named} == {1}
    found = scored.rows("SELECT source, actor_id FROM lake.int_bots")
    assert sorted(found) == sorted(("web", actor) for _, actor, _ in named)


def test_every_exact_copy_is_found_and_nothing_else_is_taken_for_one(scored: Any) -> None:
    assert scored.counts(has("exact_duplicate")).keys() == {"duplicate_event_id"}
    copies = scored.counts(f"NOT {has('exact_duplicate')}")
    assert "duplicate_event_id" not in copies


def test_near_copies_are_found(scored: Any) -> None:
    planted = scored.counts(f"{has('near_duplicate')} AND NOT {has('bot')}")
    assert planted["near_duplicate"] > 200
    assert planted["near_duplicate"] / sum(planted.values()) >= 0.98
    assert "near_duplicate" not in scored.counts(f"NOT {has('near_duplicate')}")


def test_no_impossible_price_is_accepted(scored: Any) -> None:
    verdicts = scored.counts(has("impossible_value"))
    assert None not in verdicts
    # With a price times 10,000, on what is looked at, put in the cart, bought and ordered.
    kinds = scored.rows("FROM judged SELECT DISTINCT event_type WHERE rejected_because LIKE 'val%'")
    assert {kind for (kind,) in kinds} >= {"page_view", "click", "add_to_cart", "purchase"}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_is_accepted(scored: Any, fault: str) -> None:
    verdicts = scored.counts(has(fault))
    assert sum(verdicts.values()) > 50
    assert None not in verdicts
    # For what they are, not as a side effect.
    assert "told_by_orders" not in verdicts


def test_nothing_sound_is_lost(scored: Any) -> None:
    verdicts = scored.counts(f"len(list_filter(kinds, lambda kind: kind NOT IN {SOUND})) = 0")
    assert verdicts.keys() == {None, "told_by_orders"}
    for kind in SOUND:
        if kind != "encoding":  # that is of customers and the catalogue
            assert scored.counts(has(kind))[None] > 0


def test_a_purchase_that_two_logs_tell_is_accepted_once(scored: Any) -> None:
    """Once, and not never: an order line that was rejected tells nothing."""
    # `accepted` is of the order line, or of no line that has arrived.
    found = scored.rows(
        """
        SELECT web.rejected_because, lines.accepted, count(*)
        FROM judged AS web
        LEFT JOIN (
            SELECT order_line, bool_or(rejected_because IS NULL) AS accepted
            FROM judged WHERE source = 'orders' GROUP BY order_line
        ) AS lines ON web.order_line = lines.order_line
        WHERE
            web.source = 'web' AND web.event_type = 'purchase'
            AND (web.rejected_because IS NULL OR web.rejected_because = 'told_by_orders')
        GROUP BY ALL
        """
    )
    counts = {(reason, accepted): count for reason, accepted, count in found}
    assert counts.keys() == {("told_by_orders", True), (None, False), (None, None)}


def test_verdicts_do_not_depend_on_the_order_of_the_rows(scored: Any) -> None:
    """The compiled models, on the same events in another order."""
    compiled = scored.settings.dbt_project / "target" / "compiled"
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2; ATTACH ':memory:' AS lake")
        connection.execute("SET disabled_optimizers = 'top_n_window_elimination'")
        events = scored.connection.execute(
            "FROM lake.int_events_read ORDER BY hash(raw_row, raw_file, 'another order')"
        ).to_arrow_table()
        connection.register("events", events)
        connection.execute("CREATE TABLE lake.main.int_events_read AS FROM events")
        for model in CLEANING:
            text = next(compiled.rglob(f"{model}.sql")).read_text(encoding="utf-8")
            connection.execute(f"CREATE TABLE lake.main.{model} AS {text}")
        verdicts = "SELECT raw_file, raw_row, rejected_because FROM lake.int_events_checked"
        assert set(connection.execute(verdicts).fetchall()) == set(scored.rows(verdicts))


def test_the_quarantine_has_each_rejected_row_once(scored: Any) -> None:
    (counts,) = scored.rows(
        "SELECT count(*), count(DISTINCT (raw_file, raw_row)), count(raw_payload) "
        "FROM lake.quarantined_events"
    )
    rejected = "FROM judged WHERE rejected_because IS NOT NULL"
    assert counts == scored.rows(f"SELECT count(*), count(*), count(*) {rejected}")[0]
    place = "SELECT raw_file, raw_row, rejected_because"
    assert not scored.rows(f"{place} {rejected} EXCEPT {place} FROM lake.quarantined_events")


class Names:
    """The raw identifiers of everybody, people and bots."""

    def __init__(self, scored: Any) -> None:
        tables = ("people", "bots")
        self.sorted = sorted(
            {
                raw_id
                for name in tables
                for (raw_id,) in scored.rows(f"SELECT id FROM {scored.truth(name)}")
            }
        )
        self.all = set(self.sorted)

    def in_line(self, line: str) -> bool:
        """Whether one stands in it, or begins where it was cut off."""
        words = re.findall(r"[\w-]+", line)
        return any(word in self.all for word in words) or self._begins_with(words[-1:])

    def _begins_with(self, words: list[str]) -> bool:
        for word in words:
            place = bisect_left(self.sorted, word)
            if len(word) > 3 and self.sorted[place : place + 1][:1] != []:
                return self.sorted[place].startswith(word)
        return False


def test_a_payload_names_nobody(scored: Any) -> None:
    names = Names(scored)
    kinds = {
        kind for (kind,) in scored.rows(f"SELECT DISTINCT id_kind FROM {scored.truth('people')}")
    }
    assert kinds == {"account", "cookie", "device", "handle"}
    payloads = [text for (text,) in scored.rows("SELECT raw_payload FROM lake.quarantined_events")]
    assert [text for text in payloads if names.in_line(text)] == []


def test_the_search_for_names_would_find_them(scored: Any) -> None:
    names = Names(scored)
    for file in ("web/events/*.jsonl", "social/events/*.jsonl", "orders/lines/*.csv"):
        path = max(scored.settings.simulated.glob(file))
        lines = path.read_text(encoding="utf-8").splitlines()
        found = sum(names.in_line(line) for line in lines)
        assert found > 0.9 * (len(lines) - 1), file


def test_every_file_adds_up(scored: Any) -> None:
    folder = scored.settings.simulated
    lines = {}
    for path in chain(folder.glob("web/events/*"), folder.glob("social/events/*")):
        lines[path.relative_to(folder).as_posix()] = path.read_bytes().count(b"\n")
    for path in folder.glob("orders/lines/*"):
        lines[path.relative_to(folder).as_posix()] = path.read_bytes().count(b"\n") - 1
    found = scored.rows(
        "SELECT raw_file, raw_rows, accepted_rows, quarantined_rows FROM lake.event_reconciliation"
    )
    assert {file: rows for file, rows, _, _ in found} == {
        file: rows for file, rows in lines.items() if rows
    }
    judged = scored.rows(
        "SELECT raw_file, count(*), count(*) FILTER (rejected_because IS NULL), "
        "count(rejected_because) FROM judged GROUP BY 1"
    )
    assert sorted(found) == sorted(judged)
    assert all(raw == accepted + rejected for _, raw, accepted, rejected in found)
