"""dbt manifests as small as dbt would let them be, and a place where a rendered module runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from profilestore.settings import Settings

REPO = Path(__file__).resolve().parents[3]
KEYS = {
    "user_id": ("varchar", {"class": "quasi_identifier"}),
    "event_timestamp": ("timestamp with time zone", {"class": "behaviour"}),
    "loaded_at": ("timestamp with time zone", {"class": "behaviour"}),
}


def _column(
    name: str, data_type: str | None, meta: dict[str, Any], description: str = "What it holds."
) -> dict[str, Any]:
    return {
        "name": name,
        "data_type": data_type,
        "description": description,
        "config": {"meta": meta},
    }


@pytest.fixture
def column() -> Callable[..., dict[str, Any]]:
    """One column of a model: `column("clicks_7d", "bigint", unit="events")`."""

    def make(
        name: str,
        data_type: str | None = "bigint",
        description: str = "What it holds.",
        **meta: Any,
    ) -> dict[str, Any]:
        return _column(name, data_type, {"class": "behaviour"} | meta, description)

    return make


@pytest.fixture
def model() -> Callable[..., dict[str, Any]]:
    """One model that becomes a feature view; `feast`, `entity` and the like replace its parts."""

    def make(
        *columns: dict[str, Any],
        name: str = "user_clicks",
        entity: str = "user",
        description: str = "One row per user and instant of a click.",
        without: tuple[str, ...] = (),
        **feast: Any,
    ) -> dict[str, Any]:
        keys = {f"{entity}_id" if key == "user_id" else key: kind for key, kind in KEYS.items()}
        all_columns = [
            *(_column(key, *kind) for key, kind in keys.items() if key not in without),
            *columns,
        ]
        return {
            "resource_type": "model",
            "name": name,
            "description": description,
            "config": {
                "contract": {"enforced": True},
                "meta": {
                    "owner": "analytics",
                    "purposes": ["profile"],
                    "feast": {"entity": entity} | feast,
                },
            },
            "columns": {one["name"]: one for one in all_columns},
        }

    return make


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A deployment with the entities of the project and nothing else."""
    settings = Settings(tmp_path)
    settings.feature_repo.mkdir()
    shutil.copy(REPO / "feature_repo" / "entities.py", settings.feature_repo)
    return settings


@pytest.fixture
def write_manifest(home: Settings) -> Callable[..., Path]:
    """Writes `target/manifest.json` with these models, in this order."""

    def write(*models: dict[str, Any]) -> Path:
        home.manifest.parent.mkdir(parents=True, exist_ok=True)
        nodes = {f"model.profilestore.{one['name']}": deepcopy(one) for one in models}
        home.manifest.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
        return home.manifest

    return write


@pytest.fixture
def imported(home: Settings) -> Iterator[Callable[[str], ModuleType]]:
    """Runs the text of a rendered module as `feast apply` would, beside its entities."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(home.feature_repo))

        def run(text: str) -> ModuleType:
            module = ModuleType("feature_views")
            exec(compile(text, "feature_views.py", "exec"), module.__dict__)
            return module

        yield run
    if "entities" not in before:
        sys.modules.pop("entities", None)
