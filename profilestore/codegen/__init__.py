"""From the dbt manifest to `feature_repo/feature_views.py`: a feature is declared once, in dbt.

The table of features in README.md is made from the same declarations.
"""

from profilestore.codegen.feature_table import check_table, render_table, write_table
from profilestore.codegen.feature_views import check_fresh, generate, render
from profilestore.codegen.manifest import Column, Mart, read_marts

__all__ = [
    "Column",
    "Mart",
    "check_fresh",
    "check_table",
    "generate",
    "read_marts",
    "render",
    "render_table",
    "write_table",
]
