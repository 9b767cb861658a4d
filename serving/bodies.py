"""Bodies of requests: read no further than they may be long."""

from __future__ import annotations

from fastapi import Request

from serving import problems

MOST_BYTES = 1 << 20
PROBLEMS = (problems.TOO_LARGE, problems.NO_JSON)


async def read_json(request: Request) -> bytes:
    """A body that says that it is JSON, not yet parsed.

    Raises:
        ProblemError: it says something else, or is too long.
    """
    # Only this type makes a browser ask before it sends from another site's page.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise problems.ProblemError(
            problems.NO_JSON, f"Found the content type {kind or 'none'!r:.80}."
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise problems.ProblemError(
                problems.TOO_LARGE, f"A body may have {MOST_BYTES:,} bytes. Send several."
            )
    return bytes(body)
