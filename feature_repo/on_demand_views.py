"""Features of the moment at which somebody asks: no row of a mart can hold them.

Whoever asks gives `asked_at`: a column of the spine offline, a value of each entity row online.
"""

from entities import user
from feast import Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, UnixTimestamp
from feature_views import user_activity


class DescribedField(Field):
    """A feature of an on-demand view that has a description and tags.

    Feast 0.67 looks for each declared feature among those that it infers, and takes a description
    or a tag, which inferred ones never have, for another feature.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Field) and (self.name, self.dtype) == (other.name, other.dtype)

    __hash__ = Field.__hash__


request = RequestSource(
    name="request",
    schema=[
        Field(
            name="asked_at",
            dtype=UnixTimestamp,
            description="When the question is asked; UTC if it has no zone.",
            tags={"class": "behaviour", "unit": "seconds"},
        )
    ],
    description="What is known only when somebody asks.",
)


# Feast registers the text of this function and runs that, without this module's other names. It
# passes whole columns offline and online alike; as `singleton` it would work online only.
@on_demand_feature_view(
    entities=[user],
    sources=[user_activity[["last_event_at"]], request],
    schema=[
        DescribedField(
            name="last_event_age_hours",
            dtype=Float64,
            description=(
                "Time since the latest event of the person; null before the first, 0 when that "
                "is dated after the question."
            ),
            tags={"class": "behaviour", "unit": "hours"},
        ),
        DescribedField(
            name="hour_of_day",
            dtype=Int64,
            description="Hour in which it is asked (UTC), 0 to 23.",
            tags={"class": "behaviour", "unit": "hours"},
        ),
        DescribedField(
            name="day_of_week",
            dtype=Int64,
            description="Day on which it is asked (UTC), 0 to 6, Monday first.",
            tags={"class": "behaviour", "unit": "days"},
        ),
    ],
    mode="python",
    description="One row per question: the person as of the moment at which it is asked.",
    owner="analytics",
    tags={"block": "context", "purposes": "profile, recommendation"},
)
def request_context(inputs: dict[str, list]) -> dict[str, list]:
    from datetime import UTC

    def whole_seconds(instant):
        # As Feast's message online has it, so that offline is no microsecond nearer.
        if instant is None:
            return None
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return zoned.astimezone(UTC).replace(microsecond=0)

    asked = [whole_seconds(instant) for instant in inputs["asked_at"]]
    latest = [whole_seconds(instant) for instant in inputs["last_event_at"]]
    return {
        "last_event_age_hours": [
            max((now - then).total_seconds(), 0.0) / 3600 if now and then else None
            for now, then in zip(asked, latest, strict=True)
        ],
        "hour_of_day": [now and now.hour for now in asked],
        "day_of_week": [now and now.weekday() for now in asked],
    }


# What a service takes of the view is compared with the view as it is read back, of which Feast 0.67
# reads neither descriptions nor tags: those stay with the view.
request_context.projection.features = [
    Field(name=field.name, dtype=field.dtype) for field in request_context.features
]
