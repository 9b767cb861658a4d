"""Profilestore: user profiles from raw logs, on dbt, DuckDB, Feast and TensorFlow Recommenders.

The package holds the plugin that Feast and dbt load, and the only code that `training` and
`serving` share. docs/architecture.md draws who may know whom.
"""

__version__ = "0.1.0"
