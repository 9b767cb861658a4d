"""How long is the way from nothing to a profile, and how good is the model at its end?

Runs `make demo` twice in a fresh copy of the checkout with an empty home folder and the packages of
this environment, then starts the service until it is ready. `--quick` trains one epoch.

    make bench-demo            -> results/demo.json, results/demo.png
    make bench-demo QUICK=1    -> results/demo.quick.json, results/demo.quick.png
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import matplotlib as mpl
from result import CHECKOUT, Figure, write_result

from profilestore.settings import child_environment

mpl.use("Agg")
import matplotlib.pyplot as plt

LIMIT_SECONDS = {"first": 720.0, "second": 120.0, "ready": 3.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="train one epoch")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        home = _copy(Path(folder) / "profilestore")
        settings = []
        if quick:
            config = Path(folder) / "quick.yaml"
            config.write_text("epochs: 1\n")
            settings = [f"CONFIG={config}"]
        stages, first = _demo(home, Path(folder), settings)
        _, second = _demo(home, Path(folder), settings)
        ready = min(_seconds_to_ready(home) for _ in range(3))
        version = json.loads((home / "data/models/current.json").read_text())["version"]
        metrics = json.loads((home / "data/models" / version / "metrics.json").read_text())

    figures = [
        _limit("make demo, nothing built", first, "first"),
        _limit("make demo again", second, "second"),
        _limit("service, start of process to ready", ready, "ready"),
        *(Figure(f"stage {name}", "wall time", seconds, "s") for name, seconds in stages.items()),
    ]
    own = metrics["test"].pop("two-tower")
    for metric in ("ndcg@10", "recall@10", "mrr"):
        figures += [
            Figure(
                "MovieLens by time, test window",
                metric,
                own[metric],
                "",
                name,
                theirs[metric],
                own[metric] / theirs[metric],
            )
            for name, theirs in metrics["test"].items()
        ]
    path = write_result("demo", figures, quick=quick)
    _plot(path.with_suffix(".png"), stages)
    print(f"wrote {path} and {path.with_suffix('.png').name}")


def _copy(home: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(home)], check=True)
    for name in ("requirements/dev.lock", "requirements/carriers.lock", "pyproject.toml"):
        # Older than the stamp of this environment, which is thus taken as it is. (Set up again, it
        # would be left with the copy's package, which goes with the copy.)
        os.utime(home / name, (0, 0))
    return home


def _demo(home: Path, user_home: Path, settings: list[str]) -> tuple[dict[str, float], float]:
    """Seconds of each stage, and of the whole."""
    started = time.perf_counter()
    starts: list[tuple[str, float]] = []
    environment = child_environment(
        HOME=str(user_home), PROFILESTORE_HOME=str(home), PYTHONUNBUFFERED="1"
    )
    with subprocess.Popen(
        ["make", f"VENV={sys.prefix}", "demo", *settings],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            stage = re.match(r"== (\w+)", line)
            if stage:
                starts.append((stage[1], time.perf_counter()))
                print(line, end="", flush=True)
    if process.returncode:
        sys.exit(f"make demo failed in {home}")
    ended = time.perf_counter()
    ends = [at for _, at in starts[1:]] + [ended]
    stages = {name: end - at for (name, at), end in zip(starts, ends, strict=True)}
    return stages, ended - started


def _seconds_to_ready(home: Path) -> float:
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "profilestore", "serve", "--port", "0"],
        cwd=home,
        env=child_environment(PROFILESTORE_HOME=str(home)),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+(?=/ )", process.stdout.readline())
        assert address is not None
        while True:
            try:
                with urllib.request.urlopen(f"{address[0]}/readyz", timeout=30):
                    break
            except urllib.error.HTTPError:
                time.sleep(0.01)
        seconds = time.perf_counter() - started
        process.terminate()
        process.stdout.read()
    return seconds


def _limit(case: str, seconds: float, limit: str) -> Figure:
    allowed = LIMIT_SECONDS[limit]
    return Figure(case, "wall time", seconds, "s", "limit", allowed, allowed / seconds)


def _plot(path: Path, stages: dict[str, float]) -> None:
    figure, axes = plt.subplots(figsize=(7.2, 2.8), dpi=144, layout="constrained")
    names = list(stages)[::-1]
    bars = axes.barh(names, [stages[name] for name in names], color="#2457a6", height=0.6)
    axes.bar_label(bars, fmt=" %.0f s", fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=9)
    axes.set_xlabel("seconds of each stage of make demo, after set-up", fontsize=9)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
