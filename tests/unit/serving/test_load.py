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


class Queue:
    """Requests that are answered one after the other, each when the test says so."""

    def __init__(self, longest_wait: float, *, most: int = 1000) -> None:
        self.now = 0.0
        self._waiting: list[asyncio.Event] = []
        self._asked: list[asyncio.Task[int]] = []
        self._shedding = Shedding(
            self._app, most, longest_wait, problems.overloaded, clock=lambda: self.now
        )

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        event = asyncio.Event()
        self._waiting.append(event)
        await event.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(self) -> bool:
        """Whether one more request is let in."""
        refused: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] == 503:
                refused.append(503)

        scope = {"type": "http", "path": "/x", "method": "GET", "headers": []}
        self._asked.append(asyncio.create_task(self._shedding(scope, None, send)))  # type: ignore
        for _ in range(5):
            await asyncio.sleep(0)
        return not refused

    async def answer(self, seconds: float) -> None:
        """The oldest, after so long."""
        self.now += seconds
        self._waiting.pop(0).set()
        for _ in range(5):
            await asyncio.sleep(0)

    async def learn(self, seconds: float) -> None:
        """Many have been answered, each in this time."""
        for _ in range(300):
            assert await self.ask()
            await self.answer(seconds)
        self.now += 10

    @property
    def waiting(self) -> int:
        return len(self._waiting)


def test_clients_that_wait_for_their_answers_are_let_in() -> None:
    async def run() -> None:
        queue = Queue(0.02)
        await queue.learn(0.01)
        assert all([await queue.ask() for _ in range(16)])
        for _ in range(100):
            await queue.answer(0.01)
            assert await queue.ask()

    asyncio.run(run())


def test_where_more_come_than_are_answered_nobody_is_let_in_who_would_wait_for_long() -> None:
    """Ten milliseconds an answer, and fifty to wait at most: five before one."""

    async def run() -> None:
        queue = Queue(0.05)
        await queue.learn(0.01)
        assert [await queue.ask() for _ in range(20)] == [True] * 16 + [False] * 4
        while queue.waiting > 5:
            assert not await queue.ask()
            await queue.answer(0.01)
        assert await queue.ask()
        assert queue.waiting == 6
        # It is not over as long as somebody is refused.
        for _ in range(300):
            assert not await queue.ask()
            await queue.answer(0.01)
            assert await queue.ask()
        while queue.waiting:
            await queue.answer(0.01)
        assert [await queue.ask() for _ in range(16)] == [True] * 6 + [False] * 10
        while queue.waiting:
            await queue.answer(0.01)
        queue.now += 1.1
        assert all([await queue.ask() for _ in range(16)])

    asyncio.run(run())


def test_quick_answers_are_never_too_many() -> None:
    async def run() -> None:
        queue = Queue(0.02)
        await queue.learn(0.0001)
        for _ in range(50):
            assert all([await queue.ask() for _ in range(100)])
            for _ in range(100):
                await queue.answer(0.0001)

    asyncio.run(run())


def test_a_few_are_let_in_however_slow_they_were() -> None:
    async def run() -> None:
        queue = Queue(0.001)
        await queue.learn(0.5)
        assert [await queue.ask() for _ in range(17)] == [True] * 16 + [False]
        while queue.waiting:
            await queue.answer(0)
        assert [await queue.ask() for _ in range(9)] == [True] * 2 + [False] * 7

    asyncio.run(run())


def test_how_it_is_can_always_be_asked(settings: Any, deploy: Any) -> None:
    from dataclasses import replace

    from serving.app import create_app

    client = TestClient(create_app(replace(settings, most_at_once=0), deployment=deploy()))
    assert client.get("/v1/users").status_code == 503
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert "profilestore_requests_shed_total" in client.get("/metrics").text
