"""A folder of somebody's own, and what an ML engineer does after its demo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings, child_environment

Make = Callable[..., subprocess.CompletedProcess[str]]
Train = Callable[..., subprocess.CompletedProcess[str]]

QUICK = "epochs: 1\npositions: 256\ndimension: 16\n"


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory,
    make: Make,
    demo_home: Path,
    copy: Callable[[Path], Path],
) -> tuple[Path, str]:
    """The home of a slice of the ratings as somebody's CSV, after its demo, and what that said."""
    folder = tmp_path_factory.mktemp("own")
    logs = _own_logs(demo_home, folder / "shop logs")
    (folder / "quick.yaml").write_text(QUICK)
    home = copy(folder / "profilestore")
    done = make(home, "demo", f"SOURCE={logs}", f"CONFIG={folder / 'quick.yaml'}")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return home, done.stdout


@pytest.fixture(scope="module")
def training(own: tuple[Path, str]) -> Train:
    """`python -m training` in that home: its finished process."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "training", *arguments],
            cwd=own[0],
            env=child_environment(PROFILESTORE_HOME=str(own[0])),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_your_own_folder_becomes_a_profile(own: tuple[Path, str]) -> None:
    home, said = own
    assert "http://127.0.0.1:8000/users/u-" in said
    store = FeatureStore(Settings(home=home))
    (views,) = store.online("items_v1", "item", ["1"])
    assert views["item_attributes"].values["title"] == "Toy Story"
    assert views["item_popularity"].values["events_lifetime"] > 0


def test_a_model_of_ids_alone_that_begins_from_another(
    own: tuple[Path, str], training: Train, tmp_path: Path
) -> None:
    """A list of features leaves nothing of items; the embeddings are taken over all the same."""
    home, _ = own
    first = _current(home)
    (tmp_path / "ids.yaml").write_text(
        "feature_service: retrieval_v1\nkeep: [user_history__item_ids]\n"
    )
    (tmp_path / "config.yaml").write_text(f"{QUICK}features: ids.yaml\n")
    done = training("fit", "--config", str(tmp_path / "config.yaml"), "--warm-start", "current")
    assert done.returncode == 0, done.stderr
    assert f"begins from bundle {first['version']}, which knows" in done.stdout
    second = _current(home)
    metrics = json.loads((home / "data/models" / second["version"] / "metrics.json").read_text())
    known = len(json.loads((home / "data/models" / first["version"] / "item_ids.json").read_text()))
    assert 100 < metrics["warm_start"]["values"]["item_id"] <= known
    assert metrics["warm_start"]["bundle"] == first["version"]
    assert second["config"]["features"] == ["user_history__item_ids"]
    again = training("evaluate", "--bundle", second["version"])
    assert again.returncode == 0, again.stderr
    told = training("compare", first["version"], second["version"], "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)


def test_a_list_with_a_column_that_is_gone_is_refused(
    own: tuple[Path, str], training: Train, tmp_path: Path
) -> None:
    before = _current(own[0])
    (tmp_path / "ids.yaml").write_text(
        "feature_service: retrieval_v1\nkeep: [user_history__gone]\n"
    )
    (tmp_path / "config.yaml").write_text("features: ids.yaml\n")
    done = training("fit", "--config", str(tmp_path / "config.yaml"))
    assert done.returncode == 2
    assert "retrieval_v1 lacks user_history__gone" in done.stderr
    assert "Traceback" not in done.stderr
    assert _current(own[0]) == before


def test_people_have_segments_and_features_are_weighed(
    own: tuple[Path, str], training: Train, tmp_path: Path
) -> None:
    home, _ = own
    refused = training("profiles")
    assert refused.returncode == 2
    assert "Lower fewest_segments or fewest_people" in refused.stderr, "sixty people are few"
    assert not (home / "data/profiles").exists()
    (tmp_path / "few.yaml").write_text("fewest_segments: 2\nfewest_people: 1\nepochs: 5\n")
    done = training("profiles", "--config", str(tmp_path / "few.yaml"))
    assert done.returncode == 0, done.stderr
    assert (home / "data/profiles/segments.json").exists()
    refused = training("selection", "--rows", "200", "--repeats", "1", "--return-days", "1")
    assert refused.returncode == 2, refused.stderr
    assert "within 1 days has one class" in refused.stderr
    assert not (home / "data/selection").exists()
    done = training("selection", "--rows", "200", "--repeats", "1", "--return-days", "90")
    assert done.returncode == 0, done.stderr
    kept = (home / "data/selection/features.yaml").read_text()
    assert "user_history__item_ids" in kept


def _current(home: Path) -> dict[str, Any]:
    version = json.loads((home / "data/models/current.json").read_text())["version"]
    return json.loads((home / "data/models" / version / "bundle.json").read_text())


def _own_logs(demo_home: Path, folder: Path) -> Path:
    folder.mkdir()
    ratings = demo_home / "data/raw/movielens/ratings.parquet"
    films = demo_home / "data/raw/movielens/films.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT user_id AS customer, movie_id AS sku, rating AS stars, "
            f"timestamp AS at FROM '{ratings}' WHERE user_id <= 60) "
            f"TO '{folder / 'events.csv'}' (HEADER)"
        )
        connection.execute(
            f"COPY (SELECT movie_id AS sku, title AS name, genres FROM '{films}' "
            f"WHERE title IS NOT NULL) TO '{folder / 'items.csv'}' (HEADER)"
        )
    (folder / "profilestore.yaml").write_text(
        """
events:
  files: events.csv
  columns:
    user: customer
    item: sku
    event_type: {constant: rating}
    time: at
    value: stars
  time: {unit: s}
items:
  files: items.csv
  columns:
    item: sku
    title: name
    categories: {column: genres, separator: "|"}
shift: to_now
"""
    )
    return folder
