"""Each promise of docs/privacy.md names a test, and the test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "privacy.md").read_text(encoding="utf-8")


def promises() -> list[tuple[str, str]]:
    """Promise and the test that is said to guard it."""
    section = PAGE.split("## Promises")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return [row for row in rows if row[0] not in ("promise", "---")]


@pytest.mark.parametrize(("promise", "named"), promises())
def test_a_promise_names_a_test_that_is_there(promise: str, named: str) -> None:
    found = re.fullmatch(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", named)
    assert found, f"{promise}: {named} is no test"
    path, name = REPO / found[1], found[2]
    tests = {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert tests
    assert name is None or name in tests


def test_there_are_promises() -> None:
    assert len(promises()) >= 10
