"""Reading marts from dbt's manifest.json, and refusing what cannot become a feature view.

A model becomes a feature view when its YAML says `config.meta.feast`:

    config:
      meta:
        feast: {entity: user, ttl_days: 30, tags: {block: activity}}

Its grain is then entity × event_timestamp: it must have the entity's key, `event_timestamp` and
`loaded_at`, an enforced contract, and a privacy class on every column.

Beside `feast`, a model's meta says who answers for it (`owner`) and what it may be read for
(`purposes`). dbt hands down to a model what `dbt_project.yml` says of its folder, and nothing to a
column; so what a column does not say of its purposes is asked of its model. A column's meta says
`default`: what stands for a value that is missing, where that is not null.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from profilestore.codegen.defaults import default_text
from profilestore.errors import InputError, MissingStageError, ProfilestoreError

ENTITY_KEYS = {"user": "user_id", "item": "item_id"}
EVENT_TIMESTAMP = "event_timestamp"
LOADED_AT = "loaded_at"
PRIVACY_CLASSES = frozenset(
    {"direct_identifier", "quasi_identifier", "sensitive", "behaviour", "aggregate"}
)
PURPOSES = frozenset({"operations", "profile", "recommendation"})
FEAST_KEYS = frozenset({"entity", "ttl_days", "tags"})

# Tags under which Feast's objects carry what is declared.
# A vector that Feast may search, and by which metric.
INDEX_TAG = "vector_index"
METRICS = ("cosine", "L2", "inner_product")
PURPOSES_TAG = "purposes"
DEFAULT_TAG = "default"
_BETWEEN_PURPOSES = ", "

# A view is a variable of the generated module, beside what it imports (classes have capitals).
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_TAKEN = frozenset({*ENTITY_KEYS, "timedelta", *keyword.kwlist})


@dataclass(frozen=True)
class Column:
    """A column of a mart.

    Attributes:
        data_type: as the contract spells it, for example `varchar[]`.
        tags: what the YAML's meta says of it (class, unit, vocabulary, ...), as strings: a default
            as JSON, purposes only where they are not those of the mart.
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
        tags: those of its feature view, and with them `purposes`: what it may be read for.
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
    meta = node["config"]["meta"]
    declaration = meta["feast"]
    unknown = sorted(set(declaration) - FEAST_KEYS)
    if unknown:
        raise InputError(
            f"model {name}: meta.feast has unknown key {unknown[0]!r}; "
            f"known are {', '.join(sorted(FEAST_KEYS))}; owner and purposes belong into meta."
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
        owner=_owner(f"model {name}", meta.get("owner")),
        tags=_tags(f"model {name}", declaration.get("tags", {}), meta.get("purposes")),
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
    place = f"model {mart}, column {name}"
    description = " ".join(column["description"].split())
    if not description:
        raise InputError(f"{place}: it has no description; say what its values mean.")
    if meta.get(INDEX_TAG, METRICS[0]) not in METRICS:
        raise InputError(
            f"{place}: meta.{INDEX_TAG} is {meta[INDEX_TAG]!r}; wanted one of {', '.join(METRICS)}."
        )
    tags = {str(key): str(value) for key, value in meta.items()}
    if "owner" in meta:
        tags["owner"] = _owner(place, meta["owner"])
    if PURPOSES_TAG in meta:
        tags[PURPOSES_TAG] = _purposes(place, meta[PURPOSES_TAG])
    if DEFAULT_TAG in meta:
        tags[DEFAULT_TAG] = default_text(mart, name, str(column["data_type"]), meta[DEFAULT_TAG])
    return Column(name, str(column["data_type"]), description, tags)


def purposes_of(tags: Mapping[str, str]) -> frozenset[str] | None:
    """What a view or a column may be read for, by its tags; None where they do not say."""
    said = tags.get(PURPOSES_TAG)
    return None if said is None else frozenset(said.split(_BETWEEN_PURPOSES))


def _owner(place: str, owner: Any) -> str:
    if not isinstance(owner, str) or not owner.strip():
        raise InputError(
            f"{place}: meta.owner is {owner!r}; name who answers for it, there or for the folder "
            "in dbt_project.yml."
        )
    return owner


def _tags(place: str, given: dict[str, Any], purposes: Any) -> dict[str, str]:
    if PURPOSES_TAG in given:
        raise InputError(f"{place}: purposes stand in meta.feast.tags; they belong into meta.")
    tags = {str(key): str(value) for key, value in given.items()}
    return {**tags, PURPOSES_TAG: _purposes(place, purposes)}


def _purposes(place: str, given: Any) -> str:
    known = isinstance(given, list) and all(isinstance(one, str) for one in given)
    if not known or not given or set(given) - PURPOSES:
        raise InputError(
            f"{place}: meta.purposes is {given!r}; wanted a list of {', '.join(sorted(PURPOSES))}, "
            "there or for the folder in dbt_project.yml."
        )
    return _BETWEEN_PURPOSES.join(sorted(set(given)))


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
