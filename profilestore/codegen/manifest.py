"""Reading marts from dbt's manifest.json, and refusing what cannot become a feature view.

A model becomes a feature view when its YAML says `config.meta.feast`:

    config:
      meta:
        feast: {entity: user, ttl_days: 30, owner: analytics, tags: {block: activity}}

Its grain is then entity × event_timestamp: it must have the entity's key, `event_timestamp` and
`loaded_at`, an enforced contract, and a privacy class on every column.
"""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from profilestore.errors import InputError, MissingStageError, ProfilestoreError

ENTITY_KEYS = {"user": "user_id", "item": "item_id"}
EVENT_TIMESTAMP = "event_timestamp"
LOADED_AT = "loaded_at"
PRIVACY_CLASSES = frozenset(
    {"direct_identifier", "quasi_identifier", "sensitive", "behaviour", "aggregate"}
)
FEAST_KEYS = frozenset({"entity", "ttl_days", "owner", "tags"})

# A view is a variable of the generated module, beside what it imports (classes have capitals).
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_TAKEN = frozenset({*ENTITY_KEYS, "timedelta", *keyword.kwlist})


@dataclass(frozen=True)
class Column:
    """A column of a mart.

    Attributes:
        data_type: as the contract spells it, for example `varchar[]`.
        tags: what the YAML's meta says of it (class, unit, vocabulary, ...), as strings.
    """

    name: str
    data_type: str
    description: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Mart:
    """A contracted table at grain entity × event_timestamp.

    Attributes:
        ttl: how long a row stays true when no later one replaces it; zero is for ever.
        features: the columns that are neither key nor time, in the contract's order.
    """

    name: str
    description: str
    entity: str
    ttl: timedelta
    owner: str
    tags: dict[str, str]
    features: tuple[Column, ...]

    @property
    def key(self) -> str:
        return ENTITY_KEYS[self.entity]


def read_marts(manifest: Path) -> list[Mart]:
    """The marts that dbt declares as feature views, by name.

    Raises:
        MissingStageError: there is no manifest.
        InputError: a declaration cannot be kept without loss; the message names model and column.
    """
    nodes = read_manifest(manifest)["nodes"].values()
    declared = [
        node
        for node in nodes
        if node["resource_type"] == "model" and "feast" in node["config"].get("meta", {})
    ]
    if not declared:
        raise InputError(f"{manifest}: no model declares a feature view with `config.meta.feast`.")
    return [_mart(node) for node in sorted(declared, key=lambda node: str(node["name"]))]


def read_manifest(manifest: Path) -> dict[str, Any]:
    """All that the manifest says.

    Raises:
        MissingStageError: there is no manifest.
        ProfilestoreError: it is torn.
    """
    if not manifest.exists():
        raise MissingStageError(f"no dbt manifest at {manifest}. Run `make build` first.")
    try:
        said = json.loads(manifest.read_text(encoding="utf-8"))
    except ValueError:
        said = None
    if not (isinstance(said, dict) and isinstance(said.get("nodes"), dict)):
        raise ProfilestoreError(f"dbt manifest {manifest} is torn. Run `make build` again.")
    return said


def _mart(node: dict[str, Any]) -> Mart:
    name = node["name"]
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise InputError(
            f"model {name}: its feature view is a Python variable of that name; wanted small "
            f"letters, digits and _, and neither {', '.join(sorted(ENTITY_KEYS))} nor a keyword."
        )
    declaration = node["config"]["meta"]["feast"]
    unknown = sorted(set(declaration) - FEAST_KEYS)
    if unknown:
        raise InputError(
            f"model {name}: meta.feast has unknown key {unknown[0]!r}; "
            f"known are {', '.join(sorted(FEAST_KEYS))}."
        )
    entity = declaration.get("entity")
    if entity not in ENTITY_KEYS:
        raise InputError(
            f"model {name}: meta.feast.entity is {entity!r}; "
            f"it must be one of {', '.join(sorted(ENTITY_KEYS))}."
        )
    if not node["config"].get("contract", {}).get("enforced"):
        raise InputError(
            f"model {name}: it is declared as a feature view but its contract is not enforced. "
            "Set `contract: {enforced: true}`: types come from there."
        )
    columns = [_column(name, column) for column in node["columns"].values()]
    _require_key_and_times(name, ENTITY_KEYS[entity], columns)
    keys = {ENTITY_KEYS[entity], EVENT_TIMESTAMP, LOADED_AT}
    return Mart(
        name=name,
        description=" ".join(node["description"].split()),
        entity=entity,
        ttl=_ttl(name, declaration.get("ttl_days", 0)),
        owner=str(declaration.get("owner", "")),
        tags={str(k): str(v) for k, v in declaration.get("tags", {}).items()},
        features=tuple(column for column in columns if column.name not in keys),
    )


def _column(mart: str, column: dict[str, Any]) -> Column:
    name = column["name"]
    meta = column.get("config", {}).get("meta") or column.get("meta") or {}
    privacy_class = meta.get("class")
    if privacy_class not in PRIVACY_CLASSES:
        raise InputError(
            f"model {mart}, column {name}: privacy class is {privacy_class!r}; set "
            f"`config: {{meta: {{class: ...}}}}` to one of {', '.join(sorted(PRIVACY_CLASSES))}."
        )
    if privacy_class == "direct_identifier":
        raise InputError(
            f"model {mart}, column {name}: a direct identifier may not pass staging. "
            "Pseudonymise it there, or leave it out."
        )
    if not column.get("data_type"):
        raise InputError(f"model {mart}, column {name}: no data_type in its contract.")
    return Column(
        name=name,
        data_type=str(column["data_type"]),
        description=" ".join(column["description"].split()),
        tags={str(key): str(value) for key, value in meta.items()},
    )


def _require_key_and_times(mart: str, key: str, columns: list[Column]) -> None:
    types = {column.name: column.data_type.lower() for column in columns}
    for name in (key, EVENT_TIMESTAMP, LOADED_AT):
        if name not in types:
            raise InputError(
                f"model {mart}: column {name} is missing; a feature view needs "
                f"{key}, {EVENT_TIMESTAMP} and {LOADED_AT}."
            )
    for name in (EVENT_TIMESTAMP, LOADED_AT):
        if types[name] not in ("timestamp with time zone", "timestamptz"):
            raise InputError(
                f"model {mart}, column {name}: type is {types[name]}; "
                "wanted timestamp with time zone, so that an instant is an instant."
            )


def _ttl(mart: str, days: Any) -> timedelta:
    # Feast keeps whole seconds, and zero is for ever: less than one would never end.
    shortest, longest = 1 / 86_400, timedelta.max.days
    is_number = isinstance(days, int | float) and not isinstance(days, bool)
    if not is_number or not (days == 0 or shortest <= days <= longest):
        raise InputError(
            f"model {mart}: meta.feast.ttl_days is {days!r}; wanted a number of days, at least a "
            "second, or 0 for ever."
        )
    return timedelta(days=days)
