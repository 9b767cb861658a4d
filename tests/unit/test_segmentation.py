"""What `python -m training profiles` leaves, as serving reads it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from profilestore import segmentation as module
from profilestore.encoding import Feature, plan
from profilestore.errors import MissingStageError, ProfilestoreError
from profilestore.segmentation import load_segmentation
from profilestore.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NUMBER = Feature("user_activity", "events_7d", "user", "number")


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    settings = Settings(home=tmp_path)
    folder = settings.profiles
    folder.mkdir(parents=True)
    found = [
        {"name": "quiet", "people": 3, "share": 0.75, "differences": []},
        {
            "name": "busy",
            "people": 1,
            "share": 0.25,
            "differences": [{"column": NUMBER.column, "by": 1.5, "of_known": False}],
        },
    ]
    results = {
        "created_at": "2026-03-01T10:00:00.5+00:00",
        "feature_service": "behaviour_v1",
        "segments": {"found": found},
    }
    centres = [{"name": "quiet", "centre": [0.0]}, {"name": "busy", "centre": [2.0]}]
    encoding = plan([NUMBER], "user").to_json()
    for name, value in (
        ("results", results),
        ("segments", centres),
        ("encoding", encoding),
    ):
        (folder / f"{name}.json").write_text(json.dumps(value))
    np.save(folder / "oddness.npy", np.linspace(0.0, 4.0, 1001))
    monkeypatch.setattr(
        module, "_LiteRtEncoder", lambda path: lambda numbers: (numbers[0, :1], numbers[0, 0])
    )
    return settings


def test_somebody_is_placed_by_the_nearest_centre(settings) -> None:
    found = load_segmentation(settings)
    assert (found.version, found.feature_service) == ("20260301T100000Z", "behaviour_v1")
    placed = found.place({NUMBER.column: np.expm1(2.0)}, NOW)
    assert (placed.cluster.name, placed.cluster.differences[0].by) == ("busy", 1.5)
    assert placed.oddness == pytest.approx(50, abs=0.2)
    assert found.place({NUMBER.column: 0}, NOW).cluster.name == "quiet"


def test_never_made_says_what_makes_it(tmp_path) -> None:
    with pytest.raises(MissingStageError, match="python -m training profiles"):
        load_segmentation(Settings(home=tmp_path))


@pytest.mark.parametrize("name", ["results.json", "segments.json", "encoding.json", "oddness.npy"])
def test_a_torn_file_is_said(settings, name: str) -> None:
    (settings.profiles / name).write_text("{")
    with pytest.raises(ProfilestoreError, match="is torn"):
        load_segmentation(settings)


def test_a_value_of_another_type_is_said(settings) -> None:
    with pytest.raises(ProfilestoreError, match="cannot read"):
        load_segmentation(settings).place({NUMBER.column: "many"}, NOW)
