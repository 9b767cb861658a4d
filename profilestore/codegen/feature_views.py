"""Writing `feature_repo/feature_views.py` from the marts."""

from __future__ import annotations

import json
from pathlib import Path

from profilestore.codegen.feast_types import feast_type
from profilestore.codegen.manifest import (
    EVENT_TIMESTAMP,
    INDEX_TAG,
    LOADED_AT,
    Column,
    Mart,
    read_marts,
)
from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings

_HEADER = '''"""Feature views, one for each mart that dbt declares as one.

Generated from the dbt manifest by `make generate`. Do not edit: change the mart and its YAML.
"""

from datetime import timedelta

from entities import {entities}
from feast import FeatureView, Field
from feast.types import {types}

from profilestore.offline_store import DuckDBSource
'''


def generate(settings: Settings) -> Path:
    """Write feature_views.py, whole or not at all; its path."""
    path = settings.feature_repo / "feature_views.py"
    text = render(read_marts(settings.manifest))
    temporary = path.with_suffix(".py.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def check_fresh(settings: Settings) -> None:
    """Raise if feature_views.py is not what the manifest says it should be."""
    path = settings.feature_repo / "feature_views.py"
    wanted = render(read_marts(settings.manifest)).encode()
    if not path.exists() or path.read_bytes() != wanted:
        raise ProfilestoreError(f"{path} is stale: run `make generate` and commit the result.")


def render(marts: list[Mart]) -> str:
    """The module's text. The same marts give the same bytes."""
    expressions = {
        (mart.name, column.name): feast_type(
            mart.name, column.name, column.data_type, column.tags.get("unit")
        )
        for mart in marts
        for column in mart.features
    }
    names = {
        part for expression in expressions.values() for part in expression.rstrip(")").split("(")
    }
    header = _HEADER.format(
        entities=", ".join(sorted({mart.entity for mart in marts})),
        types=", ".join(sorted(names)),
    )
    return header + "".join(_view(mart, expressions) for mart in marts)


def _view(mart: Mart, expressions: dict[tuple[str, str], str]) -> str:
    fields = "".join(
        _field(column, expressions[mart.name, column.name]) for column in mart.features
    )
    seconds = int(mart.ttl.total_seconds())
    ttl = f"days={seconds // 86400}, seconds={seconds % 86400}" if seconds else "0"
    return f"""
{mart.name} = FeatureView(
    name={_quoted(mart.name)},
    entities=[{mart.entity}],
    ttl=timedelta({ttl}),
    schema=[
{fields}    ],
    source=DuckDBSource(
        name={_quoted(mart.name)},
        table={_quoted(mart.name)},
        timestamp_field={_quoted(EVENT_TIMESTAMP)},
        created_timestamp_column={_quoted(LOADED_AT)},
    ),
    online=True,
    description={_quoted(mart.description)},
    owner={_quoted(mart.owner)},
    tags={_mapping(mart.tags)},
)
"""


def _field(column: Column, expression: str) -> str:
    metric = column.tags.get(INDEX_TAG)
    searched = (
        f"""            vector_index=True,
            vector_search_metric={_quoted(metric)},
"""
        if metric
        else ""
    )
    return f"""        Field(
            name={_quoted(column.name)},
            dtype={expression},
            description={_quoted(column.description)},
{searched}            tags={_mapping(column.tags)},
        ),
"""


def _mapping(tags: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_quoted(k)}: {_quoted(v)}" for k, v in sorted(tags.items())) + "}"


def _quoted(text: str) -> str:
    # JSON's string literals are Python's, with double quotes whatever the text holds.
    return json.dumps(text, ensure_ascii=False)
