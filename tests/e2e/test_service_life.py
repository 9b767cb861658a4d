"""The life of a running service: another model under load, and the end."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from profilestore.settings import child_environment

REPO = Path(__file__).resolve().parents[2]
ASKERS = 4


@contextmanager
def service(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that serves, and its port."""
    with subprocess.Popen(
        [sys.executable, "-m", "profilestore", "serve", "--port", "0"],
        cwd=REPO,
        env=child_environment(
            PROFILESTORE_HOME=str(home), PYTHONPATH=str(REPO), PROFILESTORE_LOG="warning"
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
            yield process, port
        finally:
            process.kill()


def ask(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answered = connection.getresponse()
        return answered.status, json.loads(answered.read())
    finally:
        connection.close()


def people(port: int) -> list[str]:
    _, said = ask(port, "/v1/users?limit=20")
    return [one["user_id"] for one in said["users"]]


@pytest.fixture
def two_models(demo_home: Path) -> Iterator[tuple[str, str]]:
    """The current version, and that of a copy of it under another name."""
    models = demo_home / "data" / "models"
    pointer = (models / "current.json").read_text()
    current = json.loads(pointer)["version"]
    other = f"{current}-again"
    shutil.copytree(models / current, models / other)
    manifest = json.loads((models / other / "bundle.json").read_text())
    (models / other / "bundle.json").write_text(json.dumps({**manifest, "version": other}))
    yield current, other
    shutil.rmtree(models / other)
    (models / "current.json").write_text(pointer)


def test_models_are_exchanged_without_a_dropped_request(
    demo_home: Path, two_models: tuple[str, str]
) -> None:
    current, other = two_models
    with service(demo_home) as (_, port):
        who = people(port)
        stop = threading.Event()
        found: list[list[tuple[int, str]]] = [[] for _ in range(ASKERS)]

        def keep_asking(answers: list[tuple[int, str]], first: int) -> None:
            turn = first
            while not stop.is_set():
                turn += 1
                status, said = ask(port, f"/v1/recommendations/{who[turn % len(who)]}")
                source = said["recommendations"]["source"] if status == 200 else {}
                answers.append((status, source.get("model", str(said))))

        askers = [
            threading.Thread(target=keep_asking, args=(answers, n))
            for n, answers in enumerate(found)
        ]
        for one in askers:
            one.start()
        try:
            for version in (other, current, other, current):
                time.sleep(0.7)
                status, said = ask(port, "/v1/models/current", {"version": version})
                assert status == 200
                assert [one["version"] for one in said["models"] if one["is_current"]] == [version]
                # From then on it answers.
                _, after = ask(port, f"/v1/recommendations/{who[0]}")
                assert after["recommendations"]["source"]["model"] == version
            time.sleep(0.3)
        finally:
            stop.set()
            for one in askers:
                one.join()
    answers = [one for some in found for one in some]
    assert len(answers) > 20
    assert {status for status, _ in answers} == {200}, answers
    assert {model for _, model in answers} == {current, other}


def test_who_is_told_to_stop_answers_what_it_was_asked(demo_home: Path) -> None:
    with service(demo_home) as (process, port):
        (user, *_) = people(port)
        # The past is read from the lake: these take a while, one after the other.
        path = f"/v1/profiles/{user}?as_of=2026-01-01T00:00:00Z&fields=activity,attributes"
        assert ask(port, path)[0] in (200, 404)
        answers: list[int] = []
        begun = threading.Barrier(ASKERS + 1)

        def ask_once() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", path)
            begun.wait()
            answers.append(connection.getresponse().status)

        askers = [threading.Thread(target=ask_once) for _ in range(ASKERS)]
        for one in askers:
            one.start()
        begun.wait()
        time.sleep(0.2)
        assert not answers, "they are answered before it is told to stop"
        process.send_signal(signal.SIGTERM)
        for one in askers:
            one.join()
        assert len(answers) == ASKERS
        assert set(answers) <= {200, 404}
        assert process.wait(60) == 0
        try:
            ask(port, "/healthz")
        except ConnectionRefusedError:
            return
        raise AssertionError("it still takes requests")
