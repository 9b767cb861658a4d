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

user_attributes = FeatureView(
    name="user_attributes",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="age_band",
            dtype=String,
            description="Age band, in the source's own bands; null where no source says.",
            tags={"class": "quasi_identifier", "vocabulary": "age_band"},
        ),
        Field(
            name="region",
            dtype=String,
            description="Country or area, in the source's own words; null where no source says.",
            tags={"class": "quasi_identifier", "vocabulary": "region"},
        ),
        Field(
            name="source",
            dtype=String,
            description="Source pack that says so; null where none does.",
            tags={"class": "aggregate"},
        ),
        Field(
            name="first_seen_at",
            dtype=UnixTimestamp,
            description="Since when we know of the person; its age is the tenure.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
    ],
    source=DuckDBSource(
        name="user_attributes",
        table="user_attributes",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which we learned something about them: that they are there, or an attribute. Who a person is, as far as a source says.",
    owner="analytics",
    tags={"block": "attributes"},
)

user_behaviour = FeatureView(
    name="user_behaviour",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="views_1h",
            dtype=Int64,
            description="Views and clicks in the last hour.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="views_1d",
            dtype=Int64,
            description="Views and clicks in the last day.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="views_7d",
            dtype=Int64,
            description="Views and clicks in the last 7 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="views_30d",
            dtype=Int64,
            description="Views and clicks in the last 30 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="views_90d",
            dtype=Int64,
            description="Views and clicks in the last 90 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="searches_1h",
            dtype=Int64,
            description="Searches in the last hour.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="searches_1d",
            dtype=Int64,
            description="Searches in the last day.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="searches_7d",
            dtype=Int64,
            description="Searches in the last 7 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="searches_30d",
            dtype=Int64,
            description="Searches in the last 30 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="searches_90d",
            dtype=Int64,
            description="Searches in the last 90 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="carts_1h",
            dtype=Int64,
            description="Things put in the cart in the last hour.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="carts_1d",
            dtype=Int64,
            description="Things put in the cart in the last day.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="carts_7d",
            dtype=Int64,
            description="Things put in the cart in the last 7 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="carts_30d",
            dtype=Int64,
            description="Things put in the cart in the last 30 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="carts_90d",
            dtype=Int64,
            description="Things put in the cart in the last 90 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="buys_1h",
            dtype=Int64,
            description="Purchases in the last hour.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="buys_1d",
            dtype=Int64,
            description="Purchases in the last day.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="buys_7d",
            dtype=Int64,
            description="Purchases in the last 7 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="buys_30d",
            dtype=Int64,
            description="Purchases in the last 30 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="buys_90d",
            dtype=Int64,
            description="Purchases in the last 90 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="engagements_1h",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last hour.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="engagements_1d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last day.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="engagements_7d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last 7 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="engagements_30d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last 30 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="engagements_90d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last 90 days.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="spend_1d",
            dtype=Float64,
            description="Sum of what was paid in the last day.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="spend_7d",
            dtype=Float64,
            description="Sum of what was paid in the last 7 days.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="spend_30d",
            dtype=Float64,
            description="Sum of what was paid in the last 30 days.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="spend_90d",
            dtype=Float64,
            description="Sum of what was paid in the last 90 days.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="items_7d",
            dtype=Int64,
            description="Different items turned to in the last 7 days.",
            tags={"class": "behaviour", "unit": "items"},
        ),
        Field(
            name="items_30d",
            dtype=Int64,
            description="Different items turned to in the last 30 days.",
            tags={"class": "behaviour", "unit": "items"},
        ),
        Field(
            name="items_90d",
            dtype=Int64,
            description="Different items turned to in the last 90 days.",
            tags={"class": "behaviour", "unit": "items"},
        ),
        Field(
            name="categories_7d",
            dtype=Int64,
            description="Different categories turned to in the last 7 days.",
            tags={"class": "behaviour", "unit": "categories"},
        ),
        Field(
            name="categories_30d",
            dtype=Int64,
            description="Different categories turned to in the last 30 days.",
            tags={"class": "behaviour", "unit": "categories"},
        ),
        Field(
            name="categories_90d",
            dtype=Int64,
            description="Different categories turned to in the last 90 days.",
            tags={"class": "behaviour", "unit": "categories"},
        ),
        Field(
            name="click_rate_30d",
            dtype=Float64,
            description="Clicks in page views of the last 30 days, with the prior of rate_prior_hits and rate_prior_misses.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="cart_rate_30d",
            dtype=Float64,
            description="Things put in the cart in views of the last 30 days, with the prior.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="buy_rate_30d",
            dtype=Float64,
            description="Purchases in views of the last 30 days, with the prior.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="click_rate_90d",
            dtype=Float64,
            description="Clicks in page views of the last 90 days, with the prior of rate_prior_hits and rate_prior_misses.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="cart_rate_90d",
            dtype=Float64,
            description="Things put in the cart in views of the last 90 days, with the prior.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="buy_rate_90d",
            dtype=Float64,
            description="Purchases in views of the last 90 days, with the prior.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="trend_7d",
            dtype=Float64,
            description="Logarithm of the daily rate of events in the last 7 days over that of the last 30; 0 is even.",
            tags={"class": "behaviour"},
        ),
    ],
    source=DuckDBSource(
        name="user_behaviour",
        table="user_behaviour",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which a value changes: when an event enters a window, which is when it has happened and is known, and when it leaves. What a person does, by kind (var event_kinds). A window of a day and more reaches back up to the full hour: its events leave it at the first full hour, which halves the rows; the hour is exact.",
    owner="analytics",
    tags={"block": "behaviour"},
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

user_sessions = FeatureView(
    name="user_sessions",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="sessions_7d",
            dtype=Int64,
            description="Sessions that ended in the last 7 days; a session is in a window by its last event.",
            tags={"class": "behaviour", "unit": "sessions"},
        ),
        Field(
            name="sessions_30d",
            dtype=Int64,
            description="Sessions that ended in the last 30 days; a session is in a window by its last event.",
            tags={"class": "behaviour", "unit": "sessions"},
        ),
        Field(
            name="sessions_lifetime",
            dtype=Int64,
            description="Sessions that ended in all time so far; a session is in a window by its last event.",
            tags={"class": "behaviour", "unit": "sessions"},
        ),
        Field(
            name="session_mean_7d_seconds",
            dtype=Float64,
            description="Mean time from first to last event of these sessions, the last 7 days; null without any.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
        Field(
            name="session_events_mean_7d",
            dtype=Float64,
            description="Mean number of their events, the last 7 days; null without any.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="session_mean_30d_seconds",
            dtype=Float64,
            description="Mean time from first to last event of these sessions, the last 30 days; null without any.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
        Field(
            name="session_events_mean_30d",
            dtype=Float64,
            description="Mean number of their events, the last 30 days; null without any.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="session_mean_lifetime_seconds",
            dtype=Float64,
            description="Mean time from first to last event of these sessions, all time so far; null without any.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
        Field(
            name="session_events_mean_lifetime",
            dtype=Float64,
            description="Mean number of their events, all time so far; null without any.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="last_session_at",
            dtype=UnixTimestamp,
            description="When the latest of the sessions that have ended began, as it was known when it ended.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
    ],
    source=DuckDBSource(
        name="user_sessions",
        table="user_sessions",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which a value changes: when a session has ended, when more is learned of it, and when it leaves a window. A session is what its source says it is, else the events that lie at most session_gap_minutes apart in the order in which they were learned; it counts when that long has passed since its last event.",
    owner="analytics",
    tags={"block": "sessions"},
)
