"""The form of a benchmark's result: figures, and the machine and commit they were taken on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import profilestore

CHECKOUT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Figure:
    """One figure, beside what it is compared with.

    Attributes:
        ratio: how many times better than the peer; above 1 is better.
    """

    case: str
    metric: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None


def write_result(name: str, figures: Sequence[Figure], *, quick: bool) -> Path:
    """`benchmarks/results/<name>.json`, or `<name>.quick.json` for the cut."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / (f"{name}.quick.json" if quick else f"{name}.json")
    result = {
        "machine": machine(),
        "commit": commit(),
        "rows": [asdict(figure) for figure in figures],
    }
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


def show(figures: Sequence[Figure]) -> None:
    """Print the figures, a line each."""
    case = max(len(figure.case) for figure in figures)
    metric = max(len(figure.metric) for figure in figures)
    for one in figures:
        beside = "" if one.ratio is None else f"   {one.ratio:.2f} x {one.peer}"
        print(f"{one.case:{case}} {one.metric:{metric}} {one.value:9.3f} {one.unit}{beside}")


def machine() -> dict[str, str | int]:
    """Processor, cores, memory and system, as the system tells them."""
    facts = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (facts.read_text().splitlines() if facts.exists() else [])
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """The checkout's commit, with `+` when files differ from it (results aside).

    Raises:
        SystemExit: another checkout's code is installed, and would be what was measured.
    """
    measured = Path(profilestore.__file__).resolve().parents[1]
    if measured != CHECKOUT:
        raise SystemExit(f"{measured} is installed here, not {CHECKOUT}: rm -r .venv; make setup")
    git = ["git", "-C", str(CHECKOUT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ".", ":!benchmarks/results"],
        capture_output=True,
        text=True,
    )
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
