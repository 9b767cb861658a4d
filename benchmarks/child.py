"""One measurement in a process of its own, so that its peak memory is its own too.

A benchmark calls `measure(__file__, case)`; its script, called with `--child`, does what the case
says and prints the findings as its last line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profilestore.settings import child_environment


class Failed(Exception):
    """The child did not end well; its last words."""


def measure(script: str, case: dict[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
    """What the child found, and `peak_mib`: its largest resident memory.

    Raises:
        Failed: it ended with an error, was killed, or took longer than `timeout` seconds.
    """
    try:
        ended = subprocess.run(
            [sys.executable, script, "--child", json.dumps(case)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=child_environment(FEAST_USAGE="False"),
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no answer in {timeout:.0f} s") from None
    if ended.returncode != 0:
        raise Failed(" ".join(ended.stderr.strip().splitlines()[-1:])[:300] or ended.returncode)
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def answer(found: dict[str, Any]) -> None:
    """The child's last line."""
    print(json.dumps({**found, "peak_mib": round(peak_kib() / 1024)}))


def peak_kib() -> int:
    """This process's largest resident memory.

    Not `getrusage`: what that says begins with the memory of whoever started the process.
    """
    return peak_kib_of(os.getpid())


@dataclass(frozen=True)
class Watched:
    """A command that was run, with the largest memory of any of its processes."""

    seconds: float
    peak_mib: float


def watch(*arguments: str, **environment: str) -> Watched:
    """Run Python with these arguments, and look at its processes until they end.

    Raises:
        Failed: it ended with an error; its last words.
    """
    start, peak = time.perf_counter(), 0
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [sys.executable, *arguments],
            stdout=said,
            stderr=subprocess.STDOUT,
            env=child_environment(**environment),
        ) as process,
    ):
        while process.poll() is None:
            peak = max(peak, *map(peak_kib_of, family(process.pid)))
            time.sleep(0.2)
        if process.returncode != 0:
            said.seek(0)
            raise Failed(said.read()[-3000:])
    return Watched(time.perf_counter() - start, peak / 1024)


def family(process: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return [process]
    return [process, *(one for child in children for one in family(int(child)))]


def peak_kib_of(process: int) -> int:
    """A process's largest resident memory; 0 of one that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    # A process that has ended, and is not yet waited for, has no memory.
    return int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0


def kib_besides_stores(process: int) -> int:
    """A process's resident memory without the pages of LMDB's files that it has mapped."""
    kib, is_store = 0, False
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            is_store = bool(rest) and rest[-1].endswith(".mdb")
        elif first == "Rss:" and not is_store:
            kib += int(rest[0])
    return kib


def seconds(run: Callable[[], Any]) -> float:
    """How long one run takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
