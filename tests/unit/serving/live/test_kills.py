"""SIGKILL at random moments under load: no acknowledged event is lost, and none counts twice."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from profilestore.settings import Settings, child_environment
from serving.live.event import Told
from serving.live.log import LiveLog, Position

REPO = Path(__file__).parents[4]
PEOPLE = [f"person-{n}" for n in range(5)]
SENDERS = 4


@dataclass
class Sender:
    """Somebody who sends batches, and the same again until there is an answer.

    Attributes:
        acknowledged: ids of events that were said to be taken.
        sent: events by id, in the order of the first sending.
    """

    name: str
    chance: random.Random
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    accepted: Counter[str] = field(default_factory=Counter)
    unanswered: list[dict[str, Any]] = field(default_factory=list)

    def send(self, address: str, stop: threading.Event) -> None:
        while not stop.is_set():
            batch = self.unanswered or self._new()
            self.unanswered = batch
            try:
                answer = post(address, batch)
            except (OSError, http.client.HTTPException, ValueError):
                return  # it was killed
            self.unanswered = []
            for one in answer["events"]:
                self.acknowledged.add(one["event_id"])
                self.accepted[one["event_id"]] += one["state"] == "accepted"

    def _new(self) -> list[dict[str, Any]]:
        batch = []
        for _ in range(self.chance.randint(1, 20)):
            event = {
                "event_id": f"{self.name}-{len(self.sent)}",
                "user_id": self.chance.choice(PEOPLE),
                "event_type": "view",
                "item_id": f"i{self.chance.randint(1, 9)}",
            }
            self.sent[event["event_id"]] = event
            batch.append(event)
        # Told before, and told again.
        return batch + self.chance.sample(list(self.sent.values()), min(3, len(self.sent)))


def post(address: str, batch: list[dict[str, Any]]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}v1/events",
        json.dumps(batch).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def start(home: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "profilestore", "serve", "--port", "0"],
        cwd=REPO,
        env=child_environment(PROFILESTORE_HOME=str(home), PYTHONPATH=str(REPO)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said.startswith("Profilestore serves at "), said
    return process, said.split()[3]


def rounds_of_kills(home: Path, rounds: int, seed: int) -> list[Sender]:
    chance = random.Random(seed)
    senders = [Sender(f"s{n}", random.Random(seed + n)) for n in range(SENDERS)]
    for _ in range(rounds):
        process, address = start(home)
        stop = threading.Event()
        threads = [threading.Thread(target=sender.send, args=(address, stop)) for sender in senders]
        before = sum(len(sender.acknowledged) for sender in senders)
        for thread in threads:
            thread.start()
        # Some are killed while they still read the log, most under load.
        if chance.random() < 0.8:
            until = time.monotonic() + 60
            while sum(len(sender.acknowledged) for sender in senders) == before:
                assert time.monotonic() < until
                time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        stop.set()
        for thread in threads:
            thread.join()
        assert process.stdout is not None
        process.stdout.close()
    return senders


def check(home: Path, senders: list[Sender]) -> None:
    log = LiveLog(Settings(home=home).live / "events")
    found = Counter(Told.from_line(line.text).event_id for line in log.lines(Position("", 0)))
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    assert acknowledged, "nothing was acknowledged: the test tested nothing"
    lost = acknowledged - found.keys()
    twice = {one for one, times in found.items() if times > 1}
    assert (lost, twice) == (set(), set())
    for sender in senders:
        assert max(sender.accepted.values(), default=0) <= 1


def run(home: Path, rounds: int, seed: int) -> None:
    senders = rounds_of_kills(home, rounds, seed)
    check(home, senders)
    # Started once more, it takes what was never answered, and all else is a repetition.
    process, address = start(home)
    try:
        for sender in senders:
            everything = list(sender.sent.values())
            for first in range(0, len(everything), 1000):
                answer = post(address, everything[first : first + 1000])
                sender.acknowledged |= {one["event_id"] for one in answer["events"]}
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        assert process.stdout is not None
        process.stdout.close()
    check(home, senders)
    sent = set().union(*(sender.sent for sender in senders))
    assert sent == set().union(*(sender.acknowledged for sender in senders))


def test_eight_kills(tmp_path: Path) -> None:
    run(tmp_path, 8, seed=1)


@pytest.mark.kills
def test_fifty_kills(tmp_path: Path) -> None:
    run(tmp_path, 50, seed=random.randrange(2**32))
