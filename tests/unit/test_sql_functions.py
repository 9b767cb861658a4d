"""What SQL sees: types, nulls, many rows, and a query that is a function of its tables."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from profilestore.evidence import wilson_lower_bound
from profilestore.sql_functions import register
from profilestore.text_embedding import embed


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        register(opened)
        # dbt works with cursors of its connection.
        yield opened.cursor()


def test_texts(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(
        "SELECT embed_text(text), typeof(embed_text(text)) "
        "FROM (VALUES ('tent'), (NULL), ('Lampe')) AS texts(text)"
    ).fetchall()
    assert rows[1][0] is None
    assert {kind for _, kind in rows} == {"FLOAT[]"}
    found = np.array([rows[0][0], rows[2][0]], np.float32)
    assert (found == embed(["tent", "Lampe"])).all()


MEANS = """
    WITH held AS (
        SELECT hold_vectors(list(embed_text(word) ORDER BY word)) AS vectors
        FROM (VALUES ('lamp'), ('tent')) AS words(word)
    )
    SELECT
        person,
        unnest(running_means(vectors, [0, 1, 0], [1.0, 1.0, 2.0], [0, 10, 20], [5, 5, 9], 5, 10),
            recursive := true)
    FROM held, range({people}) AS people(person)
    ORDER BY ALL
"""


def test_means_of_many_people(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(MEANS.format(people=5_000)).fetchall()
    assert len(rows) == 10_000
    lamp, tent = embed(["lamp", "tent"]).astype(float)
    wanted = [
        (np.mean([lamp, tent], axis=0), (lamp + 2 * tent) / 3),
        ((3 * lamp + tent) / 4, (9 * lamp + 2 * tent) / 11),
    ]
    for person in (0, 2_047, 2_048, 4_999):
        found = {tuple(np.round(mean, 5)): recent for who, mean, recent in rows if who == person}
        assert len(found) == 2
        for mean, recent in wanted:
            (near,) = [one for key, one in found.items() if np.allclose(key, mean, atol=2e-5)]
            np.testing.assert_allclose(near, recent, atol=1e-5)


def test_means_of_nobody_and_of_what_is_not_held(connection: duckdb.DuckDBPyConnection) -> None:
    assert connection.execute(MEANS.format(people=0)).fetchall() == []
    with pytest.raises(duckdb.InvalidInputException, match="nothing is held under 1"):
        connection.execute(
            "SELECT running_means(n, [0], [1.0], [0], [5], 0, 10) FROM (VALUES (1)) AS held(n)"
        ).fetchall()


TAGS = """
    WITH population AS (
        SELECT hold_population([
            {{tag: 'lamp', since: {day}, events: 3, kind_events: 7}},
            {{tag: 'lamp', since: 3 * {day}, events: 90, kind_events: 90}}
        ]) AS held
    )
    SELECT person, unnest(running_tags(
        held, ['lamp', 'tent', 'lamp'], [0, 10, 20], [5, 5, 2 * {day}], 5, 10, 1 + person % 2
    ), recursive := true)
    FROM range({people}) AS people(person), population
    ORDER BY ALL
"""
DAY = 86_400_000_000


def test_tags_of_many_people(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(TAGS.format(people=5_000, day=DAY)).fetchall()
    assert len(rows) == 10_000
    assert [row[1:5] for row in rows if row[0] == 4_998] == [
        (5, ["tent"], [2 / 3], [2 / 3]),
        (2 * DAY, ["lamp"], [5 / 7], [5 / 7 * 2]),
    ]
    (first, second) = (row[1:] for row in rows if row[0] == 4_999)
    assert first[:4] == (5, ["tent", "lamp"], [2 / 3, 1 / 3], [2 / 3, 1 / 3])
    assert second[1:4] == (["lamp", "tent"], [5 / 7, 2 / 7], [5 / 7 * 2, 2 / 7 * 8])
    assert second[5:] == ([2, 1], [0, 10], [20, 10])
    # 7² / 21 pieces of equal weight.
    assert second[4] == [one.round(6) for one in wilson_lower_bound(np.array([5, 2]) / 7, 49 / 21)]


def test_tags_of_nobody_and_of_a_population_that_is_not_held(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert connection.execute(TAGS.format(people=0, day=DAY)).fetchall() == []
    with pytest.raises(duckdb.InvalidInputException, match="nothing is held under 1"):
        connection.execute(
            "SELECT running_tags(n, ['a'], [0], [5], 0, 10, 1) FROM (VALUES (1)) AS held(n)"
        ).fetchall()


def test_a_population_without_rows(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(
        "SELECT running_tags(hold_population([]), ['a'], [0], [5], 0, 10, 1)"
    ).fetchall()[0][0]
    assert [(one["tags"], one["lifts"]) for one in found] == [(["a"], [1.0])]


def test_the_latest_of_many_people(connection: duckdb.DuckDBPyConnection) -> None:
    query = """
        SELECT person, unnest(running_latest([2, 1, 3], 2, person % 4))
        FROM range({people}) AS people(person)
        ORDER BY person
    """
    rows = connection.execute(query.format(people=5_000)).fetchall()
    after_each = [[1], [1, 2], [3, 1]]
    assert [found for person, found in rows if person == 4_096] == after_each
    assert [found for person, found in rows if person == 4_097] == after_each[1:]
    assert [found for person, found in rows if person == 4_099] == []
    assert connection.execute(query.format(people=0)).fetchall() == []
