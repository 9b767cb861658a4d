"""Feature views, one for each mart that dbt declares as one.

Generated from the dbt manifest by `make generate`. Do not edit: change the mart and its YAML.
"""

from datetime import timedelta

from entities import item, user
from feast import FeatureView, Field
from feast.types import Array, Float32, Float64, Int32, Int64, String, UnixTimestamp

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
            name="brand",
            dtype=String,
            description="Who makes it; null when no catalogue says so.",
            tags={"class": "aggregate"},
        ),
        Field(
            name="categories",
            dtype=Array(String),
            description="Categories, empty when unknown.",
            tags={"class": "aggregate", "default": "[]", "vocabulary": "category"},
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
    tags={"block": "attributes", "purposes": "profile, recommendation"},
)

item_availability = FeatureView(
    name="item_availability",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="available_from",
            dtype=UnixTimestamp,
            description="From when on it can be had; null is ever since.",
            tags={"class": "aggregate", "unit": "seconds"},
        ),
        Field(
            name="available_until",
            dtype=UnixTimestamp,
            description="Until before when it can be had; null is without end.",
            tags={"class": "aggregate", "unit": "seconds"},
        ),
    ],
    source=DuckDBSource(
        name="item_availability",
        table="item_availability",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item of which a catalogue says when it can be had, true since the log began. What recommendations leave out before and after.",
    owner="analytics",
    tags={"block": "availability", "purposes": "profile, recommendation"},
)

item_content = FeatureView(
    name="item_content",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="content_vector",
            dtype=Array(Float32),
            description="Vector of the item's title, categories and description, 128 long (profilestore/text_embedding.py).",
            vector_index=True,
            vector_search_metric="cosine",
            tags={"class": "aggregate", "vector": "128", "vector_index": "cosine"},
        ),
    ],
    source=DuckDBSource(
        name="item_content",
        table="item_content",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item that has a title, categories or a description, true since the log began: catalogues that carry no dates are taken to have stood since then. What its text means, as a vector.",
    owner="analytics",
    tags={"block": "content", "purposes": "profile, recommendation"},
)

item_keywords = FeatureView(
    name="item_keywords",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="keywords",
            dtype=Array(String),
            description="Words that set the item apart, the most telling first; empty when there are none.",
            tags={"class": "aggregate", "default": "[]"},
        ),
        Field(
            name="scores",
            dtype=Array(Float64),
            description="BM25 weight of each.",
            tags={"class": "aggregate", "default": "[]"},
        ),
    ],
    source=DuckDBSource(
        name="item_keywords",
        table="item_keywords",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item, true since the log began, as item_attributes. The words of its title that set it apart, by BM25, ten at most; the lists run in parallel.",
    owner="analytics",
    tags={"block": "keywords", "purposes": "profile, recommendation"},
)

item_neighbours = FeatureView(
    name="item_neighbours",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="sessions_n",
            dtype=Int64,
            description="Sessions that the item was in.",
            tags={"class": "aggregate", "default": "0", "unit": "sessions"},
        ),
        Field(
            name="neighbour_ids",
            dtype=Array(String),
            description="Items that were in the same sessions, nearest first.",
            tags={"class": "aggregate", "default": "[]", "vocabulary": "item_id"},
        ),
        Field(
            name="cosines",
            dtype=Array(Float64),
            description="Sessions with both over the root of the product of the sessions with each.",
            tags={"class": "aggregate", "default": "[]", "unit": "fraction", "weights_of": "neighbour_ids"},
        ),
        Field(
            name="session_counts",
            dtype=Array(Int64),
            description="Sessions with both.",
            tags={"class": "aggregate", "default": "[]", "unit": "sessions"},
        ),
    ],
    source=DuckDBSource(
        name="item_neighbours",
        table="item_neighbours",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item that has neighbours, true since the last instant of the log: it is made anew by every build and has no past, so that no training row sees it. What is turned to in the same sessions, by cosine, twenty at most; the lists run in parallel.",
    owner="analytics",
    tags={"block": "neighbours", "purposes": "profile, recommendation"},
)

item_popularity = FeatureView(
    name="item_popularity",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="events_1h",
            dtype=Int64,
            description="Events on the item in the last hour, as it was at the full hour.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_1d",
            dtype=Int64,
            description="Events on the item in the last day.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_7d",
            dtype=Int64,
            description="Events on the item in the last 7 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_30d",
            dtype=Int64,
            description="Events on the item in the last 30 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_90d",
            dtype=Int64,
            description="Events on the item in the last 90 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_365d",
            dtype=Int64,
            description="Events on the item in the last 365 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_lifetime",
            dtype=Int64,
            description="Events on the item so far.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
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
    description="One row per item and full hour (UTC) at which a value changes: when an event enters a window, at the full hour at or after the instant at which it has happened and is known, and when it leaves (the variable window_grains). How much an item is turned to.",
    owner="analytics",
    tags={"block": "popularity", "purposes": "profile, recommendation"},
)

item_statistics = FeatureView(
    name="item_statistics",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="views_1d",
            dtype=Int64,
            description="Views and clicks of it in the last day.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="views_7d",
            dtype=Int64,
            description="Views and clicks of it in the last 7 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="views_30d",
            dtype=Int64,
            description="Views and clicks of it in the last 30 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="views_90d",
            dtype=Int64,
            description="Views and clicks of it in the last 90 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_1d",
            dtype=Int64,
            description="Times it was put in a cart in the last day.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_7d",
            dtype=Int64,
            description="Times it was put in a cart in the last 7 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_30d",
            dtype=Int64,
            description="Times it was put in a cart in the last 30 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_90d",
            dtype=Int64,
            description="Times it was put in a cart in the last 90 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_1d",
            dtype=Int64,
            description="Purchases of it in the last day.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_7d",
            dtype=Int64,
            description="Purchases of it in the last 7 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_30d",
            dtype=Int64,
            description="Purchases of it in the last 30 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_90d",
            dtype=Int64,
            description="Purchases of it in the last 90 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_1d",
            dtype=Int64,
            description="Ratings, likes, comments and the like of it, in the last day.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_7d",
            dtype=Int64,
            description="Ratings, likes, comments and the like of it, in the last 7 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_30d",
            dtype=Int64,
            description="Ratings, likes, comments and the like of it, in the last 30 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_90d",
            dtype=Int64,
            description="Ratings, likes, comments and the like of it, in the last 90 days.",
            tags={"class": "aggregate", "default": "0", "unit": "events"},
        ),
        Field(
            name="people_7d",
            dtype=Int64,
            description="Different people who turned to it in the last 7 days.",
            tags={"class": "aggregate", "default": "0", "unit": "people"},
        ),
        Field(
            name="people_30d",
            dtype=Int64,
            description="Different people who turned to it in the last 30 days.",
            tags={"class": "aggregate", "default": "0", "unit": "people"},
        ),
        Field(
            name="people_90d",
            dtype=Int64,
            description="Different people who turned to it in the last 90 days.",
            tags={"class": "aggregate", "default": "0", "unit": "people"},
        ),
        Field(
            name="buyers_7d",
            dtype=Int64,
            description="Different people who bought it in the last 7 days.",
            tags={"class": "aggregate", "default": "0", "unit": "people"},
        ),
        Field(
            name="buyers_30d",
            dtype=Int64,
            description="Different people who bought it in the last 30 days.",
            tags={"class": "aggregate", "default": "0", "unit": "people"},
        ),
        Field(
            name="buyers_90d",
            dtype=Int64,
            description="Different people who bought it in the last 90 days.",
            tags={"class": "aggregate", "default": "0", "unit": "people"},
        ),
        Field(
            name="cart_rate_30d",
            dtype=Float64,
            description="Times put in a cart in views of the last 30 days, with the prior of rate_prior_hits and rate_prior_misses.",
            tags={"class": "aggregate", "unit": "fraction"},
        ),
        Field(
            name="buy_rate_30d",
            dtype=Float64,
            description="Purchases in views of the last 30 days, with the prior.",
            tags={"class": "aggregate", "unit": "fraction"},
        ),
        Field(
            name="buyer_rate_30d",
            dtype=Float64,
            description="Share of its people of the last 30 days who bought it, with the prior.",
            tags={"class": "aggregate", "unit": "fraction"},
        ),
        Field(
            name="trend_7d",
            dtype=Float64,
            description="Logarithm of the daily rate of events in the last 7 days over that of the last 30; 0 is even.",
            tags={"class": "aggregate", "default": "0"},
        ),
        Field(
            name="price_mean_lifetime",
            dtype=Float64,
            description="Mean of what was paid for it at once; null before anybody has paid.",
            tags={"class": "aggregate", "unit": "money"},
        ),
        Field(
            name="price_band",
            dtype=Int32,
            description="Quarter of all items that were bought before the day in which this mean lies, to 2 %; 1 is the cheapest; null without one.",
            tags={"class": "aggregate"},
        ),
    ],
    source=DuckDBSource(
        name="item_statistics",
        table="item_statistics",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item and full hour (UTC) at which a value changes: an event counts from the full hour at or after the instant at which it has happened and is known, and leaves a window at the first full hour or midnight after (the variable window_grains). What happens to an item, by kind, and who it is for.",
    owner="analytics",
    tags={"block": "statistics", "purposes": "profile, recommendation"},
)

item_vectors = FeatureView(
    name="item_vectors",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(
            name="vector",
            dtype=Array(Float32),
            description="Candidate vector, as long as the model's config says.",
            vector_index=True,
            vector_search_metric="cosine",
            tags={"class": "aggregate", "vector_index": "cosine"},
        ),
        Field(
            name="model",
            dtype=String,
            description="Version of the bundle.",
            tags={"class": "aggregate"},
        ),
    ],
    source=DuckDBSource(
        name="item_vectors",
        table="item_vectors",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per item and trained model, true from when the model was exported. What the candidate tower makes of the item as it was then; vectors of one model compare with each other and with its people (user_vectors), by their inner product, and with those of no other model.",
    owner="analytics",
    tags={"block": "vector", "purposes": "profile, recommendation"},
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
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_7d",
            dtype=Int64,
            description="Events in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_30d",
            dtype=Int64,
            description="Events in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_90d",
            dtype=Int64,
            description="Events in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="events_lifetime",
            dtype=Int64,
            description="Events so far.",
            tags={"class": "behaviour", "default": "0", "live": "count", "unit": "events"},
        ),
        Field(
            name="visits_lifetime",
            dtype=Int64,
            description="Visits so far; an event begins one if nothing was known to have happened in the session_gap_minutes before it.",
            tags={"class": "behaviour", "default": "0", "live": "visits 30 last_event_at", "unit": "visits"},
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
            tags={"class": "behaviour", "live": "first", "unit": "seconds"},
        ),
        Field(
            name="last_event_at",
            dtype=UnixTimestamp,
            description="Latest event of the person; its age is the recency.",
            tags={"class": "behaviour", "live": "last", "unit": "seconds"},
        ),
    ],
    source=DuckDBSource(
        name="user_activity",
        table="user_activity",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which a value changes: when an event enters a window, which is when it has happened and is known, and when it leaves (the variable window_grains: up to an hour later, or a day). How much a person does.",
    owner="analytics",
    tags={"block": "activity", "purposes": "profile, recommendation"},
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
    tags={"block": "attributes", "purposes": "profile, recommendation"},
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
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="views_1d",
            dtype=Int64,
            description="Views and clicks in the last day.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="views_7d",
            dtype=Int64,
            description="Views and clicks in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="views_30d",
            dtype=Int64,
            description="Views and clicks in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="views_90d",
            dtype=Int64,
            description="Views and clicks in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="searches_1h",
            dtype=Int64,
            description="Searches in the last hour.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="searches_1d",
            dtype=Int64,
            description="Searches in the last day.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="searches_7d",
            dtype=Int64,
            description="Searches in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="searches_30d",
            dtype=Int64,
            description="Searches in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="searches_90d",
            dtype=Int64,
            description="Searches in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_1h",
            dtype=Int64,
            description="Things put in the cart in the last hour.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_1d",
            dtype=Int64,
            description="Things put in the cart in the last day.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_7d",
            dtype=Int64,
            description="Things put in the cart in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_30d",
            dtype=Int64,
            description="Things put in the cart in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="carts_90d",
            dtype=Int64,
            description="Things put in the cart in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_1h",
            dtype=Int64,
            description="Purchases in the last hour.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_1d",
            dtype=Int64,
            description="Purchases in the last day.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_7d",
            dtype=Int64,
            description="Purchases in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_30d",
            dtype=Int64,
            description="Purchases in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="buys_90d",
            dtype=Int64,
            description="Purchases in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_1h",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last hour.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_1d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last day.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_7d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_30d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="engagements_90d",
            dtype=Int64,
            description="Ratings, likes, comments and what else says something about a thing, in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "events"},
        ),
        Field(
            name="spend_1d",
            dtype=Float64,
            description="Sum of what was paid in the last day.",
            tags={"class": "behaviour", "default": "0", "unit": "money"},
        ),
        Field(
            name="spend_7d",
            dtype=Float64,
            description="Sum of what was paid in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "money"},
        ),
        Field(
            name="spend_30d",
            dtype=Float64,
            description="Sum of what was paid in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "money"},
        ),
        Field(
            name="spend_90d",
            dtype=Float64,
            description="Sum of what was paid in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "money"},
        ),
        Field(
            name="items_7d",
            dtype=Int64,
            description="Different items turned to in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "items"},
        ),
        Field(
            name="items_30d",
            dtype=Int64,
            description="Different items turned to in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "items"},
        ),
        Field(
            name="items_90d",
            dtype=Int64,
            description="Different items turned to in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "items"},
        ),
        Field(
            name="categories_7d",
            dtype=Int64,
            description="Different categories turned to in the last 7 days.",
            tags={"class": "behaviour", "default": "0", "unit": "categories"},
        ),
        Field(
            name="categories_30d",
            dtype=Int64,
            description="Different categories turned to in the last 30 days.",
            tags={"class": "behaviour", "default": "0", "unit": "categories"},
        ),
        Field(
            name="categories_90d",
            dtype=Int64,
            description="Different categories turned to in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "categories"},
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
            tags={"class": "behaviour", "default": "0"},
        ),
    ],
    source=DuckDBSource(
        name="user_behaviour",
        table="user_behaviour",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which a value changes: when an event enters a window, which is when it has happened and is known, and when it leaves. What a person does, by kind (var event_kinds). A longer window reaches back to the full hour or midnight before (the variable window_grains), which bounds the rows; the hour is exact.",
    owner="analytics",
    tags={"block": "behaviour", "purposes": "profile, recommendation"},
)

user_brands = FeatureView(
    name="user_brands",
    entities=[user],
    ttl=timedelta(days=1095, seconds=0),
    schema=[
        Field(
            name="brands",
            dtype=Array(String),
            description="Brands by decayed weight.",
            tags={"class": "behaviour", "default": "[]"},
        ),
        Field(
            name="shares",
            dtype=Array(Float64),
            description="Share of each in the person's decayed weight over all brands.",
            tags={"class": "behaviour", "default": "[]", "unit": "fraction"},
        ),
        Field(
            name="lifts",
            dtype=Array(Float64),
            description="How many times the share that each had among all people when the day began.",
            tags={"class": "behaviour", "default": "[]", "unit": "times"},
        ),
        Field(
            name="confidences",
            dtype=Array(Float64),
            description="Lower end of the 95 % Wilson interval of the share, by as many events of equal weight as say as much.",
            tags={"class": "behaviour", "default": "[]", "unit": "fraction"},
        ),
        Field(
            name="event_counts",
            dtype=Array(Int64),
            description="Events each rests on.",
            tags={"class": "behaviour", "default": "[]", "unit": "events"},
        ),
        Field(
            name="first_event_at_us",
            dtype=Array(Int64),
            description="When each was first touched.",
            tags={"class": "behaviour", "default": "[]", "unit": "microseconds since 1970"},
        ),
        Field(
            name="last_event_at_us",
            dtype=Array(Int64),
            description="When each was last touched.",
            tags={"class": "behaviour", "default": "[]", "unit": "microseconds since 1970"},
        ),
    ],
    source=DuckDBSource(
        name="user_brands",
        table="user_brands",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and end of a day on which something was learned of them (UTC; the variable content_grain). The brands of the items a person turns to, by exponentially decayed weight, heaviest first, ten at most; the lists run in parallel.",
    owner="analytics",
    tags={"block": "brands", "purposes": "profile, recommendation"},
)

user_content = FeatureView(
    name="user_content",
    entities=[user],
    ttl=timedelta(days=1095, seconds=0),
    schema=[
        Field(
            name="content_vector_mean",
            dtype=Array(Float32),
            description="Mean of the vectors of the items touched and the texts written, 128 long.",
            tags={"class": "behaviour", "vector": "128"},
        ),
        Field(
            name="content_vector_recent",
            dtype=Array(Float32),
            description="The same, weighted by the decay of interests.",
            tags={"class": "behaviour", "vector": "128"},
        ),
    ],
    source=DuckDBSource(
        name="user_content",
        table="user_content",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and end of a day on which something was learned of them (UTC; the variable content_grain, because a row is a kilobyte). What the texts mean of all that a person touched and wrote, up to then.",
    owner="analytics",
    tags={"block": "content", "purposes": "profile, recommendation"},
)

user_devices = FeatureView(
    name="user_devices",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="mobile_share_30d",
            dtype=Float64,
            description="Share of phones among the events in the last 30 days that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="tablet_share_30d",
            dtype=Float64,
            description="Share of tablets among the events in the last 30 days that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="desktop_share_30d",
            dtype=Float64,
            description="Share of desktops and laptops among the events in the last 30 days that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="other_share_30d",
            dtype=Float64,
            description="Share of other devices, such as televisions, among the events in the last 30 days that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="mobile_share_lifetime",
            dtype=Float64,
            description="Share of phones among the events so far that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="tablet_share_lifetime",
            dtype=Float64,
            description="Share of tablets among the events so far that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="desktop_share_lifetime",
            dtype=Float64,
            description="Share of desktops and laptops among the events so far that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="other_share_lifetime",
            dtype=Float64,
            description="Share of other devices, such as televisions, among the events so far that say what they come from; null without any.",
            tags={"class": "behaviour", "unit": "fraction"},
        ),
        Field(
            name="devices_30d",
            dtype=Int64,
            description="Different devices in the last 30 days: apps by their device, browsers by their cookie.",
            tags={"class": "behaviour", "default": "0", "unit": "devices"},
        ),
        Field(
            name="devices_lifetime",
            dtype=Int64,
            description="Different devices so far: apps by their device, browsers by their cookie.",
            tags={"class": "behaviour", "default": "0", "unit": "devices"},
        ),
    ],
    source=DuckDBSource(
        name="user_devices",
        table="user_devices",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which a value changes; the window of 30 days reaches back to the midnight before (the variable window_grains). What a person is about on: the mix of kinds of device, and how many there are. A browser whose cookies are cleared counts as another.",
    owner="analytics",
    tags={"block": "devices", "purposes": "profile, recommendation"},
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
            tags={"class": "behaviour", "default": "[]", "live": "newest 50 item_id", "vocabulary": "item_id"},
        ),
        Field(
            name="event_types",
            dtype=Array(String),
            description="What happened to each.",
            tags={"along": "item_ids", "class": "behaviour", "default": "[]", "live": "newest 50 event_type", "vocabulary": "event_type"},
        ),
        Field(
            name="event_at_us",
            dtype=Array(Int64),
            description="When.",
            tags={"class": "behaviour", "default": "[]", "live": "newest 50 happened", "unit": "microseconds since 1970"},
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
    tags={"block": "history", "purposes": "profile, recommendation"},
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
            tags={"class": "behaviour", "default": "[]", "vocabulary": "category"},
        ),
        Field(
            name="shares",
            dtype=Array(Float64),
            description="Share of each in the person's decayed weight over all categories.",
            tags={"class": "behaviour", "default": "[]", "unit": "fraction", "weights_of": "categories"},
        ),
        Field(
            name="lifts",
            dtype=Array(Float64),
            description="How many times the share that each had among all people when the day began.",
            tags={"class": "behaviour", "default": "[]", "unit": "times"},
        ),
        Field(
            name="confidences",
            dtype=Array(Float64),
            description="Lower end of the 95 % Wilson interval of the share, by as many events of equal weight as say as much.",
            tags={"class": "behaviour", "default": "[]", "unit": "fraction"},
        ),
        Field(
            name="event_counts",
            dtype=Array(Int64),
            description="Events each rests on.",
            tags={"class": "behaviour", "default": "[]", "unit": "events"},
        ),
        Field(
            name="first_event_at_us",
            dtype=Array(Int64),
            description="When each was first touched.",
            tags={"class": "behaviour", "default": "[]", "unit": "microseconds since 1970"},
        ),
        Field(
            name="last_event_at_us",
            dtype=Array(Int64),
            description="When each was last touched.",
            tags={"class": "behaviour", "default": "[]", "unit": "microseconds since 1970"},
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
    tags={"block": "interests", "purposes": "profile, recommendation"},
)

user_keywords = FeatureView(
    name="user_keywords",
    entities=[user],
    ttl=timedelta(days=1095, seconds=0),
    schema=[
        Field(
            name="keywords",
            dtype=Array(String),
            description="Keywords by decayed weight.",
            tags={"class": "behaviour", "default": "[]"},
        ),
        Field(
            name="shares",
            dtype=Array(Float64),
            description="Share of each in the person's decayed weight over all keywords.",
            tags={"class": "behaviour", "default": "[]", "unit": "fraction"},
        ),
        Field(
            name="lifts",
            dtype=Array(Float64),
            description="How many times the share that each had among all people when the day began.",
            tags={"class": "behaviour", "default": "[]", "unit": "times"},
        ),
        Field(
            name="confidences",
            dtype=Array(Float64),
            description="Lower end of the 95 % Wilson interval of the share, by as many events of equal weight as say as much.",
            tags={"class": "behaviour", "default": "[]", "unit": "fraction"},
        ),
        Field(
            name="event_counts",
            dtype=Array(Int64),
            description="Events each rests on.",
            tags={"class": "behaviour", "default": "[]", "unit": "events"},
        ),
        Field(
            name="first_event_at_us",
            dtype=Array(Int64),
            description="When each was first touched.",
            tags={"class": "behaviour", "default": "[]", "unit": "microseconds since 1970"},
        ),
        Field(
            name="last_event_at_us",
            dtype=Array(Int64),
            description="When each was last touched.",
            tags={"class": "behaviour", "default": "[]", "unit": "microseconds since 1970"},
        ),
    ],
    source=DuckDBSource(
        name="user_keywords",
        table="user_keywords",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and end of a day on which something was learned of them (UTC; the variable content_grain). The keywords of the items a person turns to, by exponentially decayed weight, heaviest first, twenty at most; the lists run in parallel.",
    owner="analytics",
    tags={"block": "keywords", "purposes": "profile, recommendation"},
)

user_rhythm = FeatureView(
    name="user_rhythm",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="hours_90d",
            dtype=Array(Int64),
            description="Events by hour of the day (UTC), 0 to 23.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="weekdays_90d",
            dtype=Array(Int64),
            description="Events by day of the week, Monday first.",
            tags={"class": "behaviour", "unit": "events"},
        ),
        Field(
            name="hour_entropy_90d",
            dtype=Float64,
            description="Entropy of the hours: 0 is always at one hour, log2 24 at any; null without events.",
            tags={"class": "behaviour", "unit": "bits"},
        ),
        Field(
            name="category_entropy_90d",
            dtype=Float64,
            description="Entropy of the categories that the events were about; null without any.",
            tags={"class": "behaviour", "unit": "bits"},
        ),
        Field(
            name="active_days_30d",
            dtype=Int64,
            description="Days with an event among the last 30 whole days.",
            tags={"class": "behaviour", "default": "0", "unit": "days"},
        ),
        Field(
            name="active_days_90d",
            dtype=Int64,
            description="Days with an event among the last 90 whole days.",
            tags={"class": "behaviour", "default": "0", "unit": "days"},
        ),
        Field(
            name="streak_days",
            dtype=Int64,
            description="Days in a row with an event, up to yesterday, each known when it ended.",
            tags={"class": "behaviour", "default": "0", "unit": "days"},
        ),
        Field(
            name="streak_days_max_lifetime",
            dtype=Int64,
            description="The longest streak so far.",
            tags={"class": "behaviour", "default": "0", "unit": "days"},
        ),
    ],
    source=DuckDBSource(
        name="user_rhythm",
        table="user_rhythm",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and midnight (UTC) at which a value changes. When a person is about, over whole days up to the last midnight: an event counts from the end of its day, or from the first midnight at which it is known.",
    owner="analytics",
    tags={"block": "rhythm", "purposes": "profile, recommendation"},
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
            tags={"class": "behaviour", "default": "0", "unit": "sessions"},
        ),
        Field(
            name="sessions_30d",
            dtype=Int64,
            description="Sessions that ended in the last 30 days; a session is in a window by its last event.",
            tags={"class": "behaviour", "default": "0", "unit": "sessions"},
        ),
        Field(
            name="sessions_lifetime",
            dtype=Int64,
            description="Sessions that ended in all time so far; a session is in a window by its last event.",
            tags={"class": "behaviour", "default": "0", "unit": "sessions"},
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
    tags={"block": "sessions", "purposes": "profile, recommendation"},
)

user_value = FeatureView(
    name="user_value",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="last_purchase_at",
            dtype=UnixTimestamp,
            description="Latest purchase; its age is the recency.",
            tags={"class": "behaviour", "unit": "seconds"},
        ),
        Field(
            name="orders_30d",
            dtype=Int64,
            description="Orders in the last 30 days; what is bought at one instant is one.",
            tags={"class": "behaviour", "default": "0", "unit": "orders"},
        ),
        Field(
            name="orders_90d",
            dtype=Int64,
            description="Orders in the last 90 days; what is bought at one instant is one.",
            tags={"class": "behaviour", "default": "0", "unit": "orders"},
        ),
        Field(
            name="orders_365d",
            dtype=Int64,
            description="Orders in the last 365 days; what is bought at one instant is one.",
            tags={"class": "behaviour", "default": "0", "unit": "orders"},
        ),
        Field(
            name="order_value_sum_90d",
            dtype=Float64,
            description="What was paid in the last 90 days.",
            tags={"class": "behaviour", "default": "0", "unit": "money"},
        ),
        Field(
            name="order_value_sum_365d",
            dtype=Float64,
            description="What was paid in the last 365 days.",
            tags={"class": "behaviour", "default": "0", "unit": "money"},
        ),
        Field(
            name="order_value_mean_365d",
            dtype=Float64,
            description="Mean value of an order in the last 365 days; null without any.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="order_value_stddev_365d",
            dtype=Float64,
            description="Sample standard deviation of those values; null for fewer than two.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="order_value_quartile_1",
            dtype=Float64,
            description="First quartile of the values of the 20 orders that were learned last.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="order_value_median",
            dtype=Float64,
            description="Median of those values.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="order_value_quartile_3",
            dtype=Float64,
            description="Third quartile of those values.",
            tags={"class": "behaviour", "unit": "money"},
        ),
        Field(
            name="recency_score",
            dtype=Int32,
            description="Fifth of the population in which the person stands by the day of the last purchase, 5 the highest; null before there is one.",
            tags={"class": "behaviour"},
        ),
        Field(
            name="recency_percentile",
            dtype=Int32,
            description="How many of 100 of the population stand lower by the day of the last purchase.",
            tags={"class": "behaviour", "unit": "percent"},
        ),
        Field(
            name="frequency_score",
            dtype=Int32,
            description="Fifth of the population in which the person stands by orders in 365 days, 5 the highest; null before there is one.",
            tags={"class": "behaviour"},
        ),
        Field(
            name="frequency_percentile",
            dtype=Int32,
            description="How many of 100 of the population stand lower by orders in 365 days.",
            tags={"class": "behaviour", "unit": "percent"},
        ),
        Field(
            name="spend_score",
            dtype=Int32,
            description="Fifth of the population in which the person stands by what was paid in 365 days, to 2 %, 5 the highest; null before there is one.",
            tags={"class": "behaviour"},
        ),
        Field(
            name="spend_percentile",
            dtype=Int32,
            description="How many of 100 of the population stand lower by what was paid in 365 days, to 2 %.",
            tags={"class": "behaviour", "unit": "percent"},
        ),
    ],
    source=DuckDBSource(
        name="user_value",
        table="user_value",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per user and instant at which an order enters a window or leaves it. What a person is worth as a customer: recency, frequency and money, with the place of each in the population of the row's day (population_daily), which is what was known before that day began.",
    owner="analytics",
    tags={"block": "value", "purposes": "profile, recommendation"},
)

user_vectors = FeatureView(
    name="user_vectors",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(
            name="vector",
            dtype=Array(Float32),
            description="Query vector, as long as the model's config says.",
            vector_index=True,
            vector_search_metric="cosine",
            tags={"class": "behaviour", "vector_index": "cosine"},
        ),
        Field(
            name="model",
            dtype=String,
            description="Version of the bundle.",
            tags={"class": "aggregate"},
        ),
    ],
    source=DuckDBSource(
        name="user_vectors",
        table="user_vectors",
        timestamp_field="event_timestamp",
        created_timestamp_column="loaded_at",
    ),
    online=True,
    description="One row per person and trained model, true from when the model was exported. What the query tower makes of the person; vectors of one model compare with each other and with its items (item_vectors), by their inner product, and with those of no other model.",
    owner="analytics",
    tags={"block": "vector", "purposes": "profile, recommendation"},
)
