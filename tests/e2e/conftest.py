"""`make demo` in a copy of the checkout, as a newcomer runs it: whole, once a session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

Make = Callable[..., subprocess.CompletedProcess[str]]


def copy_of_checkout(target: Path) -> Path:
    """The files that git knows, or would: no data, no environment, nothing built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target / name)
    return target


def run_make(home: Path, *arguments: str, user_home: Path) -> subprocess.CompletedProcess[str]:
    """make in `home`, with this environment's packages and an empty home folder."""
    installed = Path(sys.prefix) / ".installed"
    # Otherwise the copy would set itself up, and this environment would be its own no more.
    if any(
        not installed.exists() or (home / name).stat().st_mtime > installed.stat().st_mtime
        for name in ("requirements/dev.lock", "pyproject.toml")
    ):
        pytest.fail(f"{sys.prefix} is older than the requirements: run `make setup` first")
    environment = {
        # Without what a make around the tests tells a make within it.
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PROFILESTORE", "MAKE", "MFLAGS"))
        },
        "PROFILESTORE_HOME": str(home),
        "HOME": str(user_home),
    }
    return subprocess.run(
        ["make", f"VENV={sys.prefix}", *arguments],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """`make(home, *arguments)`: its finished process."""
    user_home = tmp_path_factory.mktemp("empty-home")
    return lambda home, *arguments: run_make(home, *arguments, user_home=user_home)


@pytest.fixture(scope="session")
def copy() -> Callable[[Path], Path]:
    return copy_of_checkout


@pytest.fixture
def checkout_copy(tmp_path: Path) -> Path:
    return copy_of_checkout(tmp_path / "profilestore")


@pytest.fixture(scope="session")
def demo(
    tmp_path_factory: pytest.TempPathFactory, make: Make
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of a finished `make demo`, and what it said."""
    home = copy_of_checkout(tmp_path_factory.mktemp("demo") / "profilestore")
    done = make(home, "demo")
    assert done.returncode == 0, f"make demo failed\n{done.stdout}\n{done.stderr}"
    return home, done


@pytest.fixture(scope="session")
def demo_home(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    return demo[0]
