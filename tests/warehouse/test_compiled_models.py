"""The same laws over many small logs: the SQL that dbt compiled, run on tables of our own."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warehouse_logs import DAY, HOUR, SECOND, START, Event, left_at, rounded_up
from warehouse_reference import (
    ITEM_WINDOWS,
    USER_WINDOWS,
    AsOf,
    by,
    check_interests,
    check_mart,
    item_popularity,
    plain,
    probes,
    user_activity,
    user_history,
)

from profilestore.sql_functions import register

Run = Callable[..., list[dict[str, Any]]]

CATEGORIES = {"i1": ["a"], "i2": ["a", "b"], "i3": ["b", "c", "b"], "i4": []}
BRANDS = {"i1": ["A"], "i2": ["A"], "i3": ["B"], "i4": []}
# Steps between events that meet at the edges of windows.
STEPS = st.sampled_from([0, 1, HOUR, SECOND]) | st.sampled_from([1, 6, 7, 23, 30, 60, 90, 275]).map(
    lambda days: days * DAY
)
EVENT = st.tuples(
    STEPS,
    st.sampled_from(["u1", "u2"]),
    st.sampled_from(sorted(CATEGORIES)),
    st.sampled_from(["view", "buy"]),
    st.none() | st.decimals(-100, 100, places=4) | st.just(Decimal("0.1")),
    st.sampled_from([0, 0, HOUR, 40 * DAY]),
)


@st.composite
def small_logs(draw: st.DrawFn) -> list[Event]:
    at, events = START, []
    for number, (step, user, item, kind, value, late) in enumerate(
        draw(st.lists(EVENT, min_size=1, max_size=9))
    ):
        at += step
        # Ids fall as times rise, so that an order by id alone would show.
        events.append(Event(f"e{9 - number}", user, item, kind, at, value, at + late))
    return draw(st.permutations(events))


SCHEMA = pa.schema(
    {
        **dict.fromkeys(["event_id", "user_id", "item_id", "event_type"], pa.string()),
        **dict.fromkeys(["event_timestamp", "loaded_at"], pa.timestamp("us", tz="UTC")),
        "value": pa.decimal128(18, 4),
    }
)

ATTRIBUTES = ("event_id", "user", "item", "event_type", "at", "loaded_at", "value")

shared_connection = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)


@pytest.fixture(scope="module")
def run(warehouse: Any) -> Iterator[Run]:
    """The rows of a mart over these events."""
    folder = warehouse.settings.dbt_project / "target" / "compiled" / "profilestore" / "models"
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS lake")
        items = pa.table(
            {
                "item_id": list(CATEGORIES),
                "categories": list(CATEGORIES.values()),
                "brand": [next(iter(own), None) for own in BRANDS.values()],
            },
            pa.schema(
                {
                    "item_id": pa.string(),
                    "categories": pa.list_(pa.string()),
                    "brand": pa.string(),
                }
            ),
        )
        connection.register("given_items", items)
        connection.execute("CREATE TABLE lake.main.int_items AS FROM given_items")
        connection.execute(
            "CREATE TABLE lake.main.item_keywords AS "
            "SELECT item_id, []::varchar[] AS keywords FROM lake.main.int_items"
        )
        register(connection)

        def rows(mart: str, events: Sequence[Event]) -> list[dict[str, Any]]:
            arrays = [
                pa.array([getattr(one, attribute) for one in events], kind)
                for attribute, kind in zip(ATTRIBUTES, SCHEMA.types, strict=True)
            ]
            connection.register("given", pa.table(arrays, schema=SCHEMA))
            for model in ("int_user_events", "int_item_events"):
                connection.execute(
                    f"CREATE OR REPLACE TABLE lake.main.{model} AS "
                    "SELECT *, NULL::VARCHAR AS text FROM given"
                )
            population = (folder / "marts" / "population_interests_daily.sql").read_text()
            connection.execute(
                "CREATE OR REPLACE TABLE lake.main.population_interests_daily AS " + population
            )
            query = (folder / "marts" / f"{mart}.sql").read_text()
            return plain(connection.execute(query).to_arrow_table())

        yield rows


@shared_connection
@given(events=small_logs())
def test_user_activity(run: Run, events: list[Event]) -> None:
    people = by(lambda one: one.user, events)
    spans = USER_WINDOWS.values()
    rows = run("user_activity", events)
    check_mart(rows, "user_id", people, user_activity, lambda own: probes(own, spans))


@shared_connection
@given(events=small_logs())
def test_item_popularity(run: Run, events: list[Event]) -> None:
    items = by(lambda one: one.item, events)
    spans = ITEM_WINDOWS.values()
    rows = run("item_popularity", events)
    check_mart(rows, "item_id", items, item_popularity, lambda own: probes(own, spans), HOUR)


@shared_connection
@given(events=small_logs())
def test_user_history(run: Run, events: list[Event]) -> None:
    people = by(lambda one: one.user, events)
    rows = run("user_history", events)
    check_mart(rows, "user_id", people, user_history, lambda own: probes(own, ()))


@shared_connection
@given(events=small_logs())
def test_user_interests(run: Run, events: list[Event]) -> None:
    rows = run("user_interests", events)
    as_of = AsOf(rows, "user_id")
    for person, own in by(lambda one: one.user, events).items():
        for at in probes(own, ()):
            found = as_of(person, at)
            if any(one.entered_at <= at and CATEGORIES[one.item] for one in own):
                assert found is not None
                check_interests(found, own, at, CATEGORIES, events)
            else:
                assert found is None


@shared_connection
@given(events=small_logs())
def test_user_brands(run: Run, events: list[Event]) -> None:
    """At midnights: what was learned on a day shows at its end."""
    rows = run("user_brands", events)
    as_of = AsOf(rows, "user_id")
    for person, own in by(lambda one: one.user, events).items():
        for midnight in {-(-at // DAY) * DAY for at in probes(own, ())}:
            found = as_of(person, midnight)
            if any(one.entered_at <= midnight and BRANDS[one.item] for one in own):
                assert found is not None
                assert found["event_timestamp"] % DAY == 0
                check_interests(found, own, midnight, BRANDS, events, "brands")
            else:
                assert found is None


@shared_connection
@given(events=small_logs())
def test_a_row_is_a_change(run: Run, events: list[Event]) -> None:
    """Rows only where an event enters or leaves: no row is there for nothing, and none twice."""
    for mart, key, windows, enters_at in (
        ("user_activity", "user", USER_WINDOWS, 1),
        ("item_popularity", "item", ITEM_WINDOWS, HOUR),
    ):
        wanted = set()
        for one in events:
            entered = rounded_up(one.entered_at, enters_at)
            left = {rounded_up(left_at(one.at, span), enters_at) for span in windows.values()}
            instants = {entered, *(at for at in left if at > entered)}
            wanted |= {(getattr(one, key), at) for at in instants}
        found = [(row[f"{key}_id"], row["event_timestamp"]) for row in run(mart, events)]
        assert sorted(found) == sorted(wanted)


def valued(*values: str) -> list[Event]:
    return [
        Event(f"e{n}", "u1", "i1", "view", START + n * HOUR, Decimal(value), START + n * HOUR)
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    "values",
    [
        # Near each other and far from zero: in floating point the spread would vanish.
        ("1000000.0001", "1000000.0002", "1000000.0004"),
        ("99999999.9999", "100000000.0000"),
        # Amounts of a currency without cents.
        ("120000", "98000", "1250000", "120000"),
        ("99999999999999.9999", "-99999999999999.9999", "0"),
    ],
    ids=["close", "closest", "yen", "largest"],
)
def test_spread_of_large_values(run: Run, values: tuple[str, ...]) -> None:
    rows = sorted(run("user_activity", valued(*values)), key=lambda row: row["event_timestamp"])
    full = rows[len(values) - 1]
    numbers = [Decimal(value) for value in values]
    assert full["value_mean_90d"] == pytest.approx(float(statistics.mean(numbers)), rel=1e-12)
    assert full["value_stddev_90d"] == pytest.approx(float(statistics.stdev(numbers)), rel=1e-9)


def test_spread_beyond_what_a_decimal_holds(run: Run) -> None:
    """n |x| above 10^15: no longer exact to the last digit, and no failed build."""
    values = [str(90_000_000_000_000 + n * 10_000_000_000) for n in range(60)]
    rows = sorted(run("user_activity", valued(*values)), key=lambda row: row["event_timestamp"])
    wanted = float(statistics.stdev(map(Decimal, values)))
    assert rows[len(values) - 1]["value_stddev_90d"] == pytest.approx(wanted, rel=1e-3)
    alike = valued(*["90000000000000.1234"] * 60)
    (spread, *_) = [
        row["value_stddev_90d"] for row in run("user_activity", alike) if row["events_90d"] == 60
    ]
    assert spread < 1e8
