"""Documents become pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import Response

from serving.documents import ClockNote, Problem, ProfileDocument, TagsDocument
from serving.pages.rendering import page
from serving.people import People

LISTED = 50
RECENT = 10
TAGS_LISTED = 200
# Names of a block that are shown, and values from which on a block is folded up.
_LISTED_OF_A_BLOCK, _MANY = 18, 16


def home_page(people: People, clock: ClockNote | None, text: str) -> Response:
    """The people seen last, or those whose pseudonym contains the text."""
    return page("home.html", clock=clock, **_listed(people, text))


def people_fragment(people: People, text: str) -> Response:
    """The list of `home_page` alone, for the search that runs while somebody types."""
    return page("_people.html", **_listed(people, text))


def profile_page(document: ProfileDocument) -> Response:
    """One person's profile."""
    strongest = max((tag.score or 0.0 for tag in document.interests.tags), default=0.0)
    return page(
        "profile.html",
        profile=document,
        now=document.as_of or document.asked_at,
        recent=RECENT,
        listed=_LISTED_OF_A_BLOCK,
        many=_MANY,
        strongest=strongest or 1.0,
    )


def tags_page(document: TagsDocument, kind: str | None) -> Response:
    """The dictionary of tags, or those of a kind."""
    return page("tags.html", tags=document, kind=kind)


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
