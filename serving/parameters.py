"""What addresses and queries may say, described once for all routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query

UserId = Annotated[
    str,
    Path(
        description="Pseudonym of a person: letters, digits and `. _ ~ -`, 128 at most.",
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9._~-]+$",
        examples=["u-5f0d1c0a6c1e4d7b9a2f3e8b7c6d5e4f"],
    ),
]

ItemId = Annotated[
    str, Path(description="An item of the model.", min_length=1, max_length=256, examples=["318"])
]

ScoreName = Annotated[
    str,
    Path(
        description="A score of the profile.", min_length=1, max_length=128, examples=["churn_7d"]
    ),
]

Category = Annotated[
    str,
    Path(description="An interest.", min_length=1, max_length=256, examples=["Drama"]),
]

Fields = Annotated[
    str | None,
    Query(
        max_length=1000,
        description="Names of blocks with commas between; by default all but those on request.",
        examples=["activity,interests"],
    ),
]

Purpose = Annotated[
    str | None,
    Query(
        max_length=64,
        description="What it is asked for. What no feature service of that purpose reads is "
        "`withheld`.",
        examples=["profile"],
    ),
]

AsOf = Annotated[
    datetime | None,
    Query(
        description="An earlier instant, UTC where it has no zone: the profile as it was known "
        "then.",
        examples=["2026-01-31T12:00:00Z"],
    ),
]

Kind = Annotated[
    str | None,
    Query(max_length=64, description="Only those of a kind.", examples=["categories"]),
]
