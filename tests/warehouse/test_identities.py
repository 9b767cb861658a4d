"""Who is one person, and since when that is known: against a search through every path."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import duckdb
import jinja2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MACROS = Path(__file__).resolve().parents[2] / "dbt_project" / "macros"
Links = dict[tuple[str, str], int]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def stitched(
    connection: duckdb.DuckDBPyConnection, links: Links
) -> dict[str, tuple[str, int | None]]:
    """Identifier -> its person, and since when; ranked by their names."""
    text = (MACROS / "identities.sql").read_text()
    query = jinja2.Template(text + "{{ identities('links', 'ids') }}").render()
    pairs = list(links)
    connection.register(
        "given",
        pa.table(
            {
                "one": pa.array([one for one, _ in pairs], pa.string()),
                "other": pa.array([other for _, other in pairs], pa.string()),
                "since": pa.array([links[pair] for pair in pairs], pa.timestamp("us", tz="UTC")),
            }
        ),
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE links AS FROM given")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE ids AS SELECT DISTINCT id, struct_pack(name := id) AS rank "
        "FROM (SELECT one AS id FROM links UNION ALL SELECT other FROM links)"
    )
    rows = connection.execute(f"SELECT id, user_id, epoch_us(since) FROM ({query})").fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return {name: (person, since) for name, person, since in rows}


def searched(links: Links) -> dict[str, tuple[str, int | None]]:
    """From each identifier in turn, smallest name first: the earliest latest link to all others."""
    beside: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for (one, other), since in links.items():
        beside[one].append((other, since))
        beside[other].append((one, since))
    found: dict[str, tuple[str, int | None]] = {}
    for person in sorted(beside):
        if person in found:
            continue
        best: dict[str, int] = {person: -1}
        queue = [(-1, person)]
        while queue:
            latest, name = heapq.heappop(queue)
            for other, since in beside[name]:
                through = max(latest, since)
                if through < best.get(other, through + 1):
                    best[other] = through
                    heapq.heappush(queue, (through, other))
        for name, since in best.items():
            found[name] = (person, None if name == person else since)
    return found


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    links=st.dictionaries(
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("ijklmnopabc")).filter(
            lambda pair: pair[0] != pair[1]
        ),
        st.integers(0, 9),
        max_size=14,
    )
)
def test_any_graph(connection: duckdb.DuckDBPyConnection, links: Links) -> None:
    assert stitched(connection, links) == searched(links)


def test_a_long_chain(connection: duckdb.DuckDBPyConnection) -> None:
    """As long as a person's browsers never are; the latest link on the way decides."""
    links = {(f"n{n:03}", f"n{n + 1:03}"): (n * 37) % 101 for n in range(200)}
    assert stitched(connection, links) == searched(links)


def test_nobody_is_linked(connection: duckdb.DuckDBPyConnection) -> None:
    assert stitched(connection, {}) == {}
