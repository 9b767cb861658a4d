"""The application: what stands around every route, the routes, and their documentation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from profilestore import __version__
from profilestore.privacy.audit import AuditLog
from profilestore.settings import Settings
from serving import problems
from serving.access import Access, Gate, load_access
from serving.access.gate import SCHEMES
from serving.audiences.routes import add_audience_routes
from serving.audit import Audited
from serving.conditional import Conditional
from serving.deployment import Deployment, Watched
from serving.documents import (
    Problem,
)
from serving.feast_routes import REQUESTS as FEAST_REQUESTS
from serving.feast_routes import add_feast_routes
from serving.health import add_health_routes
from serving.live import Intake, LiveEvent, add_event_routes
from serving.load import Shedding
from serving.pages.routes import add_page_routes
from serving.popularity import Popularity
from serving.quick_features import QuickFeatures
from serving.routes import add_model_routes, add_profile_routes
from serving.telemetry import Requests

# In bytes; and zlib's level, from 1 to 9.
_WORTH_PACKING, _PACKED_WELL = 1024, 5
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
    # Where nobody is declared there is nobody to hold to it.
    audit = None if gate.is_open else AuditLog.of(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if not served.missing():
            popularity.warm()
        intake.begin()
        yield
        intake.end()
        if audit is not None:
            audit.close()

    app = FastAPI(
        title="Profilestore",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        # FastAPI's own documentation pages load scripts from elsewhere; ours is rendered here.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its own would tell traces the paths, which name people, and what exceptions say.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        # What generated clients call their functions.
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app, served)
    _add_middleware(app, settings, audit, served, gate)
    # Routes are tried in their order: what is asked most often comes first.
    add_feast_routes(app, served, gate)
    add_profile_routes(app, served, popularity, gate)
    add_audience_routes(app, served, gate)
    add_model_routes(app, settings, served, gate)
    add_event_routes(app, intake, gate)
    add_health_routes(app, served, gate)
    add_page_routes(app, settings, served, intake, gate)
    app.openapi = lambda: _openapi(app, gate)  # type: ignore[method-assign]
    return app


def _add_middleware(
    app: FastAPI, settings: Settings, audit: AuditLog | None, served: Deployment, gate: Gate
) -> None:
    """What stands around every route; the last one added is met first."""
    app.add_middleware(Conditional)
    app.add_middleware(GZipMiddleware, minimum_size=_WORTH_PACKING, compresslevel=_PACKED_WELL)
    app.add_middleware(QuickFeatures, served=served, gate=gate, routes=app.routes)
    if audit is not None:
        app.add_middleware(Audited, log=audit, refuse=problems.unnoted)
    app.add_middleware(
        Shedding,
        most=settings.most_at_once,
        longest_wait=settings.longest_wait_ms / 1000,
        refuse=problems.overloaded,
    )
    app.add_middleware(Requests, on_fault=problems.fault)


def _access(settings: Settings) -> Callable[[], Access] | None:
    """What gives the clients; None where none are declared when the service starts."""
    file = settings.access_file
    if not file.exists():
        return None
    load_access(file)  # a mistake in it stops us here, and later leaves the one before in use
    return Watched("list of clients", lambda: load_access(file), [file]).get


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
