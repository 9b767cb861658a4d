"""Every error as a problem document (RFC 9457), or as a page for who asked with a browser."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from profilestore.errors import InputError, ProfilestoreError
from serving.deployment import Deployment
from serving.documents import FieldProblem, MissingPart, Problem
from serving.models import UnknownModelError
from serving.pages.views import problem_page
from serving.profile import UnknownUserError
from serving.telemetry.requests import route_of
from serving.why import UnknownItemError, UnknownScoreError, UnknownTagError

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("profilestore.serving")
_FOR_MACHINES = (
    *("/v1/", "/healthz", "/readyz", "/openapi.json"),
    *("/get-online-features", "/search", "/retrieve-online-documents", "/push"),
    *("/write-to-online-store", "/health"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of problem: `type` in a document is its place in the documentation."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        return f"/docs#{self.name}"


UNKNOWN_USER = Kind(
    "unknown-user", 404, "Unknown user", "Nothing is known of a person of that pseudonym."
)
UNKNOWN_ITEM = Kind("unknown-item", 404, "Unknown item", "The model has no item of that name.")
UNKNOWN_SCORE = Kind("unknown-score", 404, "Unknown score", "The model has no such score.")
UNKNOWN_TAG = Kind("unknown-tag", 404, "Unknown tag", "The person has no such tag.")
UNKNOWN_MODEL = Kind(
    "unknown-model", 404, "Unknown model", "No model of that version was trained here."
)
NOT_FOUND = Kind("not-found", 404, "Not found", "There is no such address here.")
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed", 405, "Method not allowed", "The address exists, with other methods."
)
TOO_LARGE = Kind("too-large", 413, "Too large", "The body has more than is taken at once.")
NO_JSON = Kind(
    "no-json", 415, "No JSON", "A body is JSON, and says so: `Content-Type: application/json`."
)
NO_FORM = Kind("no-form", 415, "No form", "What a page sends is a form.")
INVALID_REQUEST = Kind(
    "invalid-request", 422, "Invalid request", "A parameter is not what it has to be: see `errors`."
)
UNAUTHENTICATED = Kind(
    "unauthenticated",
    401,
    "Unauthenticated",
    "It is not known who asks: send an API key or a token.",
)
FORBIDDEN = Kind(
    "forbidden", 403, "Forbidden", "Who asks may not do this, or not for this purpose."
)
TOO_MANY = Kind(
    "too-many",
    429,
    "Too many requests",
    "Who asks does so too often: `Retry-After` says when again.",
)
INTERNAL = Kind(
    "internal-error", 500, "Internal error", "A fault of ours; the log of the service has more."
)
OVERLOADED = Kind(
    "overloaded",
    503,
    "Overloaded",
    "More is asked than can be answered: `Retry-After` says when again.",
)
NOT_READY = Kind(
    "not-ready", 503, "Not ready", "Something has not been built or cannot be read: see `missing`."
)
KINDS = (
    UNAUTHENTICATED,
    FORBIDDEN,
    UNKNOWN_USER,
    UNKNOWN_ITEM,
    UNKNOWN_SCORE,
    UNKNOWN_TAG,
    UNKNOWN_MODEL,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TOO_LARGE,
    NO_JSON,
    NO_FORM,
    INVALID_REQUEST,
    TOO_MANY,
    INTERNAL,
    OVERLOADED,
    NOT_READY,
)


class ProblemError(Exception):
    """A problem that a route answers with."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        missing: Sequence[MissingPart] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.missing = missing
        self.headers = headers


def install(app: FastAPI, deployment: Deployment) -> None:
    """Answer every error of an app with a problem document."""

    def problem(request: Request, error: ProblemError) -> Response:
        return _answer(
            request, error.kind, error.detail, missing=error.missing, headers=error.headers
        )

    def of_kind(kind: Kind) -> Callable[[Request, Exception], Response]:
        return lambda request, error: _answer(request, kind, str(error))

    def not_ready(request: Request, error: ProfilestoreError) -> Response:
        return _answer(request, NOT_READY, str(error), missing=deployment.missing())

    def invalid(request: Request, error: RequestValidationError) -> Response:
        # Without the input itself: it may be long, or something that JSON cannot hold.
        errors = [
            FieldProblem(where=".".join(map(str, found["loc"])), detail=found["msg"])
            for found in error.errors()
        ]
        detail = "; ".join(f"{found.where}: {found.detail}" for found in errors)
        return _answer(request, INVALID_REQUEST, detail, errors=errors)

    def http(request: Request, error: HTTPException) -> Response:
        known = {kind.status: kind for kind in (NOT_FOUND, METHOD_NOT_ALLOWED)}
        status = error.status_code
        if status == 400:  # so FastAPI calls a body that it cannot parse
            return _answer(request, INVALID_REQUEST, f"body: {error.detail}")
        kind = known.get(status) or Kind(
            "not-found" if status < 500 else "internal-error",
            status,
            HTTPStatus(status).phrase,
            "",
        )
        detail = kind.meaning or str(error.detail)
        return _answer(request, kind, detail, headers=error.headers)

    handlers: dict[type[Exception], Any] = {
        ProblemError: problem,
        UnknownUserError: of_kind(UNKNOWN_USER),
        UnknownItemError: of_kind(UNKNOWN_ITEM),
        UnknownScoreError: of_kind(UNKNOWN_SCORE),
        UnknownTagError: of_kind(UNKNOWN_TAG),
        UnknownModelError: of_kind(UNKNOWN_MODEL),
        InputError: of_kind(INVALID_REQUEST),
        ProfilestoreError: not_ready,
        RequestValidationError: invalid,
        HTTPException: http,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def fault(request: Request, error: Exception) -> Response:
    """What is answered where a fault of ours left a request without an answer."""
    _log.error("%s %s failed", request.method, route_of(request.scope), exc_info=error)
    return _answer(request, INTERNAL, INTERNAL.meaning)


def overloaded(request: Request) -> Response:
    """What is answered to a request that is one too many."""
    return _answer(request, OVERLOADED, OVERLOADED.meaning, headers={"Retry-After": "1"})


def unnoted(request: Request, error: ProfilestoreError) -> Response:
    """What is answered where it cannot be noted what would be told."""
    return _answer(request, NOT_READY, str(error))


def described(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """What a route that can fail so declares in OpenAPI."""
    by_status: dict[int, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {
            "description": " ".join(f"{kind.title}. {kind.meaning}" for kind in those),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, those in by_status.items()
    }


def _answer(
    request: Request,
    kind: Kind,
    detail: str,
    *,
    errors: list[FieldProblem] | None = None,
    missing: Sequence[MissingPart] | None = None,
    headers: Any = None,
) -> Response:
    document = Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=request.scope["path"],
        errors=errors,
        missing=None if missing is None else list(missing),
    )
    if _wants_page(request):
        return problem_page(document, headers)
    # ASCII: a path may hold what UTF-8 cannot, and a problem must never fail itself.
    body = json.dumps(document.model_dump(mode="json", exclude_none=True), ensure_ascii=True)
    return Response(body, kind.status, headers, MEDIA_TYPE)


def _wants_page(request: Request) -> bool:
    path = request.scope["path"]
    return not path.startswith(_FOR_MACHINES) and "text/html" in request.headers.get("accept", "")
