"""The features of the moment of asking, from the real feature repo on a lake made up for them."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from profilestore.codegen import generate, read_marts
from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore
from profilestore.lake import connect
from profilestore.offline_store.connections import forget_instances
from profilestore.plan import make_plan
from profilestore.settings import Settings, child_environment

REPO = Path(__file__).resolve().parents[2]
SERVICE = "context_v1"
NAMES = ("last_event_age_hours", "hour_of_day", "day_of_week")

# Who there is: when the row became true, and the latest event that it names.
PEOPLE = {
    "u-long-ago": ("2020-02-29 23:59:59+00", "2020-02-29 23:59:59+00"),
    "u-lately": ("2026-01-04 21:30:00+00", "2026-01-04 21:30:00+00"),
    # A clock that went wrong: an event that is dated after it was told.
    "u-ahead": ("2026-01-01 00:00:00+00", "2027-01-01 00:00:00+00"),
    "u-no-event": ("2026-01-01 00:00:00+00", None),
}
USERS = [*PEOPLE, "u-stranger"]
# A Sunday, half a second before its last second is over.
ASKED_AT = datetime(2026, 1, 4, 23, 59, 59, 500_000, tzinfo=UTC)


def write_lake(settings: Settings) -> None:
    """Every mart, with the columns of its contract; rows in `user_activity` alone."""
    settings.lake_files.mkdir(parents=True)
    with connect() as connection:
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{settings.lake_catalog}' AS lake "
            f"(DATA_PATH '{settings.lake_files}/')"
        )
        for mart in read_marts(settings.manifest):
            columns = [f"{mart.key} VARCHAR", "event_timestamp TIMESTAMPTZ, loaded_at TIMESTAMPTZ"]
            columns += [f"{feature.name} {feature.data_type}" for feature in mart.features]
            connection.execute(f"CREATE TABLE lake.main.{mart.name} ({', '.join(columns)})")
        connection.execute("CREATE TABLE lake.main.interactions (user_id VARCHAR)")
        for user, (since, last) in PEOPLE.items():
            connection.execute(
                "INSERT INTO lake.main.user_activity BY NAME SELECT $user AS user_id, "
                "$since::TIMESTAMPTZ AS event_timestamp, $since::TIMESTAMPTZ AS loaded_at, "
                "$last::TIMESTAMPTZ AS last_event_at, 1 AS events_lifetime",
                {"user": user, "since": since, "last": last},
            )


@pytest.fixture(scope="module")
def home(parsed: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The feature repo, not applied yet, beside its lake."""
    settings = Settings(tmp_path_factory.mktemp("on_demand"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPO / "feature_repo", settings.feature_repo, ignore=ignored)
    settings.manifest.parent.mkdir(parents=True)
    shutil.copy(parsed.manifest, settings.manifest)
    generate(settings)
    write_lake(settings)
    settings.online.mkdir(parents=True)
    yield settings
    forget_instances()


@pytest.fixture(scope="module")
def planned(home: Settings) -> dict[str, Any]:
    """What the first plan says of each view: its form and how much is in it."""
    return {
        finding.change.name: (finding.change.form, finding.change.after)
        for finding in make_plan(home).findings
        if finding.change.kind == "view_added"
    }


@pytest.fixture(scope="module")
def store(home: Settings, planned: dict[str, Any]) -> FeatureStore:
    """Applied twice, as happens, and materialised."""
    for _ in range(2):
        done = subprocess.run(
            [str(Path(sys.executable).with_name("feast")), "apply"],
            cwd=home.feature_repo,
            env=child_environment(PROFILESTORE_HOME=str(home.home)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    found = FeatureStore(home)
    with redirect_stdout(StringIO()):
        found.materialize(ASKED_AT)
    return found


INSTANT = pa.timestamp("us", tz="UTC")


def spine(asked_at: Any = ASKED_AT, kind: Any = INSTANT) -> pa.Table:
    """Everybody, asked for at the one instant, with `asked_at` as whoever asks wrote it."""
    return pa.table(
        {
            "user_id": USERS,
            "event_timestamp": pa.array([ASKED_AT] * len(USERS), INSTANT),
            "asked_at": pa.array([asked_at] * len(USERS), kind),
        }
    )


def offline(store: FeatureStore, entity_df: Any) -> list[tuple[Any, ...]]:
    table = store._feast.get_historical_features(
        entity_df=entity_df,
        features=store._feast.get_feature_service(SERVICE),
        filter_by_created_timestamp=True,
    ).to_arrow()
    assert [str(table.schema.field(name).type) for name in NAMES] == ["double", "int64", "int64"]
    return list(zip(*(table[name].to_pylist() for name in NAMES), strict=True))


def online(store: FeatureStore, asked_at: Any) -> list[tuple[Any, ...]]:
    answer = store._feast.get_online_features(
        features=store._feast.get_feature_service(SERVICE),
        entity_rows=[{"user_id": user, "asked_at": asked_at} for user in USERS],
    ).to_dict()
    return list(zip(*(answer[name] for name in NAMES), strict=True))


SUNDAY = (23, 6)
EXPECTED = {
    "u-long-ago": (51264.0, *SUNDAY),
    "u-lately": (2 + 29 / 60 + 59 / 3600, *SUNDAY),
    "u-ahead": (0.0, *SUNDAY),
    "u-no-event": (None, *SUNDAY),
    "u-stranger": (None, *SUNDAY),
}


def test_what_is_known_at_the_moment_of_asking(store: FeatureStore) -> None:
    for found in (offline(store, spine()), online(store, ASKED_AT)):
        for user, row in zip(USERS, found, strict=True):
            assert row == pytest.approx(EXPECTED[user]), user


@pytest.mark.parametrize(
    "asked_at",
    [
        ASKED_AT,
        ASKED_AT + timedelta(microseconds=499_999),
        # Monday begins; in the zone of another it has been Monday for hours, or is Sunday still.
        ASKED_AT + timedelta(microseconds=500_000),
        ASKED_AT.astimezone(timezone(timedelta(hours=5, minutes=30))),
        ASKED_AT.astimezone(timezone(timedelta(hours=-11))),
        # Before the latest events, and before any.
        datetime(2026, 1, 4, 21, 30, tzinfo=UTC),
        datetime(2019, 12, 31, 12, tzinfo=UTC),
        # The second of the event itself, and the microsecond before it, at which training asks.
        datetime(2026, 1, 4, 21, 29, 59, 999_999, tzinfo=UTC),
    ],
    ids=str,
)
def test_offline_is_online_at_the_same_instant(store: FeatureStore, asked_at: datetime) -> None:
    found = offline(store, spine(asked_at))
    assert found == online(store, asked_at)
    assert all(age is None or age >= 0 for age, _, _ in found)
    assert {row[1:] for row in found} == {
        (asked_at.astimezone(UTC).hour, asked_at.astimezone(UTC).weekday())
    }


def test_an_instant_without_a_zone_is_utc(store: FeatureStore) -> None:
    naive = ASKED_AT.replace(tzinfo=None)
    wanted = online(store, ASKED_AT)
    assert online(store, naive) == wanted
    assert offline(store, spine(naive, pa.timestamp("us"))) == wanted


def test_every_form_of_spine_says_the_same(store: FeatureStore) -> None:
    query = (
        "SELECT user_id, asked_at AS event_timestamp, asked_at "
        f"FROM (VALUES {', '.join(f'({user!r})' for user in USERS)}) AS t(user_id), "
        f"(SELECT TIMESTAMPTZ '{ASKED_AT.isoformat()}' AS asked_at)"
    )
    wanted = offline(store, spine())
    assert offline(store, spine().to_pandas()) == wanted
    elsewhere = spine(ASKED_AT, pa.timestamp("us", tz="Asia/Kolkata"))
    assert offline(store, elsewhere) == wanted
    assert offline(store, elsewhere.to_pandas()) == wanted
    assert sorted(offline(store, query), key=str) == sorted(wanted, key=str)


def test_who_does_not_say_when_gets_nulls_or_an_error(store: FeatureStore) -> None:
    nothing = [(None, None, None)] * len(USERS)
    assert offline(store, spine(None)) == nothing
    assert online(store, None) == nothing
    with pytest.raises(InputError, match=r"no column 'asked_at'.*'request_context'"):
        offline(store, spine().drop_columns(["asked_at"]))
    with pytest.raises(Exception, match="asked_at"):
        store._feast.get_online_features(
            features=store._feast.get_feature_service(SERVICE), entity_rows=[{"user_id": "u-1"}]
        )


def test_a_null_is_none_in_arrow_and_nan_in_pandas(store: FeatureStore) -> None:
    frame = store._feast.get_historical_features(
        entity_df=spine(), features=store._feast.get_feature_service(SERVICE)
    ).to_df()
    assert isinstance(frame, pd.DataFrame)
    assert math.isnan(frame["last_event_age_hours"][USERS.index("u-stranger")])
    assert frame["hour_of_day"].dtype == "int64"


def test_the_gateway_asks_as_feast_does(store: FeatureStore) -> None:
    """So a model whose service has the view trains on it and is asked with it."""
    features = store.features(SERVICE)
    assert [(one.column, one.entity, one.kind) for one in features] == [
        (f"request_context__{name}", "user", "number") for name in NAMES
    ]
    frame = store.training_frame(SERVICE, spine()).read_all()
    offline = list(zip(*(frame[one.column].to_pylist() for one in features), strict=True))
    rows = [
        record["request_context"] for record in store.online(SERVICE, "user", USERS, now=ASKED_AT)
    ]
    assert [tuple(record.values[name] for name in NAMES) for record in rows] == offline
    assert store.online(SERVICE, "item", ["i-1"]) == [{}]


def test_the_gateway_reads_the_views_that_it_is_asked_for(store: FeatureStore) -> None:
    (whole,) = store.online("profile_v1", "user", USERS[:1], now=ASKED_AT)
    wanted = ["user_activity", "user_value"]
    (some,) = store.online("profile_v1", "user", USERS[:1], now=ASKED_AT, views=wanted)
    assert some == {name: whole[name] for name in wanted}
    assert len(whole) > len(some)
    assert store.online("profile_v1", "user", USERS[:1], now=ASKED_AT, views=[]) == [{}]


def test_what_was_is_what_is_when_asked_as_of_now(store: FeatureStore) -> None:
    for user in [*USERS, "u-nobody", "u-o'neil"]:
        (now,) = store.online("profile_v1", "user", [user], now=ASKED_AT)
        assert store.as_of("profile_v1", "user", user, ASKED_AT) == now
    assert store.as_of("profile_v1", "user", USERS[0], ASKED_AT, views=[]) == {}


def test_before_it_was_known_nothing_was(store: FeatureStore) -> None:
    (now,) = store.online("profile_v1", "user", USERS[:1], now=ASKED_AT)
    since = now["user_activity"].as_of
    assert since is not None
    wanted = ["user_activity"]
    at_last = store.as_of("profile_v1", "user", USERS[0], since, views=wanted)
    assert at_last == {"user_activity": now["user_activity"]}
    before = since - timedelta(microseconds=1)
    (found,) = store.as_of("profile_v1", "user", USERS[0], before, views=wanted).values()
    assert (found.state, found.as_of) == ("missing", None)
    assert set(found.values.values()) == {None}


def test_the_gateway_knows_what_services_are_for(store: FeatureStore) -> None:
    purposes = store.purposes()
    assert (purposes["profile_v1"], purposes[SERVICE]) == ("profile", "recommendation")


def test_plan_names_it_and_says_nothing_after_apply(
    home: Settings, planned: dict[str, Any], store: FeatureStore
) -> None:
    assert planned["request_context"] == ("on-demand feature view", "3 features")
    assert planned["user_activity"][0] == "feature view"
    assert make_plan(home).findings == ()


def test_what_is_registered_of_it_is_what_is_registered_of_the_others(
    home: Settings, store: FeatureStore
) -> None:
    from feast.protos.feast.core.Registry_pb2 import Registry

    registry = Registry()
    registry.ParseFromString(home.registry.read_bytes())
    (view,) = (one.spec for one in registry.on_demand_feature_views)
    assert view.description
    assert view.owner
    assert [field.name for field in view.features] == list(NAMES)
    asked = view.sources["request"].request_data_source.request_data_options
    for field in (*view.features, *asked.schema):
        assert field.description, field.name
        assert field.tags["class"] == "behaviour"
        assert field.tags["unit"]
