"""A small home of Feast's: a view that can be pushed to, one with vectors, three people."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import feast
import pandas as pd
from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Float32, Float64, Int64, String, UnixTimestamp
from feast.value_type import ValueType

from profilestore.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
ROWS = FileSource(name="rows", path="none.parquet", timestamp_field="event_timestamp")
ACTIVITY = FeatureView(
    name="activity",
    entities=[USER],
    ttl=timedelta(0),
    schema=[
        Field(name="clicks", dtype=Int64),
        Field(name="share", dtype=Float32),
        Field(name="mean", dtype=Float64),
        Field(name="tags", dtype=Array(String)),
        Field(name="seen_at", dtype=UnixTimestamp),
    ],
    source=PushSource(name="clicks_push", batch_source=ROWS),
)
PLACES = FeatureView(
    name="places",
    entities=[USER],
    ttl=timedelta(0),
    schema=[
        Field(
            name="vector",
            dtype=Array(Float32),
            vector_index=True,
            vector_length=2,
            vector_search_metric="cosine",
        )
    ],
    source=FileSource(name="places", path="none.parquet", timestamp_field="event_timestamp"),
)
FEATURES = [f"activity:{field.name}" for field in ACTIVITY.features]


@on_demand_feature_view(sources=[ACTIVITY], schema=[Field(name="twice", dtype=Int64)])
def doubled(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"twice": (2 * inputs["clicks"]).astype("Int64")})


def write_repo(folder: Path, online: str, registry: Path) -> Path:
    """A feature repo without definitions: its `feature_store.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "feature_store.yaml").write_text(
        f"project: unit\nprovider: local\nregistry: {registry}\n"
        f"entity_key_serialization_version: 3\nonline_store: {online}\n"
        "offline_store: {type: file}\n"
    )
    return folder


def rows(users: list[str], clicks: list[int], at: datetime = NOON) -> pd.DataFrame:
    """Rows of `ACTIVITY`, three at most."""
    count = len(users)
    return pd.DataFrame(
        {
            "user_id": users,
            "clicks": clicks,
            "share": [0.3, float("nan"), 0.1][:count],
            "mean": [0.1, 2.5, float("inf")][:count],
            "tags": [["a", "ü"], ["b"], ["c", "d"]][:count],
            "seen_at": [NOON - timedelta(days=1)] * count,
            "event_timestamp": [at + timedelta(microseconds=n * 1_500) for n in range(count)],
        }
    )


def fill(settings: Settings) -> None:
    """Registered, written to our online store, and noted as filled."""
    settings.online.mkdir(parents=True)
    write_repo(
        settings.feature_repo,
        "{type: profilestore.online_store.LMDBOnlineStore, path: ../data/online/records}",
        settings.registry,
    )
    store = feast.FeatureStore(repo_path=str(settings.feature_repo))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # on-demand views are experimental
        store.apply([USER, ACTIVITY, PLACES, doubled])
    store.apply([FeatureService(name="everything", features=[ACTIVITY, PLACES])])
    store.write_to_online_store("activity", rows(["ann", "bob", "carl"], [1, 2, 3]))
    store.write_to_online_store(
        "places",
        pd.DataFrame(
            {
                "user_id": ["ann", "bob", "carl"],
                "vector": [[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]],
                "event_timestamp": [NOON] * 3,
            }
        ),
    )
    (settings.online / "materialized.json").write_text(
        json.dumps({"at": NOON.isoformat(), "people": []})
    )
