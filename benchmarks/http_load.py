"""An HTTP client that costs little, so that what is measured is the server.

Keep-alive connections, each with one request on its way, on plain sockets: requests are bytes that
were made before. Run as a child of a benchmark, pinned to a core of its own.

- closed: each connection sends the next request as soon as it has its answer.
- open: requests begin at a rate, whatever the server does, on as many connections as it takes.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

_END = b"\r\n\r\n"
# Of an open load: more than these are not begun.
_MOST_CONNECTIONS = 512


@dataclass
class _Connection:
    """One request on its way, or none."""

    socket: socket.socket
    began: float = 0.0
    said: bytearray | None = None
    needed: int = 0


def request_bytes(method: str, path: str, body: Any = None) -> str:
    """A whole request, as text."""
    text = "" if body is None else json.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", "Accept-Encoding: identity"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(text.encode())}"]
    return "\r\n".join(lines) + "\r\n\r\n" + text


def run(case: dict[str, Any]) -> dict[str, Any]:
    """What a load of a server gave.

    Args:
        case: `port`, `requests` (a file of JSON, request texts), `seconds`, `core`; and
            `connections` of a closed load, or `rate` a second of an open one.

    Returns:
        Answers a second, milliseconds at percentiles of those with status 200, and how often each
        status came.
    """
    if case.get("core") is not None:
        os.sched_setaffinity(0, {case["core"]})
    requests = [one.encode() for one in json.loads(Path(case["requests"]).read_text())]
    load = _Load(case["port"], cycle(requests))
    if "rate" in case:
        load.open(case["rate"], case.get("warm", 1.0))
        load.forget()
        seconds = load.open(case["rate"], case["seconds"])
    else:
        load.closed(case["connections"], case.get("warm", 0.5))
        load.forget()
        seconds = load.closed(case["connections"], case["seconds"])
    good = np.array(load.times.get(200, []))
    found: dict[str, Any] = {
        "statuses": {str(status): len(times) for status, times in load.times.items()},
        "per_second": len(good) / seconds,
        "late": load.late,
        "retry_after": load.retry_after,
    }
    if len(good):
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
            found[name] = float(np.quantile(good, share)) * 1e3
    return found


class _Load:
    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self._port, self._requests = port, requests
        self._free: list[_Connection] = []
        self._busy = 0
        self._selector = selectors.DefaultSelector()
        self.forget()

    def forget(self) -> None:
        """Of what was measured so far, nothing counts."""
        self.times: dict[int, list[float]] = {}
        # Requests of an open load that found no connection, and refusals that said when to come.
        self.late = 0
        self.retry_after = 0

    def closed(self, connections: int, seconds: float) -> float:
        began = time.perf_counter()
        until = began + seconds
        for _ in range(connections):
            self._begin(self._connection())
        while self._busy:
            for connection in self._answers(None):
                if time.perf_counter() < until:
                    self._begin(connection)
                else:
                    self._free.append(connection)
        return time.perf_counter() - began

    def open(self, rate: float, seconds: float) -> float:
        began = time.perf_counter()
        count = 0
        while count < rate * seconds or self._busy:
            now = time.perf_counter()
            due = began + count / rate
            if count < rate * seconds and now >= due:
                count += 1
                if self._busy < _MOST_CONNECTIONS:
                    self._begin(self._connection())
                else:
                    self.late += 1
                continue
            wait = max(due - now, 0.0) if count < rate * seconds else None
            self._free += self._answers(wait)
        return time.perf_counter() - began

    def _connection(self) -> _Connection:
        if self._free:
            return self._free.pop()
        made = socket.create_connection(("127.0.0.1", self._port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(made)
        self._selector.register(made, selectors.EVENT_READ, connection)
        return connection

    def _begin(self, connection: _Connection) -> None:
        connection.said, connection.needed = bytearray(), 0
        connection.began = time.perf_counter()
        connection.socket.sendall(next(self._requests))
        self._busy += 1

    def _answers(self, wait: float | None) -> Sequence[_Connection]:
        """Connections whose answers have come whole."""
        done = []
        for key, _ in self._selector.select(wait):
            connection: _Connection = key.data
            try:
                part = connection.socket.recv(1 << 20)
            except ConnectionResetError:
                part = b""
            if not part and not connection.said:
                self._closed(connection)
                continue
            if not part or connection.said is None:
                raise ConnectionError("the server closed a connection in the middle of an answer")
            connection.said += part
            if not connection.needed:
                end = connection.said.find(_END)
                if end < 0:
                    continue
                head = bytes(connection.said[:end]).lower()
                length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
                connection.needed = end + len(_END) + int(length or 0)
            if len(connection.said) < connection.needed:
                continue
            seconds = time.perf_counter() - connection.began
            head = bytes(connection.said[: connection.said.find(_END)])
            status = int(head[9:12])
            self.retry_after += status in (429, 503) and b"retry-after:" in head.lower()
            self.times.setdefault(status, []).append(seconds)
            connection.said = None
            self._busy -= 1
            done.append(connection)
        return done

    def _closed(self, connection: _Connection) -> None:
        """The server may close what nobody used for a while; what was just sent is sent again."""
        self._selector.unregister(connection.socket)
        connection.socket.close()
        if connection.said is None:
            self._free.remove(connection)
            return
        self._busy -= 1
        again = self._connection()
        self._begin(again)
        again.began = connection.began


def counts(found: dict[str, Any]) -> Counter[str]:
    """How often each status came."""
    return Counter(found["statuses"])
