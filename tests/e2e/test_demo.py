"""The demo as a user sees it, and the laws on the data that it leaves."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feast
import numpy as np
import pyarrow as pa
import pytest

from profilestore.artifacts import load_current
from profilestore.feature_store import FeatureStore, Materialized
from profilestore.settings import Settings, child_environment

Make = Callable[..., subprocess.CompletedProcess[str]]
Demo = tuple[Path, subprocess.CompletedProcess[str]]


def test_demo_ends_with_a_profile_and_the_address_of_the_page(demo: Demo) -> None:
    last_lines = demo[1].stdout.strip().splitlines()[-1]
    assert re.search(r"http://127\.0\.0\.1:8000/users/u-[0-9a-f]{32}$", last_lines), last_lines
    for word in ("Activity", "Interests", "Recommendations"):
        assert word.lower() in demo[1].stdout.lower()
    assert "Traceback" not in demo[1].stderr


def test_every_stage_said_in_a_line_what_it_does(demo: Demo) -> None:
    said = re.findall(r"^== (\w+)", demo[1].stdout, flags=re.MULTILINE)
    assert said == ["logs", "build", "generate", "apply", "train", "materialize", "profile"]


def test_a_second_demo_does_only_what_changed(demo_home: Path, make: Make) -> None:
    started = time.monotonic()
    again = make(demo_home, "demo")
    assert again.returncode == 0, again.stderr
    said = re.findall(r"^== (\w+)", again.stdout, flags=re.MULTILINE)
    assert said == ["materialize", "profile"]
    assert time.monotonic() - started < 120


def test_the_model_is_above_every_baseline(demo_home: Path) -> None:
    test = _metrics(demo_home)["test"]
    own = test.pop("two-tower")["ndcg@10"]
    assert {name.split(",")[0] for name in test} == {"popularity", "item-kNN", "ALS", "EASE"}
    for name, figures in test.items():
        assert own > figures["ndcg@10"], name


def test_the_report_says_by_how_much(demo_home: Path) -> None:
    bundle = _bundle(demo_home)
    page = (bundle / "report.html").read_text()
    for name, lift in _metrics(demo_home)["lift"].items():
        assert f"{100 * lift:.1f} % above {name}" in page
    for plot in re.findall(r'src="([^"]+)"', page):
        assert (bundle / plot).stat().st_size > 5_000


@pytest.mark.parametrize(
    ("service", "entity"), [("profile_v1", "user"), ("retrieval_v1", "user"), ("items_v1", "item")]
)
def test_online_equals_offline_at_the_same_instant(
    demo_home: Path, service: str, entity: str
) -> None:
    """Law 4, for 1,000 keys drawn at random; of people there are fewer: the rest are strangers."""
    settings = Settings(home=demo_home)
    store = FeatureStore(settings)
    noted = Materialized.read(settings)
    known = (
        [person.user_id for person in noted.people]
        if entity == "user"
        else store.keys(service, entity)
    )
    drawn = random.Random(20261122)
    keys = drawn.sample(known, min(1000, len(known)))
    keys += [f"stranger-{number}" for number in range(1000 - len(keys))]

    names = [f.column for f in store.features(service) if f.entity == entity]
    spine = pa.table(
        {
            f"{entity}_id": keys,
            "event_timestamp": pa.array([noted.at] * len(keys), pa.timestamp("us", tz="UTC")),
        }
    )
    offline = store.training_frame(service, spine, columns=names).read_all().to_pylist()
    online = store.online(service, entity, keys, now=noted.at)

    assert len(offline) == len(online) == 1000
    compared = 0
    for key, row, views in zip(keys, offline, online, strict=True):
        for view, record in views.items():
            for name, value in record.values.items():
                assert value == row[f"{view}__{name}"], (key, view, name)
                compared += value is not None
    # Equality of nothing with nothing proves nothing.
    assert compared > 2000


def test_what_is_alike_is_a_search_of_plain_feast(demo_home: Path) -> None:
    """The online vectors are the bundle's own, and each is the nearest to itself."""
    settings = Settings(home=demo_home)
    bundle = load_current(settings)
    plain = feast.FeatureStore(repo_path=str(settings.feature_repo))
    for row in (0, 100, 1000):
        near = plain.retrieve_online_documents_v2(
            features=["item_vectors:vector", "item_vectors:model"],
            query=bundle.item_vectors[row].tolist(),
            top_k=3,
        ).to_dict()
        # Feast gives rows in the order of keys, each with its distance.
        own = near["item_id"].index(bundle.item_ids[row])
        assert near["distance"][own] == min(near["distance"]) == pytest.approx(0, abs=1e-5)
        assert near["model"] == [bundle.version] * 3
        assert near["vector"][own] == pytest.approx(bundle.item_vectors[row].tolist())
    ours = FeatureStore(settings).nearest("vectors_v1", "item", bundle.item_vectors[7], 20)
    assert ours[0].key == bundle.item_ids[7]
    cosines = bundle.item_vectors @ bundle.item_vectors[7]
    cosines /= np.linalg.norm(bundle.item_vectors, axis=1) * np.linalg.norm(bundle.item_vectors[7])
    wanted = np.sort(1 - cosines)[:20]
    assert [one.distance for one in ours] == pytest.approx(wanted.tolist(), abs=1e-5)
    (person,) = Materialized.read(settings).people[:1]
    own = plain.get_online_features(
        features=["user_vectors:vector"], entity_rows=[{"user_id": person.user_id}]
    ).to_dict()
    near = plain.retrieve_online_documents_v2(
        features=["user_vectors:vector"],
        query=own["vector"][0],
        top_k=5,
    ).to_dict()
    nearest = min(zip(near["distance"], near["user_id"], strict=True))
    assert nearest == (pytest.approx(0, abs=1e-5), person.user_id)
    assert len(set(near["user_id"])) == 5


def test_a_stale_value_is_null_offline_and_online(demo_home: Path) -> None:
    """Interests have a ttl; people who left long ago are past it in both stores."""
    settings = Settings(home=demo_home)
    store = FeatureStore(settings)
    noted = Materialized.read(settings)
    records = store.online(
        "profile_v1", "user", [person.user_id for person in noted.people], now=noted.at
    )
    stale = [
        views["user_interests"] for views in records if views["user_interests"].state == "stale"
    ]
    fresh = [
        views["user_interests"] for views in records if views["user_interests"].state == "fresh"
    ]
    assert stale
    assert fresh
    assert all(value is None for record in stale for value in record.values.values())


def test_no_raw_identifier_is_in_lake_online_store_or_bundle(demo_home: Path) -> None:
    """Users of this log are small numbers: their pseudonyms must be the only names they have."""
    noted = Materialized.read(Settings(home=demo_home))
    assert all(re.fullmatch(r"u-[0-9a-f]{32}", person.user_id) for person in noted.people)


def test_a_changed_file_is_read_again(checkout_copy: Path, make: Make, tmp_path: Path) -> None:
    logs = tmp_path / "shop logs"
    logs.mkdir()
    (logs / "profilestore.yaml").write_text(
        "events:\n  files: events.csv\n  columns: {user: who, item: what, "
        "event_type: {constant: view}, time: at}\n"
    )
    (logs / "events.csv").write_text("who,what,at\na,x,2026-01-01T00:00:00Z\n")
    first = make(checkout_copy, "logs", f"SOURCE={logs}")
    assert "1 events" in first.stdout, first.stderr
    assert "== logs" not in make(checkout_copy, "logs", f"SOURCE={logs}").stdout
    with (logs / "events.csv").open("a") as file:
        file.write("b,y,2026-01-02T00:00:00Z\n")
    assert "2 events" in make(checkout_copy, "logs", f"SOURCE={logs}").stdout


def test_feast_plan_after_the_demo_has_nothing_to_do(demo_home: Path) -> None:
    """As any Feast user would: in the feature repo, with Feast's own command."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("feast")), "plan"],
        cwd=demo_home / "feature_repo",
        env=child_environment(PROFILESTORE_HOME=str(demo_home)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No changes to registry" in done.stdout, done.stdout
    assert "No changes to infrastructure" in done.stdout, done.stdout


def test_a_wrong_source_changes_nothing(demo_home: Path, make: Make, tmp_path: Path) -> None:
    before = _tree(demo_home / "data" / "raw")
    done = make(demo_home, "logs", f"SOURCE={tmp_path / 'nowhere'}")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert _tree(demo_home / "data" / "raw") == before


def _bundle(home: Path) -> Path:
    version = json.loads((home / "data/models/current.json").read_text())["version"]
    return home / "data" / "models" / str(version)


def _metrics(home: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((_bundle(home) / "metrics.json").read_text())
    return metrics


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
