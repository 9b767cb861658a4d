"""The addresses of the pages."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import FastAPI, Query, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from serving import problems
from serving.access import Client, Gate
from serving.access.purposes import purpose_for
from serving.deployment import Deployment
from serving.pages.rendering import STATIC
from serving.pages.views import (
    TAGS_LISTED,
    docs_page,
    home_page,
    people_fragment,
    profile_page,
    tags_page,
)
from serving.parameters import AsOf, Kind, UserId
from serving.people import READS as PEOPLE
from serving.profile import READS as PROFILE
from serving.profile import clock_note, read_profile
from serving.reads import reads
from serving.tags import READS as TAGS
from serving.tags import tags_document

SearchText = Annotated[str, Query(max_length=128)]


def add_page_routes(app: FastAPI, served: Deployment, gate: Gate) -> None:
    """Add the"""
    profiles = gate.needs("profiles:read")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False, dependencies=[profiles])
    @reads(PEOPLE)
    def home(q: SearchText = "") -> Response:
        """The picker. A text that only one person answers to leads straight to them."""
        people = served.people()
        found = people.search(q, 2) if q.strip() else []
        if len(found) == 1:
            return RedirectResponse(f"/users/{quote(found[0].user_id)}", 303)
        clock = served.clock()
        return home_page(people, None if clock is None else clock_note(clock), q)

    @app.get("/people", include_in_schema=False, dependencies=[profiles])
    @reads(PEOPLE)
    def people(q: SearchText = "") -> Response:
        return people_fragment(served.people(), q)

    @app.get("/users/{user_id}", include_in_schema=False)
    @reads(*PROFILE)
    def user(user_id: UserId, as_of: AsOf = None, client: Client = profiles) -> Response:
        purpose = purpose_for(client, None)
        return profile_page(read_profile(served, user_id, purpose=purpose, as_of=as_of))

    @app.get("/tags", include_in_schema=False, dependencies=[profiles])
    @reads(TAGS)
    def tags(kind: Kind = None) -> Response:
        return tags_page(tags_document(served, kind=kind, limit=TAGS_LISTED, after=0), kind)

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return docs_page(app.openapi(), problems.KINDS)
