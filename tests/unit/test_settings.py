"""One root for all paths, one reader of the environment, and a key that never shows."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

from profilestore.errors import InputError
from profilestore.settings import Settings, child_environment, load_settings, quiet_tensorflow

REPO = Path(__file__).resolve().parents[2]
CODE = [
    path
    for folder in ("profilestore", "training", "serving", "feature_repo", "benchmarks")
    for path in sorted((REPO / folder).rglob("*.py"))
]
VARIABLES = [f"PROFILESTORE_{name}" for name in ("HOME", "PSEUDONYM_KEY", "HOST", "PORT")]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_an_environment_home_is_the_checkout() -> None:
    assert load_settings() == Settings(REPO, None, "127.0.0.1", 8000)


def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in zip(VARIABLES, [str(tmp_path), "a phrase", "0.0.0.0", "81"], strict=True):
        monkeypatch.setenv(name, value)
    assert load_settings() == Settings(tmp_path, "a phrase", "0.0.0.0", 81)


def test_a_relative_home_is_resolved_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command may change its folder; its paths must not move with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROFILESTORE_HOME", "here")
    settings = load_settings()
    monkeypatch.chdir("/")
    assert settings.raw == tmp_path / "here" / "data" / "raw"


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert load_settings() == Settings(REPO)


@pytest.mark.parametrize("port", ["http", "80.5", "-1", "65536", " ", "²"])
def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PROFILESTORE_PORT", port)
    with pytest.raises(InputError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"PROFILESTORE_PORT: found {port!r}")


def test_every_path_lies_below_home(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    paths = {
        name: getattr(settings, name)
        for name, member in vars(Settings).items()
        if isinstance(member, property)
    }
    assert len(paths) >= 10
    assert all(path.is_relative_to(tmp_path) for path in paths.values()), paths
    assert len(set(paths.values())) == len(paths)


def test_the_key_is_not_in_what_is_printed(tmp_path: Path) -> None:
    settings = Settings(tmp_path, pseudonym_key="do not show me")
    for text in (
        repr(settings),
        str(settings),
        f"{settings}",
        repr([settings]),
        repr({1: settings}),
    ):
        assert "do not show me" not in text
        assert str(tmp_path) in text
    # It is there all the same, and counts when settings are compared.
    assert settings.pseudonym_key == "do not show me"
    assert settings != dataclasses.replace(settings, pseudonym_key="another")


def test_settings_do_not_change(tmp_path: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings(tmp_path).port = 1  # type: ignore[misc]


def test_a_child_inherits_and_is_told_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILESTORE_PSEUDONYM_KEY", "a phrase")
    monkeypatch.setenv("GIVEN", "before")
    child = child_environment(GIVEN="now", MORE="1")
    assert (child["PROFILESTORE_PSEUDONYM_KEY"], child["GIVEN"], child["MORE"]) == (
        *("a phrase", "now", "1"),
    )
    assert child_environment()["GIVEN"] == "before"


def test_tensorflow_is_told_before_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    quiet_tensorflow()
    child = child_environment()
    assert child["TF_USE_LEGACY_KERAS"] == "1"  # TFRS does not work otherwise
    assert child["TF_CPP_MIN_LOG_LEVEL"] == "0"  # whoever debugs has asked for more


READERS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def environment_readers(tree: ast.AST) -> list[int]:
    """Lines that touch the environment: `os.environ`, `from os import getenv`, `os.putenv`, ..."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in READERS:
            lines.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            lines += [node.lineno for one in node.names if one.name in READERS]
    return lines


def test_nobody_else_reads_the_environment() -> None:
    readers = {
        str(path.relative_to(REPO))
        for path in CODE
        if environment_readers(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert readers == {"profilestore/settings.py"}


@pytest.mark.parametrize(
    "code",
    ["import os\nos.environ['X']", "import os as o\no.getenv('X')", "from os import environ as e"],
)
def test_a_reader_is_seen(code: str) -> None:
    assert environment_readers(ast.parse(code))
