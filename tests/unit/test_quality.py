"""How good the data is, as it is noted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from profilestore.errors import MissingStageError
from profilestore.quality import MartQuality, Quality, RawFile, Rejection, _tests
from profilestore.settings import Settings

NOTED = Quality(
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    lake_snapshot=7,
    passed=3,
    warned=1,
    files=[RawFile("web", "events.jsonl", 10, 7, 3)],
    rejections=[Rejection("web", "time_too_early", 2), Rejection("web", "bot", 1)],
    marts=[MartQuality("user_activity", 12, 3, 1)],
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with pytest.raises(MissingStageError, match="make build"):
        Quality.read(settings)
    settings.data.mkdir()
    NOTED.write(settings)
    assert Quality.read(settings) == NOTED
    assert [file.name for file in settings.data.iterdir()] == ["quality.json"]


def test_tests_are_counted_for_their_model() -> None:
    nodes: dict[str, Any] = {
        "model.p.a": {"resource_type": "model", "alias": "a", "fqn": ["p", "marts", "a"]},
        "model.p.int_b": {
            "resource_type": "model",
            "alias": "int_b",
            "fqn": ["p", "intermediate", "int_b"],
        },
        "test.p.not_null_a": {"resource_type": "test", "attached_node": "model.p.a"},
        "test.p.unique_b": {"resource_type": "test", "attached_node": "model.p.int_b"},
        "test.p.alone": {"resource_type": "test", "attached_node": None},
    }
    results = [
        {"unique_id": "model.p.a", "status": "success"},
        {"unique_id": "test.p.not_null_a", "status": "pass"},
        {"unique_id": "test.p.unique_b", "status": "warn"},
        {"unique_id": "test.p.alone", "status": "pass"},
        {"unique_id": "unit_test.p.a.works", "status": "pass"},
    ]
    found = _tests(nodes, results)
    assert {name: dict(counted) for name, counted in found.items() if counted} == {
        "a": {"pass": 2},
        "int_b": {"warn": 1},
        "": {"pass": 1},
    }
