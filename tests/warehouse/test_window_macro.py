"""The macro of exact windows by itself: on a log for several threads, and with grains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import jinja2
import pytest

MACROS = Path(__file__).resolve().parents[2] / "dbt_project" / "macros"
WINDOWS = {"1h": "1 hour", "1d": "1 day", "7d": "7 days"}
# How far back a window may reach further than its length.
GRAINS = {None: "0 seconds", "hour": "1 hour", "day": "1 day"}
ROWS, PEOPLE, ASKED = 300_000, 3_000, 4_000


class Refused(Exception):
    """What dbt raises when a macro is called wrongly."""


class Exceptions:
    @staticmethod
    def raise_compiler_error(message: str) -> None:
        raise Refused(message)


def exact_windows(**arguments: object) -> str:
    """The query, as dbt's jinja writes it."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    text = (MACROS / "exact_windows.sql").read_text()
    call = "{{ exact_windows(relation, entity, windows, sums, totals, grains) }}"
    query: str = environment.from_string(text + call).render(
        exceptions=Exceptions, **{"totals": {}, **arguments}
    )
    return query


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        opened.execute("SET TimeZone = 'UTC'; SET threads = 4; SELECT setseed(0.5)")
        # Many at one instant, some learned late, some of them after they would have left.
        opened.execute(
            f"""
            CREATE TABLE log AS
            SELECT
                'u' || (random() * random() * {PEOPLE})::int AS user_id,
                timestamptz '2026-01-01' + to_minutes((random() * 57600)::int) AS event_timestamp,
                (random() * 1000)::decimal(18, 4) AS value,
                CASE WHEN random() < 0.2 THEN to_minutes((random() * 12960)::int)
                    ELSE interval '0 minutes' END AS late
            FROM range({ROWS})
            """
        )
        opened.execute(
            "CREATE VIEW events AS "
            "SELECT * EXCLUDE (late), event_timestamp + late AS loaded_at FROM log"
        )
        yield opened


@pytest.fixture(scope="module")
def marts(connection: duckdb.DuckDBPyConnection) -> Callable[[str | None], str]:
    """The table of a grain."""

    def make(grain: str | None) -> str:
        query = exact_windows(
            relation="events",
            entity="user_id",
            windows=WINDOWS,
            sums={"events": "1", "value": "value"},
            grains=dict.fromkeys(WINDOWS, grain),
        )
        connection.execute(f"CREATE TABLE IF NOT EXISTS mart_{grain} AS {query}")
        return f"mart_{grain}"

    return make


@pytest.mark.parametrize("grain", GRAINS)
def test_any_instant_of_a_large_log(
    connection: duckdb.DuckDBPyConnection, marts: Callable[[str | None], str], grain: str | None
) -> None:
    """Against looking at every event, at random instants and at those of changes."""
    mart = marts(grain)

    def left(interval: str) -> str:
        at = f"event_timestamp + interval '{interval}'"
        if grain is None:
            return at
        up = f"date_trunc('{grain}', {at})"
        return f"CASE WHEN {up} = {at} THEN {at} ELSE {up} + interval '1 {grain}' END"

    columns = ", ".join(
        f"count(*) FILTER (WHERE {left(interval)} > moment) AS events_{suffix}, "
        f"coalesce(sum(value) FILTER (WHERE {left(interval)} > moment), 0) AS value_{suffix}"
        for suffix, interval in WINDOWS.items()
    )
    names = ", ".join(
        [f"{name}_{suffix}" for name in ("events", "value") for suffix in (*WINDOWS, "lifetime")]
        + ["first_event_at", "last_event_at", "loaded_at"]
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE asked AS
        SELECT DISTINCT * FROM (
            (SELECT user_id,
                event_timestamp + to_microseconds((random() * 2)::int - 1) AS moment
             FROM {mart} USING SAMPLE reservoir({ASKED} ROWS) REPEATABLE (7))
            UNION ALL
            (SELECT user_id, timestamptz '2026-01-01' + to_seconds((random() * 4752000)::int)
             FROM (SELECT DISTINCT user_id FROM events))
        )
        """
    )
    wanted = f"""
        SELECT user_id, moment, {names} FROM (
            SELECT asked.user_id, moment, {columns}, count(*) AS events_lifetime,
                sum(value) AS value_lifetime, min(event_timestamp) AS first_event_at,
                max(event_timestamp) AS last_event_at, max(loaded_at) AS loaded_at
            FROM asked JOIN events USING (user_id)
            WHERE event_timestamp <= moment AND loaded_at <= moment
            GROUP BY ALL
        )
    """
    found = f"""
        SELECT asked.user_id, moment, {names}
        FROM asked ASOF JOIN {mart} AS mart
        ON asked.user_id = mart.user_id AND moment >= event_timestamp
    """
    (rows,) = connection.execute(f"SELECT count(*) FROM ({wanted})").fetchone() or (0,)
    assert rows > ASKED
    for one, other in ((found, wanted), (wanted, found)):
        assert connection.execute(f"({one}) EXCEPT ALL ({other}) LIMIT 3").fetchall() == []


@pytest.mark.parametrize("grain", GRAINS)
def test_every_entity_ends_with_empty_windows_and_one_row_an_instant(
    connection: duckdb.DuckDBPyConnection, marts: Callable[[str | None], str], grain: str | None
) -> None:
    mart = marts(grain)
    (rows, distinct, people) = connection.execute(
        "SELECT count(*), count(DISTINCT (user_id, event_timestamp)), count(DISTINCT user_id) "
        f"FROM {mart}"
    ).fetchone() or (0, 0, 0)
    assert rows == distinct
    ends = connection.execute(
        f"""
        SELECT last.events_1h, last.events_1d, last.events_7d, last.value_7d,
            last.events_lifetime = own, last.value_lifetime = worth
        FROM (
            SELECT arg_max(mart, event_timestamp) AS last, user_id FROM {mart} AS mart GROUP BY ALL
        )
        JOIN (SELECT user_id, count(*) AS own, sum(value) AS worth FROM events GROUP BY ALL)
            USING (user_id)
        """
    ).fetchall()
    assert set(ends) == {(0, 0, 0, 0, True, True)}
    assert len(ends) == people


def test_a_grain_bounds_the_rows(
    connection: duckdb.DuckDBPyConnection, marts: Callable[[str | None], str]
) -> None:
    rows = [
        connection.execute(f"SELECT count(*) FROM {marts(grain)}").fetchall()[0][0]
        for grain in GRAINS
    ]
    assert rows == sorted(rows, reverse=True)
    assert rows[2] < 0.6 * rows[0]


def test_an_unknown_grain_is_refused() -> None:
    with pytest.raises(Refused, match="grain is 'week'"):
        exact_windows(
            relation="events",
            entity="user_id",
            windows=WINDOWS,
            sums={"n": "1"},
            grains={"7d": "week"},
        )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("rows", "people"), [(1, 1), (400, 30), (2_048, 1), (4_000, 3_900), (9_197, 3_567)]
)
def test_a_log_of_any_size(rows: int, people: int, threads: int) -> None:
    """A streamed window gives rows in vectors of 2,048: none is there twice, none is missing.

    With `lead` in the place of `lag` the last of these logs gives 2,048 rows too many."""
    windows = {"7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "365 days"}
    query = exact_windows(
        relation="picked",
        entity="user_id",
        windows=windows,
        sums={"events": "1", "valued": "1", "value": "value"},
        grains={},
    )
    with duckdb.connect(":memory:") as own:
        own.execute(f"SET TimeZone = 'UTC'; SET threads = {threads}")
        own.execute(
            f"""
            CREATE TABLE picked AS
            SELECT 'u' || (hash(n) % {people}) AS user_id, (n % 100)::decimal(18, 4) AS value,
                timestamptz '2020-01-01' + to_seconds((hash(n * 7) % 60000000)::int)
                    AS event_timestamp,
                event_timestamp AS loaded_at
            FROM range({rows}) AS numbers(n)
            """
        )
        moments = "".join(
            f" UNION SELECT user_id, event_timestamp + interval '{interval}' FROM picked"
            for interval in windows.values()
        )
        wanted = own.execute(
            f"SELECT count(*) FROM (SELECT user_id, event_timestamp FROM picked{moments})"
        ).fetchall()[0][0]
        for _ in range(4):
            own.execute(f"CREATE OR REPLACE TABLE mart AS {query}")
            found = own.execute(
                "SELECT count(*), count(DISTINCT (user_id, event_timestamp)) FROM mart"
            ).fetchall()
            assert found == [(wanted, wanted)]
