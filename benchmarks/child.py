"""One measurement in a process of its own, so that its peak memory is its own too.

A benchmark calls `measure(__file__, case)`; its script, called with `--child`, does what the case
says and prints the findings as its last line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
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
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def seconds(run: Callable[[], Any]) -> float:
    """How long one run takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
