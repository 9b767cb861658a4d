"""The routes of profiles, recommendations, people and tags. They translate: a request into a call,
what comes back into a document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, Query

from profilestore.settings import Settings
from serving import problems
from serving.access import Client, Gate
from serving.access.gate import PROBLEMS as REFUSALS
from serving.access.purposes import check_model, check_service, purpose_for
from serving.blocks.known import SERVICE
from serving.deployment import Deployment
from serving.documents import (
    AskProfiles,
    ChooseModel,
    LikeItem,
    LikeUser,
    ModelsDocument,
    PeopleDocument,
    PersonSeen,
    ProfileDocument,
    ProfilesDocument,
    RecommendationsDocument,
    ScoreWhyDocument,
    SimilarItemsDocument,
    SimilarUsersDocument,
    TagsDocument,
    TagWhyDocument,
    WhyDocument,
)
from serving.items import AVAILABILITY
from serving.items import READS as ITEMS
from serving.models import choose, models_document
from serving.parameters import AsOf, Category, Fields, ItemId, Kind, Purpose, ScoreName, UserId
from serving.people import READS as PEOPLE
from serving.popularity import READS as POPULARITY
from serving.popularity import Popularity
from serving.profile import READS as PROFILE
from serving.profile import read_profile, read_profiles
from serving.reads import Reads, reads
from serving.recommendations.block import recommendations_block
from serving.recommendations.person import READS as MODEL
from serving.recommendations.person import names_items
from serving.recommendations.pipeline import FIRST_TURNED_TO, recommend
from serving.recommendations.retrieve import READS as CONTENT
from serving.similar import ITEMS as SIMILAR_ITEMS
from serving.similar import SERVICE as VECTORS
from serving.similar import USERS as SIMILAR_USERS
from serving.similar import similar_items, similar_users
from serving.tags import READS as TAGS
from serving.tags import tags_document
from serving.why import OF_TAGS, why, why_score, why_tag

# Who is known, and what they turned to, is looked up as the profile shows it; nobody else knows
# them, so they get what most turn to.
_RECOMMENDATIONS = (
    Reads(SERVICE, names_items),
    *(MODEL, CONTENT, POPULARITY, FIRST_TURNED_TO),
    *(ITEMS, AVAILABILITY),
)


def add_model_routes(app: FastAPI, settings: Settings, served: Deployment, gate: Gate) -> None:
    """Add the routes that list models and choose the one that serves."""

    @app.get(
        "/v1/models",
        tags=["models"],
        summary="What models there are",
        dependencies=[gate.needs("models:read")],
        responses=problems.described(*REFUSALS),
    )
    def models() -> ModelsDocument:
        """Every model that was trained here, what it reached, and which one serves."""
        return models_document(settings)

    @app.post(
        "/v1/models/current",
        tags=["models"],
        summary="Serve another model",
        dependencies=[gate.needs("models:write")],
        responses=problems.described(
            *REFUSALS, problems.UNKNOWN_MODEL, problems.INVALID_REQUEST, problems.NOT_READY
        ),
    )
    def choose_model(asked: ChooseModel) -> ModelsDocument:
        """It is read whole first; a torn one leaves the one before in use. From the next request on
        it answers; those that run are answered by the one before."""
        return choose(settings, served, asked.version)


def add_profile_routes(
    app: FastAPI, served: Deployment, popularity: Popularity, gate: Gate
) -> None:
    profiles = gate.needs("profiles:read")
    recommended = gate.needs("recommendations:read")

    @app.get(
        "/v1/profiles/{user_id}",
        tags=["profiles"],
        summary="One person's profile",
        responses=problems.described(
            *REFUSALS, problems.UNKNOWN_USER, problems.INVALID_REQUEST, problems.NOT_READY
        ),
    )
    @reads(*PROFILE)
    def profile(
        user_id: UserId,
        fields: Fields = None,
        purpose: Purpose = None,
        as_of: AsOf = None,
        client: Client = profiles,
    ) -> ProfileDocument:
        """Who it is, what they do and prefer, groups, scores and recommendations.

        Each block says how fresh it is, when it became true and which view or model it is from.
        Without a model the blocks that it makes are `missing`; the rest is served. With `as_of` it
        is the profile as it was known then, without what a model makes; that takes some tenths of
        a second for each view, so name the blocks.
        """
        purpose = purpose_for(client, purpose)
        return read_profile(served, user_id, fields=fields, purpose=purpose, as_of=as_of)

    @app.post(
        "/v1/profiles",
        tags=["profiles"],
        summary="Profiles of several people",
        responses=problems.described(*REFUSALS, problems.INVALID_REQUEST, problems.NOT_READY),
    )
    @reads(*PROFILE)
    def profiles_of(asked: AskProfiles, client: Client = profiles) -> ProfilesDocument:
        """As one person's profile, of a hundred people at most; who is not known is listed."""
        asked_at = datetime.now(UTC)
        found, unknown = read_profiles(
            served,
            asked.user_ids,
            asked_at,
            fields=asked.fields,
            purpose=purpose_for(client, asked.purpose),
        )
        return ProfilesDocument(asked_at=asked_at, profiles=found, unknown=unknown)

    @app.get(
        "/v1/recommendations/{user_id}",
        tags=["recommendations"],
        summary="Items for one person",
        responses=problems.described(*REFUSALS, problems.INVALID_REQUEST, problems.NOT_READY),
    )
    @reads(*_RECOMMENDATIONS)
    def recommendations(
        user_id: UserId,
        k: Annotated[int, Query(ge=1, le=100, description="How many items.")] = 10,
        client: Client = recommended,
    ) -> RecommendationsDocument:
        """The `k` best items, none of them among the person's recent ones.

        A person who is not known gets what most people turn to: `method` is then `popular`
        instead of `two_tower`.
        """
        check_model(client, served)
        asked_at = datetime.now(UTC)
        return RecommendationsDocument(
            asked_at=asked_at,
            user_id=user_id,
            recommendations=recommendations_block(
                recommend(
                    served, popularity, user_id, k, profile_service=SERVICE, asked_at=asked_at
                )
            ),
        )

    @app.get(
        "/v1/recommendations/{user_id}/{item_id:path}/why",
        tags=["recommendations"],
        summary="Why an item has its score for a person",
        responses=problems.described(
            *REFUSALS,
            problems.UNKNOWN_USER,
            problems.UNKNOWN_ITEM,
            problems.INVALID_REQUEST,
            problems.NOT_READY,
        ),
    )
    @reads(MODEL, ITEMS)
    def explain(user_id: UserId, item_id: ItemId, client: Client = recommended) -> WhyDocument:
        """Each item of the history and each feature, with how much it raises the lead of the item.

        The points add up to the lead less that for somebody of whom nothing is known.
        """
        check_model(client, served)
        return why(served, user_id, item_id, asked_at=datetime.now(UTC))

    @app.get(
        "/v1/scores/{user_id}/{score}/why",
        tags=["profiles"],
        summary="Why a person has a score",
        responses=problems.described(
            *REFUSALS,
            problems.UNKNOWN_USER,
            problems.UNKNOWN_SCORE,
            problems.INVALID_REQUEST,
            problems.NOT_READY,
        ),
    )
    @reads(MODEL, ITEMS)
    def explain_score(
        user_id: UserId, score: ScoreName, client: Client = profiles
    ) -> ScoreWhyDocument:
        """Each item of the history and each feature, with how much it raises the score: on the
        scale of log-odds, where points add up, or of amounts."""
        check_model(client, served)
        return why_score(served, user_id, score, asked_at=datetime.now(UTC))

    @app.get(
        "/v1/profiles/{user_id}/interests/{category:path}/why",
        tags=["profiles"],
        summary="Why a person has a tag",
        responses=problems.described(
            *REFUSALS,
            problems.UNKNOWN_USER,
            problems.UNKNOWN_TAG,
            problems.INVALID_REQUEST,
            problems.NOT_READY,
        ),
    )
    @reads(*OF_TAGS)
    def explain_tag(
        user_id: UserId, category: Category, client: Client = profiles
    ) -> TagWhyDocument:
        """The tag with its evidence, and the events behind it that the history still has."""
        check_service(client, served, SERVICE)
        return why_tag(served, user_id, category, asked_at=datetime.now(UTC))

    @app.post(
        "/v1/similar/users",
        tags=["similar"],
        summary="People who are like somebody",
        responses=problems.described(
            *REFUSALS, problems.UNKNOWN_USER, problems.INVALID_REQUEST, problems.NOT_READY
        ),
    )
    @reads(SIMILAR_USERS)
    def like_user(asked: LikeUser, client: Client = profiles) -> SimilarUsersDocument:
        """The `k` people whom the current model places nearest, by the angle between vectors."""
        check_service(client, served, VECTORS)
        return similar_users(served, asked.user_id, asked.k, asked_at=datetime.now(UTC))

    @app.post(
        "/v1/similar/items",
        tags=["similar"],
        summary="Items that are like one",
        responses=problems.described(
            *REFUSALS, problems.UNKNOWN_ITEM, problems.INVALID_REQUEST, problems.NOT_READY
        ),
    )
    @reads(SIMILAR_ITEMS, ITEMS)
    def like_item(asked: LikeItem, client: Client = recommended) -> SimilarItemsDocument:
        """The `k` items that the current model places nearest, by the angle between vectors."""
        check_service(client, served, VECTORS)
        return similar_items(served, asked.item_id, asked.k, asked_at=datetime.now(UTC))

    @app.get(
        "/v1/users",
        tags=["profiles"],
        summary="Who can be asked for",
        dependencies=[profiles],
        responses=problems.described(*REFUSALS, problems.INVALID_REQUEST, problems.NOT_READY),
    )
    @reads(PEOPLE)
    def users(
        limit: Annotated[int, Query(ge=1, le=500, description="How many at most.")] = 50,
        after: Annotated[
            str | None, Query(max_length=160, description="`next` of the page before.")
        ] = None,
    ) -> PeopleDocument:
        """Pseudonyms with when they were last seen, the latest first."""
        people = served.people()
        chosen, following = people.page(limit, after)
        return PeopleDocument(
            materialized_at=people.at,
            total=len(people),
            users=[
                PersonSeen(
                    user_id=person.user_id,
                    last_seen_at=person.last_event_at,
                    events=person.events,
                )
                for person in chosen
            ],
            next=following,
        )

    @app.get(
        "/v1/tags",
        tags=["profiles"],
        summary="What tags there are",
        dependencies=[profiles],
        responses=problems.described(*REFUSALS, problems.INVALID_REQUEST, problems.NOT_READY),
    )
    @reads(TAGS)
    def tags(
        kind: Kind = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
        after: Annotated[
            int, Query(ge=0, le=10_000_000, description="`next` of the page before.")
        ] = 0,
    ) -> TagsDocument:
        """Every tag that somebody has, with its definition, its source and how many have it."""
        return tags_document(served, kind=kind, limit=limit, after=after)
