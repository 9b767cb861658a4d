"""What `get_online_features` was asked for, where it is what services ask: stored features of
entities whose keys are texts or integers. Everything else goes Feast's own way."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from feast.feature_service import FeatureService
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.registry.base_registry import BaseRegistry
from feast.utils import _get_cached_request_context

from profilestore.online_store.json_response import names_json
from profilestore.online_store.keys import key_builder
from profilestore.online_store.selection import Selection, Selections

_PYTHON = {"STRING": str, "INT32": int, "INT64": int}


@dataclass(frozen=True)
class Group:
    """Views of the same entities, an entity a row, and their positions in `Request.selections`."""

    entities: list[bytes]
    views: Sequence[int]
    selections: Selections


@dataclass(frozen=True)
class Request:
    """A request with its entities.

    Attributes:
        keys: join key -> its Feast type and its values, a row each.
        groups: the views by what their entities are called in the request.
    """

    keys: dict[str, tuple[str, Sequence[Any]]]
    selections: Sequence[Selection]
    groups: list[Group]


# A view's join keys, each with what it is called in the request.
Spelled = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Plan:
    """A request without its entities.

    Attributes:
        types: join key, as it is called in the request -> its Feast type.
        groups: by what the entities are called, positions in `selections`, and those there.
        names: of the features in the answer.
    """

    types: Mapping[str, str]
    selections: Sequence[Selection]
    groups: Mapping[Spelled, tuple[Sequence[int], Selections]]
    names: Sequence[str]

    @cached_property
    def names_json(self) -> bytes:
        return names_json(self.names)

    def request(self, entity_rows: Any) -> Request | None:
        """With entities; None where Feast has to look at them: keys of other types, rows that are
        not alike, and mistakes."""
        given = _columns(entity_rows)
        if given is None or not given.keys() <= self.types.keys() or _counted():
            return None
        keys = {}
        for name, values in given.items():
            kind = self.types[name]
            wanted = _PYTHON.get(kind)
            if wanted is None or set(map(type, values)) != {wanted}:
                return None
            keys[name] = kind, values
        groups = []
        for spelled, (views, selections) in self.groups.items():
            entities = _entities(spelled, keys)
            if entities is None:
                return None
            groups.append(Group(entities, views, selections))
        return Request(keys, self.selections, groups)


def plan_of(
    registry: BaseRegistry,
    project: str,
    features: list[str] | FeatureService,
    full_feature_names: bool,
) -> Plan | None:
    """The plan of a request; None where Feast has to look at it: on-demand views, views without
    entity, versions, precomputed vectors and mistakes."""
    if getattr(features, "precompute_online", False):
        return None
    (_, on_demand, joins, types, join_keys, views, _, request_data, entityless) = (
        _get_cached_request_context(registry, project, features, full_feature_names)
    )
    if on_demand or request_data or entityless:
        return None
    groups: dict[Spelled, list[int]] = {}
    names = []
    for n, (view, wanted) in enumerate(views):
        if getattr(view.projection, "version_tag", None) is not None:
            return None
        renamed = view.projection.join_key_map
        spelled = tuple(
            (join_key, renamed.get(join_key, join_key))
            for join_key in (joins[entity] for entity in view.entities)
        )
        groups.setdefault(spelled, []).append(n)
        prefix = f"{view.projection.name_to_use()}__" if full_feature_names else ""
        names += [f"{prefix}{feature}" for feature in wanted]
    selections = [Selection.of(view, wanted) for view, wanted in views]
    return Plan(
        {name: types[name].name if name in types else "" for name in join_keys},
        selections,
        {
            spelled: (positions, Selections([selections[n] for n in positions]))
            for spelled, positions in groups.items()
        },
        names,
    )


def _counted() -> bool:
    """Whether Feast's metrics server counts online reads: then Feast's own way does."""
    metrics = sys.modules.get("feast.metrics")
    return bool(metrics and metrics._config.online_features)


def _columns(entity_rows: Any) -> dict[str, Sequence[Any]] | None:
    if isinstance(entity_rows, list):
        if not entity_rows:
            return None
        names = entity_rows[0].keys()
        if any(row.keys() != names for row in entity_rows):
            return None
        return {name: [row[name] for row in entity_rows] for name in names}
    if not isinstance(entity_rows, Mapping):
        return None
    columns = dict(entity_rows)
    if not all(isinstance(values, list) for values in columns.values()):
        return None
    if len({len(values) for values in columns.values()}) != 1 or not all(columns.values()):
        return None
    return columns


def _entities(
    spelled: Sequence[tuple[str, str]], keys: Mapping[str, tuple[str, Sequence[Any]]]
) -> list[bytes] | None:
    if not spelled or any(given not in keys for _, given in spelled):
        return None
    build = key_builder(tuple((join_key, keys[given][0]) for join_key, given in spelled))
    if build is None or any(join_key == DUMMY_ENTITY_ID for join_key, _ in spelled):
        return None
    try:
        return [build(row) for row in zip(*(keys[given][1] for _, given in spelled), strict=True)]
    except (struct.error, UnicodeError):
        # Out of range, or half a character: Feast says so.
        return None
