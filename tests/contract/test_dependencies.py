"""Every direct dependency is explained, every pin has hashes, and no pin names a host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parents[2]
REQUIREMENTS = REPO / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.lock"))


def asked(path: Path) -> dict[str, Requirement]:
    """What a `.in` file asks for itself, by canonical name."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(one.name): one for one in found}


DIRECT = {
    name: requirement
    for path in sorted(REQUIREMENTS.glob("*.in"))
    for name, requirement in asked(path).items()
}


def entries(lock: Path) -> list[str]:
    """Pins with all their lines: continued lines are joined, comments are left out."""
    lines = [line for line in lock.read_text().splitlines() if not line.strip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()]


def pins(lock: Path) -> dict[str, str]:
    found = [
        re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", line) for line in entries(lock)
    ]
    return {canonicalize_name(one[1]): one[2] for one in found if one}


def explained() -> set[str]:
    """Packages in the first cell of a table row of docs/dependencies.md."""
    text = (REPO / "docs" / "dependencies.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {canonicalize_name(name) for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_a_direct_dependency_is_explained(name: str) -> None:
    assert name in explained()


def test_what_is_explained_is_asked_for() -> None:
    assert explained() <= DIRECT.keys()


def test_nothing_is_asked_for_twice() -> None:
    platform, dev = (asked(REQUIREMENTS / f"{name}.in") for name in ("platform", "dev"))
    assert not platform.keys() & dev.keys()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_line_is_a_pin_with_hashes(lock: Path) -> None:
    assert entries(lock)
    for line in entries(lock):
        assert re.fullmatch(
            r"[A-Za-z0-9._-]+(\[[^]]*\])?==[^\s;]+( ;[^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+", line
        ), line[:80]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_host(lock: Path) -> None:
    """Whoever installs has an index of their own; ours may not be reachable from there."""
    text = lock.read_text()
    for word in (
        "://",
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--trusted-host",
        " @ ",
    ):
        assert word not in text


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_what_its_source_asks_for(lock: Path) -> None:
    own = asked(lock.with_suffix(".in"))
    if lock.stem == "dev":
        own |= asked(REQUIREMENTS / "platform.in")
    locked = pins(lock)
    for name, requirement in own.items():
        assert name in locked
        assert requirement.specifier.contains(locked[name], prereleases=True), name


def test_what_runs_is_what_is_tested() -> None:
    platform, dev = (pins(REQUIREMENTS / f"{name}.lock") for name in ("platform", "dev"))
    assert platform.items() <= dev.items()


def test_feasts_suite_runs_on_the_same_versions() -> None:
    platform, universal = (
        pins(REQUIREMENTS / f"{name}.lock") for name in ("platform", "feast-universal")
    )
    both = platform.keys() & universal.keys()
    assert {"feast", "duckdb", "pyarrow", "lmdb"} <= both
    assert {name: universal[name] for name in both} == {name: platform[name] for name in both}


def test_a_carrier_brings_nothing_with_it() -> None:
    lock = REQUIREMENTS / "carriers.lock"
    assert pins(lock).keys() == asked(lock.with_suffix(".in")).keys()
    rules = (REPO / "Makefile").read_text().splitlines()
    installs = [line for line in rules if "-r requirements/carriers.lock" in line]
    assert installs
    assert all("--no-deps" in line and "--require-hashes" in line for line in installs)


def test_tests_stay_out_of_what_runs() -> None:
    only_dev = asked(REQUIREMENTS / "dev.in").keys() - asked(REQUIREMENTS / "platform.in").keys()
    assert "pytest" in only_dev
    assert "pytest" not in pins(REQUIREMENTS / "platform.lock")


def test_the_package_itself_asks_for_nothing() -> None:
    """`pip install -e .` must not resolve anything anew beside the lock."""
    text = (REPO / "pyproject.toml").read_text()
    assert re.search(r"^dependencies = \[\]$", text, re.MULTILINE)
