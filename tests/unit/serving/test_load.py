"""One too many is refused at once, and the others are answered."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi.testclient import TestClient

from serving import problems
from serving.load import Shedding

PATIENT = 1e6


async def wait_for(events: list[asyncio.Event], scope: Any, send: Any) -> None:
    await events[int(scope["path"][1:])].wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def test_one_too_many_is_refused_and_the_next_is_not() -> None:
    async def run() -> None:
        events = [asyncio.Event() for _ in range(5)]

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/9":
                raise RuntimeError
            await wait_for(events, scope, send)

        shedding = Shedding(app, 3, PATIENT, problems.overloaded)
        transport = httpx.ASGITransport(app=shedding, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            first = [asyncio.create_task(client.get(f"/{n}")) for n in range(3)]
            await asyncio.sleep(0.05)
            refused = await client.get("/3")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["type"] == "/docs#overloaded"
            events[0].set()
            assert (await first[0]).status_code == 200
            # A place that a fault left is free again, too.
            assert (await client.get("/9")).status_code == 500
            fourth = asyncio.create_task(client.get("/3"))
            await asyncio.sleep(0.05)
            assert (await client.get("/4")).status_code == 503
            for event in events:
                event.set()
            assert [(await one).status_code for one in (*first, fourth)] == [200] * 4

    asyncio.run(run())


def test_together_means_those_that_came_at_once() -> None:
    """Requests that never wait for anything are counted all the same."""

    async def run() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        transport = httpx.ASGITransport(app=Shedding(app, 3, PATIENT, problems.overloaded))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = await asyncio.gather(*(client.get("/x") for _ in range(10)))
        assert sorted(one.status_code for one in answers) == [200] * 3 + [503] * 7

    asyncio.run(run())


def test_how_many_are_too_many_follows_from_how_fast_they_are_answered() -> None:
    """Ten milliseconds an answer and two hundred to wait at most: twenty at a time, whoever waits
    more is refused; and as many as come, where answers take no time."""

    async def accepted(seconds: float) -> int:
        turn = asyncio.Lock()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            async with turn:
                await asyncio.sleep(seconds)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        transport = httpx.ASGITransport(app=Shedding(app, 1000, 0.2, problems.overloaded))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for _ in range(40):
                await asyncio.gather(*(client.get("/x") for _ in range(4)))
            answers = await asyncio.gather(*(client.get("/x") for _ in range(60)))
        return sum(one.status_code == 200 for one in answers)

    assert 16 <= asyncio.run(accepted(0.01)) <= 21
    assert asyncio.run(accepted(0.0)) == 60


def test_a_few_are_taken_however_slow_they_were() -> None:
    async def run() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0.01)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        transport = httpx.ASGITransport(app=Shedding(app, 1000, 0.001, problems.overloaded))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for _ in range(40):
                assert (await client.get("/x")).status_code == 200
            answers = await asyncio.gather(*(client.get("/x") for _ in range(18)))
            assert sorted(one.status_code for one in answers) == [200] * 16 + [503] * 2

    asyncio.run(run())


def test_how_it_is_can_always_be_asked(settings: Any, deploy: Any) -> None:
    from dataclasses import replace

    from serving.app import create_app

    client = TestClient(create_app(replace(settings, most_at_once=0), deployment=deploy()))
    assert client.get("/v1/users").status_code == 503
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert "profilestore_requests_shed_total" in client.get("/metrics").text
