"""Our batch engine, without the one check that Feast's tests cannot pass."""

from __future__ import annotations

from typing import Any

from feast.repo_config import FeastConfigBaseModel

from profilestore.compute_engine import NativeDuckDBComputeEngine


class UncheckedComputeEngineConfig(FeastConfigBaseModel):
    """`batch_engine:` of the repo configurations; Feast finds it by its name."""

    type: str


class UncheckedComputeEngine(NativeDuckDBComputeEngine):
    """As ours, but views are applied whatever their sources hold.

    Ours refuses a view that declares a narrower type than its source has. Feast's tests do that in
    nearly every view (Int32 for 64-bit integers, Float32 for doubles, Map for structs), and mean
    to test other things.
    """

    def update(self, *given: Any, **named: Any) -> None:
        """Check nothing."""
