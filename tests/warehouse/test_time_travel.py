"""A training set that names its snapshot of the lake is cut again as it was, whatever came."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from profilestore import lake
from profilestore.codegen import generate
from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore
from profilestore.offline_store.connections import forget_instances
from profilestore.settings import Settings, child_environment
from profilestore.sources import write_raw_logs
from profilestore.sources.simulator import Simulation, simulate
from training.config import TrainConfig, load_config
from training.dataset import Dataset, load_dataset

REPO = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = Simulation(users=60, days=10, seed=11)
# Files of this day and later come with the second build; so do some lines of earlier days.
SECOND = "2025-12-30"
EVERY = 15
# Small enough that a training takes seconds.
QUICK = "dimension: 8\nhidden: 8\nepochs: 1\npositions: 64\n"
SPINE = """
    SELECT event_id, user_id, item_id, asked_at AS event_timestamp, asked_at
    FROM lake.main.interactions ORDER BY asked_at, event_id
"""


def waves_of(simulated: Path, first: Path, second: Path) -> None:
    """The logs that the first build has, and what comes after it."""
    for path in sorted(simulated.glob("*/*/*")):
        place = path.relative_to(simulated)
        target = (second if path.name >= SECOND else first) / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_relative_to(second) or place.parts[0] != "web":
            shutil.copy(path, target)
            continue
        lines = path.read_bytes().splitlines(keepends=True)
        late = lines[::EVERY]
        target.write_bytes(b"".join(line for line in lines if line not in late))
        beside = second / place.parent / f"{SECOND}-9-of-{path.name}"
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(b"".join(late))


@dataclass(frozen=True)
class Told:
    """A deployment that was built twice, and what was cut from it in between.

    Attributes:
        snapshot: what the training set between the builds said that it was cut from.
        made_at: an instant between the builds.
        frame, dataset: that training set, as the offline store gave it and as it was encoded.
    """

    settings: Settings
    snapshot: int
    made_at: datetime
    frame: pa.Table
    dataset: Dataset

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "profilestore", *arguments],
            cwd=REPO,
            env=child_environment(PROFILESTORE_HOME=str(self.settings.home)),
            capture_output=True,
            text=True,
            check=False,
        )


def cut(store: FeatureStore, tmp: Path) -> tuple[pa.Table, Dataset]:
    config = TrainConfig()
    frame = store.training_frame(config.feature_service, SPINE).read_all()
    return frame, load_dataset(store, config, tmp)


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory,
    build_in: Callable[[Settings], Any],
    home_in: Callable[[Path], Settings],
) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("time_travel")
    simulate(SHOP, folder / "simulated")
    waves_of(folder / "simulated", folder / "first", folder / "second")
    settings = home_in(folder)

    def build(wave: Path) -> None:
        shutil.copytree(wave, folder / "logs", dirs_exist_ok=True)
        write_raw_logs(str(folder / "logs"), settings, now=NOW)
        done = build_in(settings)
        assert done.returncode == 0, done.stderr

    build(folder / "first")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPO / "feature_repo", settings.feature_repo, ignore=ignored)
    generate(settings)
    settings.online.mkdir(parents=True)
    applied = subprocess.run(
        [str(Path(sys.executable).with_name("feast")), "apply"],
        cwd=settings.feature_repo,
        env=child_environment(PROFILESTORE_HOME=str(settings.home)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stdout + applied.stderr
    frame, dataset = cut(FeatureStore(settings).pinned(), settings.data)
    made_at = datetime.now(UTC)
    build(folder / "second")
    yield Told(settings, dataset.lake_snapshot, made_at, frame, dataset)
    forget_instances()


def same(one: Any, other: Any) -> bool:
    """Whether two datasets, or parts of them, are the same to the last bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, Dataset):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(Dataset))
    if hasattr(one, "values"):
        return bool(one.values == other.values)
    return bool(one == other)


def test_without_the_snapshot_it_is_another(told: Told) -> None:
    """Else the next test would prove nothing."""
    frame, dataset = cut(FeatureStore(told.settings).pinned(), told.settings.data)
    assert dataset.lake_snapshot > told.snapshot
    assert not same(dataset, told.dataset)
    before, after = (
        {row["event_id"]: row for row in one.to_pylist()} for one in (told.frame, frame)
    )
    late = [row for name, row in after.items() if name not in before]
    last = max(row["asked_at"] for row in before.values())
    assert sum(row["asked_at"] < last for row in late) > 20
    assert sum(row["asked_at"] > last for row in late) > 20
    # Also what was known of an event that is in both is not the same.
    assert any(row != after[name] for name, row in before.items() if name in after)


def test_with_it_every_row_is_what_it_was(told: Told) -> None:
    by_time = lake.find_snapshot(told.settings.lake_catalog, told.settings.lake_files, told.made_at)
    assert by_time == told.snapshot
    store = FeatureStore(told.settings).pinned(told.snapshot)
    frame, dataset = cut(store, told.settings.data)
    assert frame.num_rows > 500
    assert frame.schema == told.frame.schema
    assert frame.to_pylist() == told.frame.to_pylist()
    assert same(dataset, told.dataset)
    # What is cut of a store that is pinned stays so when that is pinned again.
    assert store.lake_snapshot() == store.pinned().lake_snapshot() == told.snapshot


def test_the_yaml_pins_too(told: Told, tmp_path: Path) -> None:
    home = Settings(tmp_path / "home")
    shutil.copytree(told.settings.feature_repo, home.feature_repo)
    home.data.symlink_to(told.settings.data)
    where = home.feature_repo / "feature_store.yaml"
    text = where.read_text()
    for pin in (f"snapshot: {told.snapshot}", f'snapshot_time: "{told.made_at.isoformat()}"'):
        where.write_text(text.replace("offline_store:\n", f"offline_store:\n  {pin}\n"))
        assert FeatureStore(home).lake_snapshot() == told.snapshot
        assert FeatureStore(home).pinned().lake_snapshot() == told.snapshot
        assert FeatureStore(home).pinned(told.snapshot - 1).lake_snapshot() == told.snapshot - 1


def test_another_offline_store_cannot_be_pinned(told: Told, tmp_path: Path) -> None:
    home = Settings(tmp_path / "home")
    shutil.copytree(told.settings.feature_repo, home.feature_repo)
    home.data.symlink_to(told.settings.data)
    where = home.feature_repo / "feature_store.yaml"
    where.write_text(yaml.safe_dump({**yaml.safe_load(where.read_text()), "offline_store": "dask"}))
    with pytest.raises(InputError, match=r"offline store in feature_store\.yaml is dask"):
        FeatureStore(home).pinned(told.snapshot)


def test_a_snapshot_that_is_not_there(told: Told) -> None:
    with pytest.raises(InputError, match=r"lake at .*catalog\.sqlite has no snapshot 9999; it has"):
        FeatureStore(told.settings).pinned(9999)


def test_the_command_trains_on_it_and_the_bundle_says_so(told: Told, tmp_path: Path) -> None:
    quick = tmp_path / "quick.yaml"
    quick.write_text(QUICK)
    assert load_config(quick).epochs == 1
    done = told.command("train", "--config", str(quick), "--snapshot", told.made_at.isoformat())
    assert done.returncode == 0, done.stderr
    assert f"{len(told.dataset.split):,} interactions" in done.stdout
    assert f"from lake snapshot {told.snapshot}:" in done.stdout
    current = json.loads((told.settings.models / "current.json").read_text())["version"]
    bundle = told.settings.models / current
    assert json.loads((bundle / "bundle.json").read_text())["lake_snapshot"] == told.snapshot
    assert json.loads((bundle / "item_ids.json").read_text()) == told.dataset.item_ids
