"""Every make target says what it does and can be run; every command is reachable or documented."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from profilestore import cli

REPO = Path(__file__).resolve().parents[2]
MAKEFILE = (REPO / "Makefile").read_text(encoding="utf-8")
# A trick of make and no target for people: what depends on it is always looked at.
NOT_FOR_PEOPLE = {"always"}
TARGETS = [
    name
    for name in re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE)
    if name not in NOT_FOR_PEOPLE
]
THE_FLOW = [
    *("setup", "logs", "build", "generate", "apply", "train", "materialize"),
    *("profile", "serve", "demo"),
]
(SUBPARSERS,) = (
    one for one in cli._parser()._actions if isinstance(one, argparse._SubParsersAction)
)
COMMANDS = sorted(SUBPARSERS.choices)


def documents() -> dict[str, str]:
    paths = [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md")]
    return {str(path.relative_to(REPO)): path.read_text(encoding="utf-8") for path in paths}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """GNU make as a person would run it, not as a child of the make that runs these tests."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        [shutil.which("make") or "make", *arguments],
        cwd=REPO,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def listed() -> dict[str, str]:
    """Target -> text, as `make help` prints them."""
    done = make("help")
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^  ([a-z0-9-]+) +(\S.*)$", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_has_a_help_text_and_is_listed(target: str, listed: dict[str, str]) -> None:
    text = re.search(rf"^{target}:.*## (.+)$", MAKEFILE, re.MULTILINE)
    assert text, f"{target} has no `## help`"
    assert listed[target] == text[1]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_can_be_run(target: str) -> None:
    done = make("--dry-run", target, "SOURCE=movielens")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_make_alone_is_help(listed: dict[str, str]) -> None:
    assert make().stdout == make("help").stdout
    assert sorted(listed) == sorted(TARGETS)


def test_reading_the_targets_is_reading_the_flow(listed: dict[str, str]) -> None:
    assert [name for name in listed if name in THE_FLOW] == THE_FLOW
    assert {"test", "lint", "help"} <= listed.keys()


def test_every_target_is_phony() -> None:
    """A file of that name would stop it from running, without a word."""
    declared = set(" ".join(re.findall(r"^\.PHONY: *(.+)$", MAKEFILE, re.MULTILINE)).split())
    assert declared == {*TARGETS, *NOT_FOR_PEOPLE}


def test_a_stage_runs_after_the_stage_it_reads_from() -> None:
    said = make("--dry-run", "--always-make", "demo", "SOURCE=movielens").stdout
    stages = re.findall(r"-m profilestore ([a-z]+)", said)
    assert list(dict.fromkeys(stages)) == [
        *("logs", "build", "generate", "apply", "train", "materialize", "profile"),
    ]


def test_make_calls_no_command_that_is_not_there() -> None:
    called = set(re.findall(r"\$\(RUN\) ([a-z]+)", MAKEFILE))
    assert called <= set(COMMANDS)
    assert called >= set(THE_FLOW) - {"setup", "demo"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_called_by_make_or_documented(command: str) -> None:
    texts = {"Makefile": MAKEFILE, **documents()}
    called = re.compile(rf"(\$\(RUN\)|profilestore) {command}\b")
    assert [name for name, text in texts.items() if called.search(text)]


def test_whatever_says_make_something_names_a_target() -> None:
    """In messages, docstrings and pages: what a person is told to run is there."""
    texts = documents()
    for folder in ("profilestore", "training", "serving", "feature_repo", "tests", "benchmarks"):
        for path in (REPO / folder).rglob("*"):
            if path.suffix in {".py", ".html", ".md"} and path != Path(__file__):
                texts[str(path.relative_to(REPO))] = path.read_text(encoding="utf-8")
    unknown = {
        (name, target)
        for name, text in texts.items()
        for target in re.findall(r"`make ([a-z][a-z0-9-]*)[^`]*`", text)
        if target not in TARGETS
    }
    assert not unknown


def test_continuous_integration_lints_and_tests() -> None:
    script = REPO / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0].startswith("#!")
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make ")] == ["make lint", "make test"]


def test_lint_runs_every_linter() -> None:
    said = make("--dry-run", "lint").stdout
    for tool in ("ruff check .", "ruff format --check .", "lint-imports", "mypy", "sqlfluff lint"):
        assert f"bin/{tool}" in said
    assert "-m pytest" in make("--dry-run", "test").stdout
