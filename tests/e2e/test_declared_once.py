"""Law 7: a feature that is declared once, in dbt, is in training and in the profile."""

from __future__ import annotations

import filecmp
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from profilestore.feature_store import FeatureStore
from profilestore.privacy.pseudonyms import load_or_create_key, pseudonym
from profilestore.settings import Settings
from serving import create_app
from training.config import DEFAULT, load_config
from training.dataset import encodings

CHECKOUT = Path(__file__).resolve().parents[2]
MART = Path("dbt_project/models/marts/user_activity")
FEATURE = "events_30d_to_90d"
COLUMN = f"user_activity__{FEATURE}"
WORDS = "Events in the 60 days before the last 30 days."
EXPRESSION = f"""\
    (events_90d - events_30d)::bigint as {FEATURE},
"""
ENTRY = f"""\
      - name: {FEATURE}
        data_type: bigint
        description: {WORDS}
        config: {{meta: {{class: behaviour, unit: events, default: 0}}}}
"""
# Whole days and a half: no event enters or leaves a window while the test runs.
DAYS_AGO = {
    "ada": (85.5, 60.5, 45.5, 29.5, 10.5, 0.5),
    "bob": (100.5, 31.5),
    "cleo": (5.5,),
}
GENERATED = {"feature_repo/feature_views.py", "README.md"}


def insert(path: Path, text: str, *, before: str) -> None:
    content = path.read_text()
    assert content.count(before) == 1, path
    path.write_text(content.replace(before, text + before))


def write_logs(folder: Path, now: datetime) -> Path:
    folder.mkdir()
    (folder / "profilestore.yaml").write_text(
        "events:\n  files: events.csv\n  columns: {user: who, item: what, "
        "event_type: {constant: view}, time: at}\n"
    )
    lines = [
        f"{who},item-{number % 3},{(now - timedelta(days=days)).isoformat()}"
        for who, ages in DAYS_AGO.items()
        for number, days in enumerate(ages)
    ]
    (folder / "events.csv").write_text("\n".join(["who,what,at", *lines]) + "\n")
    return folder


def counted(who: str, days_ago: float) -> int | None:
    """The feature as it was so many days ago, from the log itself; none before the first event."""
    ages = [age - days_ago for age in DAYS_AGO[who] if age >= days_ago]
    return sum(30 <= age < 90 for age in ages) if ages else None


def changed_files(home: Path) -> set[str]:
    """Files of the checkout that are others in the copy."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    present = [name for name in listed.splitlines() if (CHECKOUT / name).exists()]
    return {
        name for name in present if not filecmp.cmp(CHECKOUT / name, home / name, shallow=False)
    }


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def test_one_expression_and_one_entry_are_a_feature(
    checkout_copy: Path,
    make: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    now: datetime,
) -> None:
    sql, yml = MART.with_suffix(".sql"), MART.with_suffix(".yml")
    insert(checkout_copy / sql, EXPRESSION, before="    events_lifetime::bigint as events_")
    insert(checkout_copy / yml, ENTRY, before="      - name: events_lifetime\n")

    done = make(checkout_copy, "materialize", f"SOURCE={write_logs(tmp_path / 'logs', now)}")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    # No other edit: what else changed was written by `make generate`.
    assert changed_files(checkout_copy) == {str(sql), str(yml), *GENERATED}
    for name in GENERATED:
        text = (checkout_copy / name).read_text()
        assert FEATURE in text, name
        assert WORDS in text, name

    settings = Settings(checkout_copy)
    store = FeatureStore(settings)
    key = load_or_create_key(settings)
    names = {who: pseudonym(who, key) for who in DAYS_AGO}
    config = load_config(DEFAULT)
    trained = config.feature_service
    query, _ = encodings(store.features(trained), config)
    assert COLUMN in query.numbers, "it is an input of the next model"

    asked = [(who, days) for who in DAYS_AGO for days in (110, 90, 50, 31, 20, 0)]
    spine = pa.table(
        {
            "user_id": [names[who] for who, _ in asked],
            "event_timestamp": pa.array(
                [now - timedelta(days=days) for _, days in asked], pa.timestamp("us", tz="UTC")
            ),
        }
    )
    frame = store.training_frame(trained, spine, columns=[COLUMN]).read_all()
    found = dict(zip(asked, frame[COLUMN].to_pylist(), strict=True))
    assert found == {(who, days): counted(who, days) for who, days in asked}
    # Equality of nothing with nothing proves nothing.
    assert {0, 1, 2, 3, None} <= set(found.values())

    with TestClient(create_app(settings)) as client:
        for who, name in names.items():
            profile = client.get(f"/v1/profiles/{name}").json()
            assert profile["activity"]["fields"][FEATURE] == {
                "value": counted(who, 0),
                "unit": "events",
                "description": WORDS,
            }
