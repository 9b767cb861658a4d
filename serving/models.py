"""The models that were trained, and which of them serves."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from profilestore.artifacts import CURRENT, MANIFEST, load, set_current
from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from serving.deployment import Deployment
from serving.documents import ModelsDocument, ModelSummary

# What training calls a version.
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")
_OURS, _MEASURE = "two-tower", "ndcg@10"


class UnknownModelError(ProfilestoreError):
    """No model of that version was trained here."""


def models_document(settings: Settings) -> ModelsDocument:
    """All bundles, the latest first; one that is torn is not among them."""
    current = current_version(settings)
    found = []
    for folder in settings.models.iterdir() if settings.models.exists() else ():
        if _VERSION.fullmatch(folder.name) and (folder / MANIFEST).exists():
            try:
                found.append(_summary(folder, current))
            except (OSError, ValueError, KeyError, TypeError):
                continue
    return ModelsDocument(
        current=current, models=sorted(found, key=lambda one: one.created_at, reverse=True)
    )


def choose(settings: Settings, served: Deployment, version: str) -> ModelsDocument:
    """Serve another model from the next request on: an earlier one, to roll back.

    It is read whole before anything changes.

    Raises:
        UnknownModelError: there is none of that version.
        ProfilestoreError: it is torn, or reads features that are not registered any more.
    """
    folder = settings.models / version
    if not _VERSION.fullmatch(version) or not (folder / MANIFEST).exists():
        known = ", ".join(one.version for one in models_document(settings).models) or "none"
        raise UnknownModelError(f"No model {version[:64]!r} was trained here; there are: {known}.")
    bundle = load(folder)
    served.check_reads(bundle)
    set_current(settings, version)
    served.renew_bundle()
    return models_document(settings)


def current_version(settings: Settings) -> str | None:
    """The version that `current.json` names; None where it names none."""
    try:
        version: str = json.loads((settings.models / CURRENT).read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version


def metrics_of(folder: Path) -> dict[str, Any]:
    """What a bundle reached; empty where that was not measured."""
    try:
        said: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    except (OSError, ValueError):
        return {}
    return said


def _summary(folder: Path, current: str | None) -> ModelSummary:
    manifest = json.loads((folder / MANIFEST).read_text())
    test = metrics_of(folder).get("test", {})
    others = {name: said[_MEASURE] for name, said in test.items() if name != _OURS}
    best = max(others, key=lambda name: others[name], default=None)
    return ModelSummary(
        version=manifest["version"],
        created_at=datetime.fromisoformat(manifest["created_at"]),
        feature_service=manifest["feature_service"],
        encoder=manifest["config"].get("encoder"),
        lake_snapshot=manifest.get("lake_snapshot"),
        is_current=manifest["version"] == current,
        ndcg_at_10=test.get(_OURS, {}).get(_MEASURE),
        best_baseline=best,
        best_baseline_ndcg_at_10=None if best is None else others[best],
    )
