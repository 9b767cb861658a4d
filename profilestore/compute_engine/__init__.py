"""Feast batch engine: from the offline store to the online store a column at a time.

The dotted path `profilestore.compute_engine.NativeDuckDBComputeEngine` stands in
`feature_store.yaml` files and never changes.
"""

from profilestore.compute_engine.engine import (
    NativeDuckDBComputeEngine,
    NativeDuckDBComputeEngineConfig,
)

__all__ = ["NativeDuckDBComputeEngine", "NativeDuckDBComputeEngineConfig"]
