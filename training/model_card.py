"""The model card of a bundle (Mitchell et al. 2019): what it is, what it is for, and what not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from training.measurement import MODEL


def write_model_card(
    folder: Path, version: str, manifest: Mapping[str, Any], metrics: Mapping[str, Any]
) -> Path:
    """Write model_card.md into the folder; its path.

    Args:
        metrics: as in metrics.json.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown
    )
    card = folder / "model_card.md"
    text = environment.get_template("model_card.md").render(
        version=version, manifest=manifest, metrics=metrics, model=MODEL
    )
    card.write_text(text.rstrip() + "\n")
    return card
