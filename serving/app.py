"""The routes. They translate: a request into a call, what comes back into a document."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Path, Query, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.gzip import GZipMiddleware

from profilestore import __version__
from profilestore.settings import Settings
from serving import pages, problems
from serving.access import Access, Client, Gate, load_access
from serving.access.gate import PROBLEMS as REFUSALS
from serving.access.gate import SCHEMES
from serving.access.purposes import check_service, purpose_for
from serving.blocks.known import SERVICE
from serving.blocks.segments import READS as SEGMENTS
from serving.conditional import Conditional
from serving.deployment import Deployment, Watched
from serving.documents import (
    Alive,
    LikeItem,
    LikeUser,
    PeopleDocument,
    PersonSeen,
    Problem,
    ProfileDocument,
    Ready,
    RecommendationsDocument,
    SimilarItemsDocument,
    SimilarUsersDocument,
    TagsDocument,
    WhyDocument,
)
from serving.feast_routes import REQUESTS as FEAST_REQUESTS
from serving.feast_routes import add_feast_routes
from serving.items import READS as ITEMS
from serving.live import Intake, LiveEvent, add_event_routes
from serving.load import Shedding
from serving.people import READS as PEOPLE
from serving.popularity import READS as POPULARITY
from serving.popularity import Popularity
from serving.profile import READS as PROFILE
from serving.profile import clock_note, read_profile
from serving.reads import Reads, reads
from serving.recommendations import READS as MODEL
from serving.recommendations import names_items, recommend
from serving.similar import ITEMS as SIMILAR_ITEMS
from serving.similar import SERVICE as VECTORS
from serving.similar import USERS as SIMILAR_USERS
from serving.similar import similar_items, similar_users
from serving.tags import READS as TAGS
from serving.tags import tags_document
from serving.telemetry import Requests
from serving.telemetry.metrics import exposition
from serving.why import why

UserId = Annotated[
    str,
    Path(
        description="Pseudonym of a person: letters, digits and `. _ ~ -`, 128 at most.",
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9._~-]+$",
        examples=["u-5f0d1c0a6c1e4d7b9a2f3e8b7c6d5e4f"],
    ),
]

ItemId = Annotated[
    str, Path(description="An item of the model.", min_length=1, max_length=256, examples=["318"])
]

Fields = Annotated[
    str | None,
    Query(
        max_length=1000,
        description="Names of blocks with commas between; by default all but those on request.",
        examples=["activity,interests"],
    ),
]

Purpose = Annotated[
    str | None,
    Query(
        max_length=64,
        description="What it is asked for. What no feature service of that purpose reads is "
        "`withheld`.",
        examples=["profile"],
    ),
]

AsOf = Annotated[
    datetime | None,
    Query(
        description="An earlier instant, UTC where it has no zone: the profile as it was known "
        "then.",
        examples=["2026-01-31T12:00:00Z"],
    ),
]

Kind = Annotated[
    str | None,
    Query(max_length=64, description="Only those of a kind.", examples=["categories"]),
]

SearchText = Annotated[str, Query(max_length=128)]

# In bytes; and zlib's level, from 1 to 9.
_WORTH_PACKING, _PACKED_WELL = 1024, 5
_PROFILE = (PROFILE, ITEMS, MODEL, SEGMENTS)
# Who is known, and what they turned to, is looked up as the profile shows it; nobody else knows
# them, so they get what most turn to.
_RECOMMENDATIONS = (
    Reads(SERVICE, names_items),
    MODEL,
    POPULARITY,
    ITEMS,
)

_DESCRIPTION = """\
Profiles of people, assembled from online features and a model, each block with its age and its
source. Errors are problem documents (RFC 9457). Instants are UTC in ISO 8601.
"""


def create_app(settings: Settings, *, deployment: Deployment | None = None) -> FastAPI:
    """The application of one deployment.

    What is not built yet does not stop it: `/readyz` says what is missing, and the rest is served.

    Args:
        deployment: what it serves from; by default what lies in `settings.home`.
    """
    served = deployment or Deployment(settings)
    popularity = Popularity(served)
    intake = Intake(settings, deployment=served)
    gate = Gate(_access(settings))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if not served.missing():
            popularity.warm()
        intake.begin()
        yield
        intake.end()

    app = FastAPI(
        title="Profilestore",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        # FastAPI's own documentation pages load scripts from elsewhere; ours is rendered here.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app, served)
    _add_middleware(app, settings)
    _add_json_routes(app, served, popularity, gate)
    add_event_routes(app, intake, gate)
    add_feast_routes(app, served, gate)
    _add_health_routes(app, served, gate)
    _add_pages(app, served, gate)
    app.openapi = lambda: _openapi(app, gate)  # type: ignore[method-assign]
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """What stands around every route; the last one added is met first."""
    app.add_middleware(Conditional)
    app.add_middleware(GZipMiddleware, minimum_size=_WORTH_PACKING, compresslevel=_PACKED_WELL)
    app.add_middleware(Shedding, most=settings.most_at_once, refuse=problems.overloaded)
    app.add_middleware(Requests, on_fault=problems.fault)


def _access(settings: Settings) -> Callable[[], Access] | None:
    """What gives the clients; None where none are declared when the service starts."""
    file = settings.access_file
    if not file.exists():
        return None
    load_access(file)  # a mistake in it stops us here, and later leaves the one before in use
    return Watched("list of clients", lambda: load_access(file), [file]).get


def _add_json_routes(app: FastAPI, served: Deployment, popularity: Popularity, gate: Gate) -> None:
    profiles = gate.needs("profiles:read")
    recommended = gate.needs("recommendations:read")

    def model_for(client: Client) -> None:
        """Whether a client may read what the model reads."""
        if client.purposes is not None:
            check_service(client, served.store().purposes(), served.bundle().feature_service)

    def vectors_for(client: Client) -> None:
        """Whether a client may read what neighbours are found by."""
        if client.purposes is not None:
            check_service(client, served.store().purposes(), VECTORS)

    @app.get(
        "/v1/profiles/{user_id}",
        tags=["profiles"],
        summary="One person's profile",
        responses=problems.described(
            *REFUSALS, problems.UNKNOWN_USER, problems.INVALID_REQUEST, problems.NOT_READY
        ),
    )
    @reads(*_PROFILE)
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
        model_for(client)
        asked_at = datetime.now(UTC)
        return RecommendationsDocument(
            asked_at=asked_at,
            user_id=user_id,
            recommendations=recommend(
                served, popularity, user_id, k, profile_service=SERVICE, asked_at=asked_at
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
        model_for(client)
        return why(served, user_id, item_id, asked_at=datetime.now(UTC))

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
        vectors_for(client)
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
        vectors_for(client)
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


def _add_health_routes(app: FastAPI, served: Deployment, gate: Gate) -> None:
    @app.get(
        "/metrics",
        tags=["health"],
        summary="How does the service fare?",
        dependencies=[gate.needs("metrics:read")],
        response_class=PlainTextResponse,
        responses=problems.described(*REFUSALS),
    )
    def metrics() -> Response:
        """Numbers in Prometheus' text format: times by route, by store, and what was refused."""
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz", tags=["health"], summary="Is the process alive?")
    def healthz() -> Alive:
        """200 as long as the process answers, whatever is loaded."""
        return Alive()

    @app.get(
        "/readyz",
        tags=["health"],
        summary="Is everything loaded?",
        responses=problems.described(problems.NOT_READY),
    )
    def readyz() -> Ready:
        """200 when registry, online store and bundle are loaded; else what to build."""
        missing = served.missing()
        if missing:
            names = ", ".join(part.what for part in missing)
            raise problems.ProblemError(
                problems.NOT_READY, f"Not loaded: {names}.", missing=missing
            )
        bundle, people = served.bundle(), served.people()
        return Ready(
            model=bundle.version,
            feature_service=bundle.feature_service,
            materialized_at=people.at,
            users=len(people),
        )


def _add_pages(app: FastAPI, served: Deployment, gate: Gate) -> None:
    profiles = gate.needs("profiles:read")
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")

    @app.get("/", include_in_schema=False, dependencies=[profiles])
    @reads(PEOPLE)
    def home(q: SearchText = "") -> Response:
        """The picker. A text that only one person answers to leads straight to them."""
        people = served.people()
        found = people.search(q, 2) if q.strip() else []
        if len(found) == 1:
            return RedirectResponse(f"/users/{quote(found[0].user_id)}", 303)
        clock = served.clock()
        return pages.home_page(people, None if clock is None else clock_note(clock), q)

    @app.get("/people", include_in_schema=False, dependencies=[profiles])
    @reads(PEOPLE)
    def people(q: SearchText = "") -> Response:
        return pages.people_fragment(served.people(), q)

    @app.get("/users/{user_id}", include_in_schema=False)
    @reads(*_PROFILE)
    def user(user_id: UserId, as_of: AsOf = None, client: Client = profiles) -> Response:
        purpose = purpose_for(client, None)
        return pages.profile_page(read_profile(served, user_id, purpose=purpose, as_of=as_of))

    @app.get("/tags", include_in_schema=False, dependencies=[profiles])
    @reads(TAGS)
    def tags(kind: Kind = None) -> Response:
        return pages.tags_page(
            tags_document(served, kind=kind, limit=pages.TAGS_LISTED, after=0), kind
        )

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return pages.docs_page(app.openapi(), problems.KINDS)


def _openapi(app: FastAPI, gate: Gate) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        # Problem documents come from exception handlers, and bodies are read with care for their
        # size: FastAPI does not look there for models.
        template = "#/components/schemas/{model}"
        described = Problem.model_json_schema(ref_template=template, mode="serialization")
        told = LiveEvent.model_json_schema(ref_template=template)
        parts = {**described.pop("$defs", {}), "Problem": described, "LiveEvent": told}
        for model in FEAST_REQUESTS:
            parts[model.__name__] = model.model_json_schema(ref_template=template)
        schema["components"]["schemas"].update(parts)
        if not gate.is_open:
            schema["components"]["securitySchemes"] = SCHEMES
            for route in app.routes:
                if isinstance(route, APIRoute) and route.include_in_schema and _scopes(route):
                    for method in route.methods:
                        operation = schema["paths"][route.path_format][method.lower()]
                        operation["security"] = [{name: []} for name in SCHEMES]
                        operation["x-scopes"] = _scopes(route)
        app.openapi_schema = schema
    return app.openapi_schema


def _scopes(route: APIRoute) -> list[str]:
    """What a client has to be let do for a route."""
    return [
        dependency.call.scope
        for dependency in route.dependant.dependencies
        if hasattr(dependency.call, "scope")
    ]
