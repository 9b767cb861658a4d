"""A request leaves a line, a number and a span, and nothing that says who was asked for."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from profilestore.errors import InputError
from profilestore.settings import load_settings
from serving.telemetry import trace_to
from serving.telemetry.lines import JsonLines


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log's lines so far, of the service."""
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    handler, logger = Kept(), logging.getLogger("profilestore")
    handler.setFormatter(JsonLines())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in said]
    logger.removeHandler(handler)
    logger.setLevel(level)


def number(client: TestClient, name: str, **labels: str) -> float:
    text = client.get("/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_a_line_a_request(client: TestClient, lines: Any) -> None:
    headers = {"X-Request-ID": "from.the-shop_1", "Accept-Encoding": "identity"}
    answered = client.get("/v1/profiles/u-ann", headers=headers)
    assert answered.headers["x-request-id"] == "from.the-shop_1"
    (line,) = [line for line in lines() if line["message"] == "request"]
    assert (line["method"], line["route"], line["status"]) == (
        *("GET", "/v1/profiles/{user_id}", 200),
    )
    assert line["request_id"] == "from.the-shop_1"
    assert line["level"] == "info"
    assert line["milliseconds"] > 0
    assert line["bytes"] == len(answered.content)


@pytest.mark.parametrize("given", ["", "a b", "a\x7f", "x" * 65, 'a"b'])
def test_another_id_is_not_taken(client: TestClient, given: str) -> None:
    answered = client.get("/healthz", headers={"X-Request-ID": given} if given else {})
    assert re.fullmatch(r"[0-9a-f]{16}", answered.headers["x-request-id"])


def test_nobody_is_named(client: TestClient, lines: Any) -> None:
    for path in (
        "/v1/profiles/u-ann",
        "/users/u-ann",
        "/v1/profiles/u-ann/secret",
        "/u-ann",
        "/v1/recommendations/u-ann?k=0",
        "/?q=u-ann",
    ):
        client.get(path)
    client.post("/v1/similar/users", json={"user_id": "u-ann"})
    assert len(lines()) >= 7
    assert "u-ann" not in json.dumps(lines())
    assert "u-ann" not in client.get("/metrics").text


def test_numbers_by_route_and_store(client: TestClient) -> None:
    route = {"method": "GET", "route": "/v1/profiles/{user_id}", "status": "200"}
    before = number(client, "profilestore_request_seconds_count", **route)
    reads = number(client, "profilestore_store_seconds_count", store="online", operation="read")
    model = {"store": "model", "operation": "query"}
    asked = number(client, "profilestore_store_seconds_count", **model)
    for _ in range(3):
        assert client.get("/v1/profiles/u-ann").status_code == 200
    assert number(client, "profilestore_request_seconds_count", **route) == before + 3
    assert number(client, "profilestore_store_seconds_count", store="online") >= reads + 3
    assert number(client, "profilestore_store_seconds_count", **model) == asked + 3
    assert number(client, "profilestore_requests_in_flight") == 1, "the one that asks for it"


def test_odd_methods_are_one(client: TestClient) -> None:
    for method in ("BREW", "PROPFIND"):
        client.request(method, "/healthz")
    assert number(client, "profilestore_request_seconds_count", method="other") >= 2
    assert number(client, "profilestore_request_seconds_count", method="BREW") == 0


def test_a_fault_has_the_id_of_its_request(
    client: TestClient, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the cause")

    monkeypatch.setattr("serving.routes.read_profile", broken)
    answered = client.get("/v1/profiles/u-ann", headers={"X-Request-ID": "abc"})
    assert answered.status_code == 500
    assert answered.headers["x-request-id"] == "abc"
    assert "the cause" not in answered.text
    failed, request = lines()
    assert failed["request_id"] == request["request_id"] == "abc"
    assert failed["message"] == "GET /v1/profiles/{user_id} failed"
    assert "the cause" in failed["error"]
    assert request["status"] == 500


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Something that takes traces: its address, and the spans it got."""
    spans: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


def test_traces(client: TestClient, collector: tuple[str, list[Any]]) -> None:
    address, spans = collector
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    stop = trace_to(address)
    try:
        client.get("/v1/profiles/u-ann", headers={"traceparent": f"00-{trace}-{parent}-01"})
    finally:
        stop()
    client.get("/v1/profiles/u-ann")
    by_name = {span.name: span for span in spans}
    assert set(by_name) == {
        *("GET /v1/profiles/{user_id}", "online read"),
        *("model query", "model retrieve"),
    }
    request = by_name["GET /v1/profiles/{user_id}"]
    assert request.parent_span_id.hex() == parent
    assert {span.trace_id.hex() for span in spans} == {trace}
    assert by_name["model query"].parent_span_id == request.span_id
    said = {one.key: one.value for one in request.attributes}
    assert said["http.route"].string_value == "/v1/profiles/{user_id}"
    assert said["http.response.status_code"].int_value == 200
    assert "u-ann" not in str(spans)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PROFILESTORE_LOG", "loud"),
        ("PROFILESTORE_MOST_AT_ONCE", "0"),
        ("PROFILESTORE_MOST_AT_ONCE", "many"),
        ("PROFILESTORE_LONGEST_WAIT_MS", "1.5"),
    ],
)
def test_a_wrong_setting_is_said(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(InputError, match=f"{name}: found '{text}'"):
        load_settings()
