"""The documents that are served. Their JSON Schema is at `/openapi.json`, and read at `/docs`.

A number carries its unit in its name or beside it; an instant is UTC in ISO 8601; a decimal is a
string, so that no digit is lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)
from pydantic.json_schema import SkipJsonSchema

from serving.audiences.rules import Rule, leaves

SCHEMA_VERSION = "1.0"
PROFILE_SCHEMA_VERSION = "2.0"

State = Literal["fresh", "stale", "missing", "withheld"]
Method = Literal["two_tower", "popular"]
FoundBy = Literal["collaborative", "content", "popular"]

_PSEUDONYM = "u-5f0d1c0a6c1e4d7b9a2f3e8b7c6d5e4f"


Pseudonym = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._~-]+$")]


class Document(BaseModel):
    """A part of what is served: fixed once made, and nothing in it that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ViewSource(Document):
    """A block that is read from a feature view."""

    view: str | None = Field(
        description="Feature view; null for a block made from all of the service, or from none.",
        examples=["user_activity"],
    )
    feature_service: str = Field(
        description="Feature service that lets it be read.", examples=["profile_v1"]
    )


class ModelSource(Document):
    """A block that a model computed."""

    model: str = Field(description="Version of the bundle.", examples=["20260301T101500-4f2a91c"])
    feature_service: str = Field(
        description="Feature service that the model reads.", examples=["retrieval_v1"]
    )


class Block(Document):
    """What every block says of itself."""

    state: State = Field(
        description="`fresh`; `stale`: past the view's time to live, so values are withheld; "
        "`missing`: there is nothing; `withheld`: it may not be told for the purpose that was "
        "named. `reason` says why it is not fresh."
    )
    as_of: datetime | None = Field(
        description="When the values became true; null when there are none."
    )
    source: ViewSource | ModelSource
    reason: str | None = Field(None, description="Why it is stale, missing or withheld.")


class FieldValue(Document):
    """One feature: its value and what its dbt column says of it."""

    value: Any = Field(description="Null when unknown or withheld.", examples=[12])
    unit: str | None = Field(description="Unit of the value.", examples=["events"])
    description: str | None = Field(
        description="What it means.", examples=["Events in the last 7 days."]
    )


class FieldsBlock(Block):
    """A block with one field for each feature of its view that has no place of its own."""

    fields: dict[str, FieldValue] = Field(default_factory=dict)


class IdentityBlock(Block):
    """Who this is, without saying who this is."""

    user_id: str = Field(description="Pseudonym.", examples=[_PSEUDONYM])
    last_seen_at: datetime | None = Field(description="Latest event of the person.")


class InterestTag(Document):
    """A category that the person turns to."""

    category: str = Field(examples=["Drama"])
    score: float | None = Field(
        description="Share in the person's decayed weight over all categories, 0 to 1.",
        examples=[0.31],
    )
    lift: float | None = Field(
        None,
        description="How many times the share that it has among all people.",
        examples=[2.4],
    )
    confidence: float | None = Field(
        None,
        description="Lower end of the 95 % interval of the score: near it where the evidence is "
        "much and recent.",
        examples=[0.22],
    )
    event_count: int | None = Field(description="Events it rests on.", examples=[42])
    first_seen_at: datetime | None = Field(None, description="Earliest event on the category.")
    last_seen_at: datetime | None = Field(description="Latest event on the category.")


class InterestsBlock(FieldsBlock):
    """Interest tags, strongest first."""

    tags: list[InterestTag]


class HistoryItem(Document):
    """One event of the person."""

    item_id: str = Field(examples=["318"])
    title: str | None = Field(examples=["The Shawshank Redemption"])
    categories: list[str] = Field(examples=[["Crime", "Drama"]])
    event_type: str | None = Field(examples=["rating"])
    at: datetime | None


class HistoryBlock(FieldsBlock):
    """Recent items, newest first."""

    items: list[HistoryItem]


class ItemDocument(Document):
    """An item for people to read."""

    item_id: str = Field(examples=["318"])
    title: str | None = Field(examples=["The Shawshank Redemption"])
    categories: list[str] = Field(examples=[["Crime", "Drama"]])


class Recommendation(Document):
    """An item for the person."""

    item_id: str = Field(examples=["318"])
    title: str | None = Field(examples=["The Shawshank Redemption"])
    categories: list[str] = Field(examples=[["Crime", "Drama"]])
    score: float | None = Field(
        description="`two_tower`: inner product of query and item vector, to be compared within "
        "one answer only; null for an item that came after the model was trained. `popular`: "
        "events on the item in the last 90 days.",
        examples=[4.27],
    )
    found_by: list[FoundBy] = Field(
        description="What proposed it. `collaborative`: the towers, which learn from what people "
        "do. `content`: its text is near to what the person read and wrote of late. `popular`: "
        "most people turn to it.",
        examples=[["collaborative", "content"]],
    )
    near: ItemDocument | None = Field(
        description="Of what the person turned to of late, the item that the model places nearest "
        "to it; null where the model does not know both."
    )


class RecommendationsBlock(Block):
    """Items for the person in the order in which they are to be shown, which is not that of their
    scores alone; without the recent items of the history, unless people of this log turn to one
    item again and again."""

    method: Method | None = Field(
        description="`two_tower`: the model, on what is known of the person. `popular`: what most "
        "people turn to, for somebody who is not known. Null when there are none."
    )
    items: list[Recommendation]


class PreferredItem(Document):
    """An item that the person turned to, most often and then latest first."""

    item_id: str = Field(examples=["318"])
    title: str | None = Field(examples=["The Shawshank Redemption"])
    categories: list[str] = Field(examples=[["Crime", "Drama"]])
    event_count: int = Field(description="Events on it among the recent ones.", examples=[3])
    last_seen_at: datetime | None = Field(description="Latest of them.")


class PreferredItems(Block):
    """Items."""

    values: list[PreferredItem]


class PreferredName(Document):
    """A category or a brand."""

    name: str = Field(examples=["Drama"])
    share: float | None = Field(
        description="In the person's decayed weight, 0 to 1.", examples=[0.31]
    )
    lift: float | None = Field(
        description="How many times the share among all people.", examples=[2.4]
    )
    confidence: float | None = Field(
        description="Lower end of the 95 % interval of the share: what it is at least.",
        examples=[0.22],
    )
    event_count: int | None = Field(description="Events it rests on.", examples=[42])
    last_seen_at: datetime | None = Field(description="Latest of them.")


class PreferredNames(Block):
    """Categories or brands, those first whose share is surely large."""

    values: list[PreferredName]


class PriceBand(Block):
    """What the person's orders cost: the middle half of the latest ones."""

    low: float | None = Field(description="A quarter of the orders cost less.", examples=[18.0])
    median: float | None = Field(description="Half of them do.", examples=[24.5])
    high: float | None = Field(description="Three quarters do.", examples=[40.0])
    unit: str | None = Field(examples=["money"])
    event_count: int | None = Field(description="Orders in the last 365 days.", examples=[7])


class PreferredHour(Document):
    """An hour of the day."""

    hour: int = Field(description="UTC, 0 to 23.", examples=[20])
    share: float = Field(description="Of the events of the last 90 days.", examples=[0.25])
    event_count: int = Field(description="Events in that hour.", examples=[12])


class PreferredHours(Block):
    """Hours, those with most events first."""

    values: list[PreferredHour]


class PreferencesBlock(Block):
    """What the person prefers: a list of each kind, each with its own source and age."""

    items: PreferredItems
    categories: PreferredNames
    brands: PreferredNames
    price_band: PriceBand
    hours: PreferredHours


class RfmSegment(Block):
    """Class by recency, frequency and money of purchases, and the rule that makes it so."""

    name: str | None = Field(description="Null without a purchase.", examples=["champion"])
    rule: str | None = Field(
        description="What puts somebody into the class, in words.",
        examples=["Bought lately, often and for much: each in the upper two fifths of all."],
    )
    recency_score: int | None = Field(description="Fifth of the population, 5 is latest.")
    frequency_score: int | None = Field(description="Fifth of the population, 5 is most often.")
    spend_score: int | None = Field(description="Fifth of the population, 5 is most.")


class SegmentDifference(Document):
    """What sets the people of a segment apart."""

    text: str = Field(examples=["Events so far: 1.2 standard deviations above everybody's mean"])
    column: str = Field(examples=["user_activity__events_lifetime"])
    by: float = Field(
        description="Difference of the means in standard deviations of everybody; or of the shares "
        "of people of whom it is known.",
        examples=[1.2],
    )


class BehaviouralSegment(Block):
    """The cluster whose centre is nearest to what the person does, and that centre in words."""

    name: str | None
    share: float | None = Field(
        description="Of all people when the segments were made.", examples=[0.34]
    )
    centre: list[SegmentDifference]


class Oddness(Block):
    """How unlike others the person's behaviour is as a whole."""

    percentile: float | None = Field(
        description="Per cent of the training window's rows that are less odd.", examples=[63.5]
    )


class SegmentsBlock(Block):
    """Groups that the person is in."""

    rfm: RfmSegment
    behaviour: BehaviouralSegment
    oddness: Oddness


class ScoreCalibration(Document):
    """How far a score is to be believed."""

    method: str = Field(
        description="How the model's output became the value.",
        examples=["logistic, fitted on the validation window"],
    )
    slope: float = Field(description="What the logit, or the amount, is multiplied by.")
    offset: float = Field(description="What is added to the logit.")
    reached: dict[str, float] = Field(
        description="Figures of the test window, after calibration.",
        examples=[{"auc": 0.71, "calibration_error": 0.03}],
    )


class Score(Document):
    """What the model foretells of a person."""

    kind: Literal["binary", "category", "amount"]
    meaning: str = Field(
        description="What the value is.",
        examples=["Probability that “Events in the last 7 days” will be above 0, 8 days from now."],
    )
    value: float | None = Field(
        description="A probability, 0 to 1, of `binary`; of `category`, of its most likely class; "
        "the expected amount of `amount`.",
        examples=[0.41],
    )
    category: str | None = Field(None, description="Most likely class of `category`.")
    unit: str | None = Field(None, examples=["fraction"])
    percentile: float | None = Field(
        description="How many of a hundred scores of people in the validation window are lower.",
        examples=[83.0],
    )
    head: str = Field(description="Head of the model.", examples=["returns_7d"])
    calibration: ScoreCalibration


class ScoresBlock(Block):
    """What the model foretells, by name: one score for each of its heads; `churn_...` is what
    `returns_...` leaves."""

    scores: dict[str, Score]


class EmbeddingBlock(Block):
    """The person as the model places them: near what they turn to, and near people like them."""

    vector: list[float] = Field(
        description="Query vector; its inner product with an item's vector is that item's score. "
        "Vectors of two models do not compare.",
    )
    dimension: int = Field(description="Length of the vector; 0 without one.", examples=[128])


class ClockNote(Document):
    """How far the times of the log are moved."""

    shift_seconds: int = Field(description="Added to each time of the log.", examples=[318124800])
    since: datetime = Field(description="When the shift was chosen.")
    why: str
    log_first_event_at: datetime = Field(description="First event, on the log's own clock.")
    log_last_event_at: datetime = Field(description="Last event, on the log's own clock.")


# A block that is not in a document which was not asked for it.
Absent = SkipJsonSchema[None]
# Blocks that are only in a document which is asked for them by name.
ON_REQUEST = frozenset({"embedding"})


class ProfileDocument(Document):
    """What is served about a person: the blocks that were asked for.

    A feature view that dbt adds to the service `profile_v1` is one more block, under the name that
    its tag `block` gives it.
    """

    model_config = ConfigDict(extra="allow")

    schema_version: Literal["2.0"] = PROFILE_SCHEMA_VERSION
    asked_at: datetime
    as_of: datetime | None = Field(
        None,
        description="The earlier instant that was asked for: what was known then. Null for now.",
    )
    purpose: str | None = Field(
        None,
        description="What it was asked for; null where nothing was said.",
        examples=["profile"],
    )
    clock: ClockNote | None = Field(
        description="Null when the service runs without the raw log beside it."
    )
    identity: IdentityBlock
    attributes: FieldsBlock | Absent = None
    activity: FieldsBlock | Absent = None
    interests: InterestsBlock | Absent = None
    history: HistoryBlock | Absent = None
    preferences: PreferencesBlock | Absent = None
    segments: SegmentsBlock | Absent = None
    scores: ScoresBlock | Absent = None
    recommendations: RecommendationsBlock | Absent = None
    embedding: EmbeddingBlock | Absent = None

    __pydantic_extra__: dict[str, FieldsBlock] = Field(init=False)

    @classmethod
    def blocks(cls) -> list[str]:
        """Names of the blocks that this version has a place for."""
        about = {"schema_version", "asked_at", "as_of", "purpose", "clock"}
        return [name for name in cls.model_fields if name not in about]

    @property
    def more(self) -> dict[str, FieldsBlock]:
        """Blocks of views that this version has no place for."""
        return self.__pydantic_extra__

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # Without a return type, so that the schema is that of the fields.
        told = serialize(self)
        for name in self.blocks():
            if told.get(name, self) is None:
                del told[name]
        return told


class AskProfiles(Document):
    """Whose profiles are asked for, and what of them."""

    user_ids: list[Pseudonym] = Field(min_length=1, max_length=100, examples=[[_PSEUDONYM]])
    fields: str | None = Field(
        None,
        max_length=1000,
        description="Names of blocks with commas between; by default all but those on request.",
        examples=["activity,interests"],
    )
    purpose: str | None = Field(None, max_length=64, description="What they are asked for.")


class ProfilesDocument(Document):
    """Profiles of several people."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    profiles: list[ProfileDocument] = Field(description="In the order asked for, each person once.")
    unknown: list[str] = Field(description="Those of whom nothing is known.")


class RecommendationsDocument(Document):
    """Recommendations alone."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    user_id: str = Field(examples=[_PSEUDONYM])
    recommendations: RecommendationsBlock


class Contribution(Document):
    """Something that is known of a person, and what it does for an item."""

    points: float = Field(
        description="How much it raises the lead: its Shapley value.", examples=[0.41]
    )
    standard_error: float = Field(
        description="Of `points`, which are averages over orders that are drawn.", examples=[0.02]
    )
    text: str = Field(description="In words.", examples=["turned to The Shawshank Redemption"])
    view: str = Field(description="Feature view, and dbt mart.", examples=["user_history"])
    feature: str = Field(description="Column of it.", examples=["item_ids"])
    description: str | None = Field(description="What dbt says of the column.")
    as_of: datetime | None = Field(description="When its value became true.")
    item: ItemDocument | None = Field(description="Of the history; null for a feature.")


class WhyDocument(Document):
    """Why an item has its score for a person.

    The points of all contributions add up to `lead` less `lead_of_nobody`.
    """

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    user_id: str = Field(examples=[_PSEUDONYM])
    item: ItemDocument
    source: ModelSource
    score: float = Field(description="As in the recommendations.", examples=[4.27])
    lead: float = Field(
        description="The score less the mean score of all items: what lifts all items alike is no "
        "reason for one.",
        examples=[2.1],
    )
    lead_of_nobody: float = Field(
        description="What it would be for somebody of whom nothing is known.", examples=[0.9]
    )
    contributions: list[Contribution] = Field(description="Those that move it most, first.")


class ScoreWhyDocument(Document):
    """Why a person has a score.

    The points of all contributions add up to `on_scale` less `on_scale_of_nobody`.
    """

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    user_id: str = Field(examples=[_PSEUDONYM])
    score: str = Field(examples=["churn_7d"])
    source: ModelSource
    value: float = Field(description="As in the profile.", examples=[0.41])
    scale: Literal["log-odds", "amount"] = Field(
        description="On which points add up: the log-odds of a probability, or the amount itself."
    )
    on_scale: float = Field(examples=[-0.36])
    on_scale_of_nobody: float = Field(
        description="What it would be for somebody of whom nothing is known.", examples=[0.2]
    )
    contributions: list[Contribution] = Field(description="Those that move it most, first.")


class TagWhyDocument(Document):
    """The events behind a person's interest."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    user_id: str = Field(examples=[_PSEUDONYM])
    tag: InterestTag
    source: ViewSource | ModelSource
    meaning: str | None = Field(description="What dbt says of the score.")
    events: list[HistoryItem] = Field(
        description="Those of `tag.event_count` that the history still has, newest first."
    )


class SimilarUser(Document):
    """Somebody who is like somebody."""

    user_id: str = Field(examples=[_PSEUDONYM])
    similarity: float = Field(description="Cosine of the two vectors, -1 to 1.", examples=[0.93])


class SimilarUsersDocument(Document):
    """People who are like somebody, the most alike first."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    user_id: str = Field(examples=[_PSEUDONYM])
    source: ModelSource
    users: list[SimilarUser]


class SimilarItem(Document):
    """Something that is like something."""

    item: ItemDocument
    similarity: float = Field(description="Cosine of the two vectors, -1 to 1.", examples=[0.93])


class SimilarItemsDocument(Document):
    """Items that are like one, the most alike first."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    item_id: str = Field(examples=["318"])
    source: ModelSource
    items: list[SimilarItem]


class LikeUser(Document):
    """Whom others shall be like."""

    user_id: str = Field(
        min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._~-]+$", examples=[_PSEUDONYM]
    )
    k: int = Field(10, ge=1, le=100, description="How many.")


class LikeItem(Document):
    """What others shall be like."""

    item_id: str = Field(min_length=1, max_length=256, examples=["318"])
    k: int = Field(10, ge=1, le=100, description="How many.")


class AskAudience(Document):
    """Who is asked for."""

    rule: Rule = Field(
        description="A rule, or rules within `all`, `any` and `not`.",
        examples=[{"all": [{"tag": "Drama"}, {"score": "churn_7d", "at_most": 0.5}]}],
    )
    limit: int = Field(100, ge=1, le=1000, description="How many at most.")
    after: str | None = Field(None, max_length=160, description="`next` of the page before.")

    @field_validator("rule")
    @classmethod
    def _is_bounded(cls, rule: Rule) -> Rule:
        leaves(rule)
        return rule


class AudienceDocument(Document):
    """Everybody who matches a rule."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    asked_at: datetime
    built_at: datetime | None = Field(
        description="The build whose features these are: what was told since is not among them."
    )
    source: ViewSource
    total: int = Field(description="People who match.", examples=[42])
    among: int = Field(description="People of whom anything is known.", examples=[671])
    users: list[str] = Field(description="Their pseudonyms, in order.", examples=[[_PSEUDONYM]])
    next: str | None = Field(description="`after` of the page that follows; null on the last.")


class TagDocument(Document):
    """A tag: what it means, where it is from and how many people have it."""

    tag: str = Field(examples=["Drama"])
    kind: str = Field(description="Column of the mart.", examples=["categories"])
    definition: str = Field(examples=["“Drama” is among the categories of whoever has the tag."])
    source: ViewSource
    holders: int | None = Field(
        description="People who have it now; null for fewer than 5.", examples=[312]
    )
    holders_text: str = Field(examples=["312", "fewer than 5"])


class TagsDocument(Document):
    """A page of the dictionary of tags, those with most holders first within each kind."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    materialized_at: datetime
    kinds: dict[str, int] = Field(
        description="Tags of each kind.", examples=[{"categories": 19, "keywords": 1200}]
    )
    total: int = Field(description="Tags of the kind that was asked for.", examples=[1219])
    tags: list[TagDocument]
    next: int | None = Field(
        description="What to send as `after` for the next page; null on the last one."
    )


class ModelSummary(Document):
    """A model that was trained."""

    version: str = Field(examples=["20260301T101500Z"])
    created_at: datetime
    feature_service: str = Field(description="What it reads.", examples=["retrieval_v1"])
    encoder: str | None = Field(description="Of the history.", examples=["mean"])
    lake_snapshot: int | None = Field(description="Of the lake that it learned from.")
    is_current: bool = Field(description="Whether it serves.")
    ndcg_at_10: float | None = Field(
        description="In its test window; null where it was not measured.", examples=[0.049]
    )
    best_baseline: str | None = Field(examples=["EASE, last 3 items, penalty 1000"])
    best_baseline_ndcg_at_10: float | None = Field(examples=[0.044])


class ModelsDocument(Document):
    """All models that were trained here, the latest first."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    current: str | None = Field(description="The one that serves.")
    models: list[ModelSummary]


class ChooseModel(Document):
    """The model that shall serve."""

    version: str = Field(min_length=1, max_length=128, examples=["20260301T101500Z"])


class PersonSeen(Document):
    """Somebody who can be asked for."""

    user_id: str = Field(examples=[_PSEUDONYM])
    last_seen_at: datetime
    events: int = Field(description="Events so far.", examples=[117])


class PeopleDocument(Document):
    """A page of people, those seen last first, as of the latest materialisation."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    materialized_at: datetime
    total: int = Field(description="People in the online store.", examples=[671])
    users: list[PersonSeen]
    next: str | None = Field(
        description="What to send as `after` for the next page; null on the last one."
    )


class Alive(Document):
    """The process runs."""

    status: Literal["alive"] = "alive"


class Ready(Document):
    """Everything is loaded."""

    status: Literal["ready"] = "ready"
    model: str = Field(description="Version of the bundle.")
    feature_service: str = Field(description="What the bundle reads.")
    materialized_at: datetime
    users: int = Field(description="People in the online store.")


class FieldProblem(Document):
    """One thing that is wrong with a request."""

    where: str = Field(examples=["query.k"])
    detail: str = Field(examples=["Input should be less than or equal to 100"])


class MissingPart(Document):
    """Something that has to be built before this can be answered."""

    what: str = Field(examples=["online store"])
    reason: str
    run: str | None = Field(description="What builds it.", examples=["make materialize"])


class Problem(Document):
    """A problem document (RFC 9457), sent as `application/problem+json`."""

    type: str = Field(examples=["/docs#unknown-user"])
    title: str = Field(examples=["Unknown user"])
    status: int = Field(examples=[404])
    detail: str
    instance: str = Field(examples=["/v1/profiles/u-1"])
    errors: list[FieldProblem] | None = Field(None, description="On 422: what is wrong, where.")
    missing: list[MissingPart] | None = Field(None, description="On 503: what to build.")
