"""The addresses of the pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from serving import problems
from serving.access import Client, Gate
from serving.access.purposes import check_model, check_service, purpose_for
from serving.blocks.known import SERVICE
from serving.blocks.layout import RECOMMENDATIONS
from serving.deployment import Deployment
from serving.items import READS as ITEMS
from serving.live import EventsTaken, Intake
from serving.models import choose, metrics_of, models_document
from serving.pages.form import form_for
from serving.pages.rendering import STATIC
from serving.pages.telling import event_of, form_of
from serving.pages.views import (
    TAGS_LISTED,
    compare_form,
    compare_page,
    data_page,
    docs_page,
    home_page,
    models_page,
    people_fragment,
    profile_page,
    report_file,
    tags_page,
    why_page,
    why_score_page,
    why_tag_page,
)
from serving.parameters import AsOf, Category, ItemId, Kind, ScoreName, UserId
from serving.people import READS as PEOPLE
from serving.profile import READS as PROFILE
from serving.profile import clock_note, read_profile
from serving.reads import reads
from serving.recommendations.person import READS as MODEL
from serving.tags import READS as TAGS
from serving.tags import tags_document
from serving.why import OF_TAGS, why, why_score, why_tag

SearchText = Annotated[str, Query(max_length=128)]
Told = Annotated[str, Query(max_length=16)]
Before = Annotated[str, Query(max_length=4096)]
Version = Annotated[str, Path(max_length=128, pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]*$")]
ReportFile = Annotated[str, Path(max_length=64, pattern=r"^(report\.html|[a-z_]+\.png)$")]
Compared = Annotated[str, Query(max_length=128, pattern=r"^[A-Za-z0-9._~-]*$")]


def add_page_routes(
    app: FastAPI, settings: Settings, served: Deployment, intake: Intake, gate: Gate
) -> None:
    """Add the pages."""
    profiles = gate.needs("profiles:read")
    recommended = gate.needs("recommendations:read")
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
    def user(
        user_id: UserId,
        as_of: AsOf = None,
        told: Told = "",
        before: Before = "",
        client: Client = profiles,
    ) -> Response:
        """A profile; after an event was told here, with what it changed of the recommendations."""
        purpose = purpose_for(client, None)
        profile = read_profile(served, user_id, purpose=purpose, as_of=as_of)
        form = form_for(served, profile) if as_of is None else None
        return profile_page(profile, form, told, before.split(",") if told else [])

    @app.post(
        "/users/{user_id}/events",
        include_in_schema=False,
        dependencies=[gate.needs("events:write")],
    )
    async def tell(request: Request, user_id: UserId) -> Response:
        """Take the event of the form, and show the profile that knows it."""
        event = await event_of(request, user_id)

        def take() -> tuple[EventsTaken, list[str]]:
            try:
                block = read_profile(served, user_id, fields=RECOMMENDATIONS).recommendations
            except ProfilestoreError:  # nothing is known of them yet
                block = None
            before = [item.item_id for item in block.items] if block is not None else []
            return intake.take([event]), before

        taken, before = await run_in_threadpool(take)
        said = {"told": taken.events[0].state if taken.is_shown else "kept"}
        query = urlencode({**said, "before": ",".join(before)})
        return RedirectResponse(f"/users/{quote(user_id)}?{query}#recommendations", 303)

    @app.get("/users/{user_id}/why/{item_id:path}", include_in_schema=False)
    @reads(MODEL, ITEMS)
    def explained(user_id: UserId, item_id: ItemId, client: Client = recommended) -> Response:
        """Why an item is recommended."""
        check_model(client, served)
        return why_page(why(served, user_id, item_id, asked_at=datetime.now(UTC)))

    @app.get("/users/{user_id}/scores/{score}/why", include_in_schema=False)
    @reads(MODEL, ITEMS)
    def explained_score(user_id: UserId, score: ScoreName, client: Client = profiles) -> Response:
        """Why a person has a score."""
        check_model(client, served)
        return why_score_page(why_score(served, user_id, score, asked_at=datetime.now(UTC)))

    @app.get("/users/{user_id}/interests/{category:path}/why", include_in_schema=False)
    @reads(*OF_TAGS)
    def explained_tag(user_id: UserId, category: Category, client: Client = profiles) -> Response:
        """Why a person has a tag."""
        check_service(client, served, SERVICE)
        return why_tag_page(why_tag(served, user_id, category, asked_at=datetime.now(UTC)))

    @app.get("/compare", include_in_schema=False)
    @reads(*PROFILE)
    def compare(a: Compared = "", b: Compared = "", client: Client = profiles) -> Response:
        """Two people side by side; who they are is asked for if it is not said."""
        if not (a and b):
            return compare_form(a, b)
        purpose = purpose_for(client, None)
        return compare_page(*(read_profile(served, one, purpose=purpose) for one in (a, b)))

    @app.get("/tags", include_in_schema=False, dependencies=[profiles])
    @reads(TAGS)
    def tags(kind: Kind = None) -> Response:
        return tags_page(tags_document(served, kind=kind, limit=TAGS_LISTED, after=0), kind)

    @app.get("/models", include_in_schema=False, dependencies=[gate.needs("models:read")])
    def models() -> Response:
        """The models, and what the one that serves reached."""
        document = models_document(settings)
        folder = None if document.current is None else settings.models / document.current
        return models_page(document, {} if folder is None else metrics_of(folder))

    @app.post("/models/current", include_in_schema=False, dependencies=[gate.needs("models:write")])
    async def choose_model(request: Request) -> Response:
        """Serve the model of the button that was pressed."""
        version = (await form_of(request)).get("version", "")
        await run_in_threadpool(choose, settings, served, version)
        return RedirectResponse("/models", 303)

    @app.get(
        "/models/{version}/report/{name}",
        include_in_schema=False,
        dependencies=[gate.needs("models:read")],
    )
    def report(version: Version, name: ReportFile) -> Response:
        """The report of a training, and its plots."""
        return report_file(settings.models / version, name)

    @app.get("/data", include_in_schema=False, dependencies=[gate.needs("models:read")])
    def data() -> Response:
        """How good the data is."""
        return data_page(served.quality())

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        """What a browser asks for on a page that names no icon."""
        return RedirectResponse("/static/icon.svg", 301)

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return docs_page(app.openapi(), problems.KINDS)
