"""What forms on our pages are sent with."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from serving import problems
from serving.live import LiveEvent

_MOST_BYTES = 16_384
_FIELDS = ("event_id", "event_type", "item_id", "value")


async def event_of(request: Request, user_id: str) -> LiveEvent:
    """The event that a form was sent with.

    Raises:
        ProblemError: as `form_of`.
        RequestValidationError: a field is not what it has to be.
    """
    given = await form_of(request)
    said = {name: value for name, value in given.items() if value and name in _FIELDS}
    try:
        return LiveEvent.model_validate({**said, "user_id": user_id})
    except ValidationError as error:
        raise RequestValidationError(
            [
                {"loc": ("body", *found["loc"]), "msg": found["msg"]}
                for found in error.errors(include_input=False, include_context=False)
            ]
        ) from None


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that a page of ours was sent with, each once.

    Raises:
        ProblemError: it comes from a page of somebody else's, is no form, or too long.
    """
    if not _is_ours(request):
        raise problems.ProblemError(problems.FORBIDDEN, "Forms are sent by pages of this service.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise problems.ProblemError(problems.NO_FORM, f"Found the content type {kind!r:.80}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise problems.ProblemError(problems.TOO_LARGE, "A form is shorter.")
    try:
        sent = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
    except ValueError:
        raise problems.ProblemError(problems.TOO_LARGE, "A form has fewer fields.") from None
    return {name: values[0].strip() for name, values in sent.items()}


def _is_ours(request: Request) -> bool:
    """Whether a form is of our own page: another site's could be sent by whoever visits it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")
