"""What a model or an endpoint may read, each for one purpose.

A service takes whole feature views, so a feature that dbt adds to a mart is in training and in the
profile with no edit here.
"""

from feast import FeatureService
from feature_views import (
    item_attributes,
    item_availability,
    item_content,
    item_neighbours,
    item_popularity,
    item_statistics,
    item_vectors,
    user_activity,
    user_attributes,
    user_behaviour,
    user_brands,
    user_content,
    user_devices,
    user_history,
    user_interests,
    user_keywords,
    user_rhythm,
    user_sessions,
    user_value,
    user_vectors,
)
from on_demand_views import request_context

retrieval_v1 = FeatureService(
    name="retrieval_v1",
    features=[
        user_activity,
        user_attributes,
        user_content,
        user_history,
        user_interests,
        item_attributes,
        item_content,
        item_popularity,
    ],
    description="What the two-tower model trains on and is asked with.",
    tags={"purpose": "recommendation"},
)

behaviour_v1 = FeatureService(
    name="behaviour_v1",
    features=[
        user_activity,
        user_behaviour,
        user_devices,
        user_rhythm,
        user_sessions,
        user_value,
    ],
    description="What vectors, anomaly scores and segments of people are made of.",
    tags={"purpose": "profile"},
)

profile_v1 = FeatureService(
    name="profile_v1",
    features=[
        user_activity,
        user_attributes,
        user_behaviour,
        user_brands,
        user_devices,
        user_history,
        user_interests,
        user_keywords,
        user_rhythm,
        user_sessions,
        user_value,
    ],
    description="What the served profile of a person shows.",
    tags={"purpose": "profile"},
)

items_v1 = FeatureService(
    name="items_v1",
    features=[
        item_attributes,
        item_availability,
        item_neighbours,
        item_popularity,
        item_statistics,
    ],
    description="What is shown beside an item: title, categories, popularity, when it can be had.",
    tags={"purpose": "profile"},
)

content_v1 = FeatureService(
    name="content_v1",
    features=[user_content, item_content],
    description="What texts mean: candidates that are near to what somebody reads and writes.",
    tags={"purpose": "recommendation"},
)

context_v1 = FeatureService(
    name="context_v1",
    features=[request_context],
    description="What a model can ask of the moment of asking; whoever asks gives `asked_at`.",
    tags={"purpose": "recommendation"},
)

vectors_v1 = FeatureService(
    name="vectors_v1",
    features=[user_vectors, item_vectors],
    description="People and items as the current model places them: who and what is alike.",
    tags={"purpose": "recommendation"},
)

# A label is a feature, asked for later: training/labels.py.
outcomes_v1 = FeatureService(
    name="outcomes_v1",
    features=[user_activity, user_behaviour],
    description="What heads of the model foretell: whether somebody comes back, what they spend.",
    tags={"purpose": "recommendation"},
)
