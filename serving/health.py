"""How the service is: alive, ready, and its numbers."""

from __future__ import annotations

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from serving import problems
from serving.access import Gate
from serving.access.gate import PROBLEMS as REFUSALS
from serving.deployment import Deployment
from serving.documents import Alive, Ready
from serving.telemetry.metrics import exposition


def add_health_routes(app: FastAPI, served: Deployment, gate: Gate) -> None:
    """Add the routes that say how the service is."""

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
