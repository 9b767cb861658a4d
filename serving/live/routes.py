"""`POST /v1/events`: the body is read, measured and checked before anything is taken of it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from serving import problems
from serving.access import Gate
from serving.access.gate import PROBLEMS as REFUSALS
from serving.bodies import PROBLEMS as BODY_PROBLEMS
from serving.bodies import read_json
from serving.live.event import BATCH, MOST_EVENTS, ONE, EventsTaken, LiveEvent, faults
from serving.live.intake import Intake

_EVENT = {"$ref": "#/components/schemas/LiveEvent"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        _EVENT,
                        {
                            "type": "array",
                            "items": _EVENT,
                            "minItems": 1,
                            "maxItems": MOST_EVENTS,
                        },
                    ]
                },
                "example": {
                    "event_id": "8b1f6c1e-5a52-4b0e-9d6e-0a3f7c2d9b11",
                    "user_id": "u-5f0d1c0a6c1e4d7b9a2f3e8b7c6d5e4f",
                    "event_type": "rating",
                    "item_id": "318",
                    "value": 4.5,
                },
            }
        },
    }
}


def add_event_routes(app: FastAPI, intake: Intake, gate: Gate) -> None:
    """Add the route at which `intake` is told of events."""

    @app.post(
        "/v1/events",
        tags=["events"],
        summary="Tell what people did",
        dependencies=[gate.needs("events:write")],
        responses=problems.described(
            *REFUSALS,
            *BODY_PROBLEMS,
            problems.INVALID_REQUEST,
            problems.NOT_READY,
        ),
        openapi_extra=_BODY,
    )
    async def events(request: Request) -> EventsTaken:
        """One event, or a list of up to a thousand; answered when all of them are on the disk.

        Either all are taken or, with a problem, none. An event whose `event_id` was taken before
        changes nothing, so whoever got no answer sends the same again.
        """
        told = _checked(await read_json(request), intake)
        return await run_in_threadpool(intake.take, told)


def _checked(body: bytes, intake: Intake) -> list[LiveEvent]:
    is_batch = body.lstrip()[:1] == b"["
    try:
        told = BATCH.validate_json(body) if is_batch else [ONE.validate_json(body)]
    except ValidationError as error:
        raise RequestValidationError(
            [_at_body(found["loc"], found["msg"]) for found in error.errors(include_input=False)]
        ) from None
    wrong = faults(told, is_batch=is_batch, now=intake.now())
    if wrong:
        raise RequestValidationError([_at_body(fault.where, fault.detail) for fault in wrong])
    return told


def _at_body(where: tuple[Any, ...], detail: str) -> dict[str, Any]:
    return {"loc": ("body", *where), "msg": detail}
