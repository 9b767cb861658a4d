"""Documents become pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import FileResponse
from markupsafe import Markup
from starlette.exceptions import HTTPException

from profilestore.quality import Quality
from serving.documents import (
    ClockNote,
    Contribution,
    ModelsDocument,
    Problem,
    ProfileDocument,
    ScoreWhyDocument,
    TagsDocument,
    TagWhyDocument,
    WhyDocument,
)
from serving.pages.charts import by_hour, fifths, over_time
from serving.pages.form import Form
from serving.pages.rendering import page
from serving.people import People

LISTED = 50
RECENT = 10
TAGS_LISTED = 200
# Names of a block that are shown, and values from which on a block is folded up.
_LISTED_OF_A_BLOCK, _MANY = 18, 16
_REASONS, _TAGS_COMPARED = 20, 12


def home_page(people: People, clock: ClockNote | None, text: str) -> Response:
    """The people seen last, or those whose pseudonym contains the text."""
    return page("home.html", clock=clock, **_listed(people, text))


def people_fragment(people: People, text: str) -> Response:
    """The list of `home_page` alone, for the search that runs while somebody types."""
    return page("_people.html", **_listed(people, text))


def profile_page(
    document: ProfileDocument, form: Form | None, told: str, before: Sequence[str]
) -> Response:
    """One person's profile.

    Args:
        form: by which an event can be told; None for a profile of the past.
        told: what became of an event that was told here; empty if none was.
        before: what was recommended before that.
    """
    strongest = max((tag.score or 0.0 for tag in document.interests.tags), default=0.0)
    return page(
        "profile.html",
        profile=document,
        now=document.as_of or document.asked_at,
        recent=RECENT,
        listed=_LISTED_OF_A_BLOCK,
        many=_MANY,
        strongest=strongest or 1.0,
        form=form,
        told=told,
        before=set(before),
        charts=_charts(document),
    )


def why_page(document: WhyDocument) -> Response:
    """Why an item is recommended: what moves its lead, most first."""
    return page("why.html", why=document, **_reasons(document.contributions))


def why_score_page(document: ScoreWhyDocument) -> Response:
    """Why a person has a score: what moves it, most first."""
    unit = "fraction" if document.scale == "log-odds" else None
    reasons = _reasons(document.contributions)
    return page("why_score.html", why=document, unit=unit, **reasons)


def why_tag_page(document: TagWhyDocument) -> Response:
    """Why a person has a tag: its evidence, and the events behind it."""
    return page("why_tag.html", why=document)


def _reasons(contributions: Sequence[Contribution]) -> dict[str, Any]:
    """Those that are worth a line, what the others add up to, and how long the longest bar is."""
    most = max((abs(one.points) for one in contributions), default=0.0)
    shown = [one for one in contributions if abs(one.points) >= most / 100][:_REASONS]
    rest = sum(one.points for one in contributions if one not in shown)
    return {"shown": shown, "rest": rest, "most": most or 1.0}


def compare_form(one: str, other: str) -> Response:
    """Which two people?"""
    return page("compare_form.html", asked=(one, other))


def compare_page(one: ProfileDocument, other: ProfileDocument) -> Response:
    """Two people side by side: what both have in common, and what sets them apart."""
    shares = [{tag.category: tag.score for tag in p.interests.tags} for p in (one, other)]
    together = sorted(
        shares[0].keys() | shares[1].keys(),
        key=lambda tag: -max(shares[0].get(tag) or 0.0, shares[1].get(tag) or 0.0),
    )[:_TAGS_COMPARED]
    seen = [{item.item_id: item for item in p.history.items} for p in (one, other)]
    names = [
        name
        for name in dict.fromkeys([*one.activity.fields, *other.activity.fields])
        if not isinstance(
            one.activity.fields[name].value
            if name in one.activity.fields
            else other.activity.fields[name].value,
            list,
        )
    ]
    return page(
        "compare.html",
        people=(one, other),
        names=names,
        tags=[(tag, *(share.get(tag) for share in shares)) for tag in together],
        strongest=max((s or 0.0 for share in shares for s in share.values()), default=0.0) or 1.0,
        common=[seen[0][item] for item in seen[0] if item in seen[1]],
        now=one.asked_at,
    )


def _charts(document: ProfileDocument) -> dict[str, Markup]:
    """The drawings that the profile has values for."""
    drawn = {}
    instants = [item.at for item in document.history.items if item.at is not None]
    if instants:
        drawn["activity"] = over_time(instants, document.as_of or document.asked_at)
    hours = next(
        (
            field.value
            for block in document.more.values()
            for name, field in block.fields.items()
            if name.startswith("hours_") and isinstance(field.value, list)
        ),
        None,
    )
    if hours and any(hours):
        drawn["hours"] = by_hour(hours)
    rfm = document.segments.rfm
    if None not in (rfm.recency_score, rfm.frequency_score, rfm.spend_score):
        drawn["rfm"] = fifths(rfm.recency_score, rfm.frequency_score, rfm.spend_score)
    return drawn


def tags_page(document: TagsDocument, kind: str | None) -> Response:
    """The dictionary of tags, or those of a kind."""
    return page("tags.html", tags=document, kind=kind)


def models_page(document: ModelsDocument, metrics: Mapping[str, Any]) -> Response:
    """The models, and beside its baselines what the one that serves reached."""
    test = metrics.get("test", {})
    return page(
        "models.html",
        models=document,
        scorers=sorted(test.items(), key=lambda one: -one[1]["ndcg@10"]),
        groups=metrics.get("by_heat", []),
        protocol=metrics.get("protocol"),
        best=max((said["ndcg@10"] for said in test.values()), default=0.0) or 1.0,
    )


def report_file(folder: Path, name: str) -> Response:
    """A file of a training's own report, which is a page by itself."""
    file = folder / name
    if not file.is_file():
        raise HTTPException(404)
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    return FileResponse(file, headers=headers)


def data_page(quality: Quality) -> Response:
    """How good the data of the latest build is."""
    return page("data.html", quality=quality)


def docs_page(openapi: Mapping[str, Any], problems: Iterable[Any]) -> Response:
    """The interface, from its own OpenAPI document."""
    return page(
        "docs.html",
        info=openapi["info"],
        operations=list(_operations(openapi)),
        schemas=openapi["components"]["schemas"],
        problems=list(problems),
    )


def problem_page(problem: Problem, headers: Mapping[str, str] | None) -> Response:
    """A problem, for somebody with a browser."""
    return page("problem.html", problem.status, headers, problem=problem)


def _listed(people: People, text: str) -> dict[str, Any]:
    return {
        "text": text,
        "found": people.search(text, LISTED),
        "total": len(people),
        "materialized_at": people.at,
        "now": datetime.now(UTC),
    }


def _operations(openapi: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield {
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "description": operation.get("description", ""),
                "parameters": operation.get("parameters", []),
                "body": operation.get("requestBody", {})
                .get("content", {})
                .get("application/json", {})
                .get("schema"),
                "answers": [
                    {
                        "status": status,
                        "phrase": HTTPStatus(int(status)).phrase,
                        "description": answer["description"],
                        "content": [
                            (media_type, content["schema"])
                            for media_type, content in answer.get("content", {}).items()
                        ],
                    }
                    for status, answer in operation["responses"].items()
                ],
            }
