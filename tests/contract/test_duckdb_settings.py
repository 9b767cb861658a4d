"""Every DuckDB that reads or writes the lake has the same guard against a wrong answer."""

from __future__ import annotations

from pathlib import Path

import yaml

from profilestore.lake import connect

REPO = Path(__file__).resolve().parents[2]


def test_dbt_and_the_offline_store_disable_the_same_optimizer() -> None:
    text = (REPO / "dbt_project" / "profiles.yml").read_text()
    settings = yaml.safe_load(text)["profilestore"]["outputs"]["duckdb"]["settings"]
    with connect() as connection:
        row = connection.execute("SELECT current_setting('disabled_optimizers')").fetchone()
    assert row == (settings["disabled_optimizers"],)
    assert row == ("top_n_window_elimination",)
