"""What SQL sees: types, nulls, many rows, and a query that is a function of its tables."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

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
        unnest(running_means(vectors, [0, 1, 0], [1.0, 1.0, 2.0], [0, 10, 20], [5, 5, 9], 10),
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
            "SELECT running_means(n, [0], [1.0], [0], [5], 10) FROM (VALUES (1)) AS held(n)"
        ).fetchall()


def test_tags_of_many_people(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(
        """
        SELECT person, unnest(running_tags([7, 8, 7], [0, 10, 20], [5, 5, 9], 10, most),
            recursive := true)
        FROM (SELECT person, 1 + person % 2 AS most FROM range(5000) AS people(person))
        ORDER BY person
        """
    ).fetchall()
    assert len(rows) == 2_500 * 2 + 2_500 * 4
    assert [row[1:4] for row in rows if row[0] == 4_998] == [(5, 1, 8), (9, 1, 7)]
    assert [row[1:] for row in rows if row[0] == 4_999] == [
        (5, 1, 8, 2 / 3, 1, 10, 10, 9 / 5),
        (5, 2, 7, 1 / 3, 1, 0, 0, 9 / 5),
        (9, 1, 7, 5 / 7, 2, 0, 20, 49 / 21),
        (9, 2, 8, 2 / 7, 1, 10, 10, 49 / 21),
    ]
