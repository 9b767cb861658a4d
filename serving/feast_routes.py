"""The routes of Feast's own feature server, for clients that speak to one.

They answer as it does: what Feast itself refuses goes back as Feast's error, which its SDK raises
again; every other problem is a problem document.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from profilestore.feature_server import FeatureServer, PushTo, RefusedByFeastError
from serving import problems
from serving.access import Client, Gate
from serving.access.gate import PROBLEMS as REFUSALS
from serving.access.purposes import check_service
from serving.audit import is_noted, note_people
from serving.bodies import PROBLEMS as BODY_PROBLEMS
from serving.bodies import read_json
from serving.deployment import Deployment
from serving.telemetry import timed

FEATURES = "/get-online-features"
READ = "features:read"
MOST_ROWS = 10_000
_PERSON_KEY = "user_id"
# A read of so many rows is done before a thread could have taken it over.
AT_ONCE = 200

Name = Annotated[str, Field(min_length=1, max_length=256)]
Columns = Annotated[dict[Name, list[Any]], Field(min_length=1, max_length=1000)]
References = Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=2000)]


class FeastRequest(BaseModel):
    """What Feast's clients send: fields that a newer one adds are no mistake."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Selection(FeastRequest):
    """Which features: those of a service, or by name."""

    feature_service: Name | None = Field(
        None, description="A feature service; `features` is not read then."
    )
    features: References = Field([], description="As `view:feature`.")
    full_feature_names: bool = Field(False, description="Put `view__` before each name.")
    include_feature_view_version_metadata: bool = False

    @model_validator(mode="after")
    def _named(self) -> Selection:
        if self.feature_service is None and not self.features:
            raise ValueError("name a `feature_service` or `features`")
        return self


class OnlineFeatures(Selection):
    """Features of some entities."""

    entities: Columns = Field(
        description="Join key -> values, a row each.", examples=[{"user_id": ["u-1", "u-2"]}]
    )

    @model_validator(mode="after")
    def _even(self) -> OnlineFeatures:
        _check_rows(self.entities)
        return self


class OnlineDocuments(Selection):
    """Entities near a vector."""

    query: Annotated[list[float], Field(max_length=16_384)] | None = None
    query_string: Annotated[str, Field(max_length=4096)] | None = None
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    distance_metric: Annotated[str, Field(max_length=32)] | None = None


class Push(FeastRequest):
    """Rows for a push source."""

    push_source_name: Name
    df: Columns = Field(description="Column -> values, a row each.")
    to: PushTo = "online"

    @model_validator(mode="after")
    def _even(self) -> Push:
        _check_rows(self.df)
        return self


class Write(FeastRequest):
    """Rows for the online store."""

    feature_view_name: Name
    df: Columns = Field(description="Column -> values, a row each.")

    @model_validator(mode="after")
    def _even(self) -> Write:
        _check_rows(self.df)
        return self


REQUESTS = (OnlineFeatures, OnlineDocuments, Push, Write)


def _check_rows(columns: dict[str, list[Any]]) -> None:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"its columns have {sorted(lengths)} rows, needed as many in each")
    if not 1 <= min(lengths) <= MOST_ROWS:
        raise ValueError(f"it has {min(lengths)} rows, needed 1 to {MOST_ROWS}")


Asked = TypeVar("Asked", bound=FeastRequest)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A route whose handler takes the request as it came, and the client who sent it.

    Looking for a handler's parameters takes FastAPI as long as a read of features does.
    """

    def get_route_handler(self) -> Handler:
        (needs,) = (one.call for one in self.dependant.dependencies if hasattr(one.call, "scope"))

        async def handle(request: Request) -> Response:
            answer: Response = await self.endpoint(request, await needs(request))
            return answer

        return handle


def add_feast_routes(app: FastAPI, served: Deployment, gate: Gate) -> None:
    """Add the routes that Feast's SDK and its other clients use."""
    reader, writer = gate.needs(READ), gate.needs("features:write")

    def check_purpose(client: Client, asked: Selection) -> None:
        if client.purposes is None:
            return
        if asked.feature_service is None:
            raise problems.ProblemError(
                problems.FORBIDDEN,
                f"{client.name} may read for some purposes alone: name a `feature_service`.",
            )
        check_service(client, served, asked.feature_service)

    async def get_online_features(request: Request, client: Client = reader) -> Response:
        """A column for each join key and feature: values, statuses and times, a row an entity."""
        asked = await _read(request, OnlineFeatures)
        check_purpose(client, asked)

        note_asked(asked.entities, asked.feature_service, asked.features)

        def read() -> bytes:
            with timed("online", "features"):
                return _server(served).get_online_features(
                    asked.entities,
                    features=asked.features,
                    service=asked.feature_service,
                    full_feature_names=asked.full_feature_names,
                    versions=asked.include_feature_view_version_metadata,
                )

        rows = len(next(iter(asked.entities.values())))
        body = read() if rows <= AT_ONCE else await run_in_threadpool(read)
        return Response(body, media_type="application/json")

    app.router.add_api_route(
        FEATURES,
        get_online_features,
        methods=["POST"],
        summary="Features of some entities",
        route_class_override=DirectRoute,
        **_route(OnlineFeatures),
    )

    async def search(request: Request, client: Client = reader) -> Response:
        """The nearest entities by a view's vector, as columns."""
        asked = await _read(request, OnlineDocuments)
        check_purpose(client, asked)
        body = await run_in_threadpool(
            lambda: _server(served).search(
                features=asked.features,
                service=asked.feature_service,
                query=asked.query,
                text=asked.query_string,
                count=asked.top_k,
                metric=asked.distance_metric,
                versions=asked.include_feature_view_version_metadata,
            )
        )
        if is_noted():
            note_people(_people_in(body), _named(asked.feature_service, asked.features))
        return Response(body, media_type="application/json")

    # The second is its older name, which older clients know.
    for path in ("/search", "/retrieve-online-documents"):
        name = path.strip("/").replace("-", "_")
        route = app.post(
            path, summary="Entities near a vector", name=name, **_route(OnlineDocuments)
        )
        route(search)

    @app.post(
        "/push",
        summary="Write rows to a push source",
        dependencies=[writer],
        **_route(Push, is_empty=True),
    )
    async def push(request: Request) -> Response:
        """Every view with that push source has the rows when this is answered."""
        told = await _read(request, Push)
        await run_in_threadpool(
            lambda: _server(served).push(told.push_source_name, told.df, told.to)
        )
        return Response()

    @app.post(
        "/write-to-online-store",
        summary="Write rows to a view",
        dependencies=[writer],
        **_route(Write),
    )
    async def write_to_online_store(request: Request) -> Response:
        """The online store has the rows when this is answered."""
        told = await _read(request, Write)
        await run_in_threadpool(lambda: _server(served).write(told.feature_view_name, told.df))
        return JSONResponse(None)

    @app.get(
        "/health",
        tags=["feast"],
        summary="Is the feature registry loaded?",
        response_class=Response,
        responses=problems.described(problems.NOT_READY),
    )
    def health() -> Response:
        """200 if so; else 503."""
        _server(served)
        return Response()

    @app.exception_handler(RefusedByFeastError)
    def refused(_: Request, error: RefusedByFeastError) -> Response:
        # JSON in a text of JSON: so Feast's server sends it and so its SDK reads it.
        return JSONResponse(error.detail, error.status)


def _route(model: type[FeastRequest], *, is_empty: bool = False) -> dict[str, Any]:
    """What OpenAPI says of a route.

    Args:
        is_empty: whether its answer has no body.
    """
    responses = problems.described(
        *REFUSALS, *BODY_PROBLEMS, problems.INVALID_REQUEST, problems.NOT_READY
    )
    refused = {"application/json": {"schema": {"type": "string"}}}
    responses[404] = {"description": "Feast's error: there is no such thing.", "content": refused}
    responses[422]["content"] |= refused
    return {
        "tags": ["feast"],
        "response_class": Response if is_empty else JSONResponse,
        "responses": responses,
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": f"#/components/schemas/{model.__name__}"}
                    }
                },
            }
        },
    }


def note_asked(entities: Columns, service: str | None, features: Sequence[str]) -> None:
    """Note for the audit log whose features are asked for."""
    if _PERSON_KEY in entities and is_noted():
        note_people(map(str, entities[_PERSON_KEY]), _named(service, features))


def _named(service: str | None, features: Sequence[str]) -> set[str]:
    """What the audit log calls what was asked for."""
    if service is not None:
        return {f"service:{service}"}
    return {reference.partition(":")[0] for reference in features}


def _people_in(body: bytes) -> list[str]:
    """Whose features are in an answer of Feast's."""
    answer = orjson.loads(body)
    names = answer["metadata"]["feature_names"]
    if _PERSON_KEY not in names:
        return []
    return list(map(str, answer["results"][names.index(_PERSON_KEY)]["values"]))


async def _read(request: Request, model: type[Asked]) -> Asked:
    try:
        return model.model_validate_json(await read_json(request))
    except ValidationError as error:
        raise RequestValidationError(
            [
                {"loc": ("body", *found["loc"]), "msg": found["msg"]}
                for found in error.errors(include_input=False, include_context=False)
            ]
        ) from None


def _server(served: Deployment) -> FeatureServer:
    return served.feature_server()
