"""Every truth of `point_in_time.md`, on every engine."""

from __future__ import annotations

import pytest
from spec_engines import plain, plain_grid, unordered
from spec_reference import answer


@pytest.mark.parametrize("engine", ["lake", "queries", "files"])
def test_our_store_gives_the_truth_in_the_callers_order(engine, scenario, repos):
    assert plain(repos.run(engine, scenario)) == plain_grid(scenario.result)


def test_the_reference_gives_the_truth(scenario):
    names, rows = plain_grid(scenario.result)
    found = answer(scenario)
    assert [list(row) for row in found] == [names] * len(rows)
    assert [tuple(row.values()) for row in found] == [tuple(row) for row in scenario.result.rows]


def test_dask_gives_the_truth_or_its_known_other_answer(scenario, repos):
    if scenario.dask_error is not None:
        with pytest.raises(Exception, match=scenario.dask_error):
            repos.run("dask", scenario)
        return
    names, rows = plain(repos.run("dask", scenario))
    expected_names, expected = plain_grid(scenario.dask_result or scenario.result)
    assert names == expected_names
    assert unordered(rows) == unordered(expected)
    if scenario.dask_result is not None:
        # A difference that has gone is a section to be shortened.
        assert unordered(rows) != unordered(plain_grid(scenario.result)[1])
