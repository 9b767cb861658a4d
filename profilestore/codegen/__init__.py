"""From the dbt manifest to `feature_repo/feature_views.py`: a feature is declared once, in dbt."""

from profilestore.codegen.feature_views import check_fresh, generate, render
from profilestore.codegen.manifest import Column, Mart, read_marts

__all__ = ["Column", "Mart", "check_fresh", "generate", "read_marts", "render"]
