"""Feature views, one for each mart that dbt declares as one.

Generated from the dbt manifest by `make generate`. Do not edit: change the mart and its YAML.
"""

from datetime import timedelta

from entities import item, user
from feast import FeatureView, Field
from feast.types import Array, Float64, Int32, Int64, String, UnixTimestamp

from profilestore.offline_store import DuckDBSource

item_attributes = FeatureView(
    name="item_attributes",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="title",
            dtype=String,
            description="Name for people; null when no catalogue has one.",
            tags={"class": "aggregate"},
        ),
        Field(
            name="categories",
            dtype=Array(String),
            description="Categories, empty when unknown.",
            tags={"class": "aggregate", "vocabulary": "category"},
        ),
        Field(
            name="release_year",
            dtype=Int32,
            description="Year it came out.",
            tags={"class": "aggregate", "unit": "year"},
        ),
    ],
    source=DuckDBSource(
        name="item_attributes",
        table="item_attributes",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item, true since the log began: catalogues that carry no dates are taken to have stood since then. What an item is.",
    owner="analytics",
    tags={"block": "attributes"},
)

item_popularity = FeatureView(
    name="item_popularity",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="events_7d",
            dtype=Int64,
            description="Events on the item in the last 7 days.",
            tags={"class": "aggregate", "unit": "events"},
        ),
        Field(
            name="events_30d",
            dtype=Int64,
            description="Events on the item in the last 30 days.",
            tags={"class": "aggregate", "unit": "events"},
        ),
        Field(
            name="events_90d",
            dtype=Int64,
            description="Events on the item in the last 90 days.",
            tags={"class": "aggregate", "unit": "events"},
        ),
        Field(
            name="events_365d",
            dtype=Int64,
            description="Events on the item in the last 365 days.",
            tags={"class": "aggregate", "unit": "events"},
        ),
        Field(
            name="events_lifetime",
            dtype=Int64,
            description="Events on the item so far.",
            tags={"class": "aggregate", "unit": "events"},
        ),
        Field(
            name="value_mean_lifetime",
            dtype=Float64,
            description="Mean value of its events so far.",
            tags={"class": "aggregate"},
        ),
        Field(
            name="first_event_at",
            dtype=UnixTimestamp,
            description="First event on the item.",
            tags={"class": "aggregate", "unit": "seconds"},
        ),
        Field(
            name="last_event_at",
            dtype=UnixTimestamp,
            description="Latest event on the item.",
            tags={"class": "aggregate", "unit": "seconds"},
        ),
    ],
    source=DuckDBSource(
        name="item_popularity",
        table="item_popularity",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item and instant at which a value changes: when an event enters a window, and when it leaves. How much an item is turned to, exact at every instant.",
    owner="analytics",
    tags={"block": "popularity"},
)

user_activity = FeatureView(
    name="user_activity",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="events_1d",
            dtype=Int64,
            description="Events in the last day.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="events_7d",
            dtype=Int64,
            description="Events in the last 7 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="events_30d",
            dtype=Int64,
            description="Events in the last 30 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="events_90d",
            dtype=Int64,
            description="Events in the last 90 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="events_lifetime",
            dtype=Int64,
            description="Events so far.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="value_mean_90d",
            dtype=Float64,
            description="Mean value of the events of the last 90 days; null without any.",
            tags={"class": "behaviour"},
        ),
        Field(
            name="value_stddev_90d",
            dtype=Float64,
            description="Sample standard deviation of those values; null for fewer than two.",
            tags={"class": "behaviour"},
        ),
        Field(
            name="value_mean_lifetime",
            dtype=Float64,
            description="Mean value of all events so far.",
            tags={"class": "behaviour"},
        ),
        Field(
            name="first_event_at",
            dtype=UnixTimestamp,
            description="First event of the person.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
        Field(
            name="last_event_at",
            dtype=UnixTimestamp,
            description="Latest event of the person; its age is the recency.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
    ],
    source=DuckDBSource(
        name="user_activity",
        table="user_activity",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which a value changes: when an event enters a window, which is when it has happened and is known, and when it leaves. How much a person does, exact at every instant.",
    owner="analytics",
    tags={"block": "activity"},
)

user_history = FeatureView(
    name="user_history",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="item_ids",
            dtype=Array(String),
            description="Items, newest first.",
            tags={"class": "behaviour", "vocabulary": "item_id"},
        ),
        Field(
            name="event_types",
            dtype=Array(String),
            description="What happened to each.",
            tags={"class": "behaviour"},
        ),
        Field(
            name="event_at_us",
            dtype=Array(Int64),
            description="When.",
            tags={"class": "behaviour", "unit": "microseconds since 1970"},
        ),
    ],
    source=DuckDBSource(
        name="user_history",
        table="user_history",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant of an event. The last 50 events of a person, newest first; the lists run in parallel.",
    owner="analytics",
    tags={"block": "history"},
)

user_interests = FeatureView(
    name="user_interests",
    entities=[user],
    ttl=timedelta(days=1095, seconds=0),
    schema=[
        Field(
            name="categories",
            dtype=Array(String),
            description="Categories by decayed weight.",
            tags={"class": "behaviour", "vocabulary": "category"},
        ),
        Field(
            name="shares",
            dtype=Array(Float64),
            description="Share of each in the person's decayed weight over all categories.",
            tags={"class": "behaviour", "unit": "fraction", "weights_of": "categories"},
        ),
        Field(
            name="event_counts",
            dtype=Array(Int64),
            description="Events each rests on.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="last_event_at_us",
            dtype=Array(Int64),
            description="When each was last touched.",
            tags={"class": "behaviour", "unit": "microseconds since 1970"},
        ),
    ],
    source=DuckDBSource(
        name="user_interests",
        table="user_interests",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant of an event. The categories a person turns to, by exponentially decayed weight, heaviest first, ten at most; the lists run in parallel.",
    owner="analytics",
    tags={"block": "interests"},
)
