"""What a registry holds, without Feast: one picture of what is registered, one of what is declared.

Both are made by the same code, so what differs between them is what the next apply would change.
What apply fills in by itself (entity columns, times of materialisation) is in neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from profilestore.encoding import Feature

Settings = Mapping[str, str]


@dataclass(frozen=True)
class Column:
    """A feature of a view.

    Attributes:
        type: Feast's name for it, for example `Array(String)`.
        kind: as `profilestore.encoding.Feature` has it.
        settings: what else is registered of it, as text.
    """

    name: str
    type: str
    kind: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """A view of any form.

    Attributes:
        form: `feature view`, `on-demand feature view`, `stream feature view` or `label view`.
        entities: names; none for a view that is about no entity.
        columns: by name, in their order.
        inferred: it names no columns: apply takes those that its source has.
        ttl: zero is for ever.
        source: where its rows come from and which columns are times, as text.
        inputs: of an on-demand view: (view, column) that it is computed from.
        settings: what else is registered of it, as text.
    """

    name: str
    form: str
    entities: tuple[str, ...]
    columns: Mapping[str, Column]
    ttl: timedelta
    online: bool
    source: Settings
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    inferred: bool = False
    inputs: frozenset[tuple[str, str]] = frozenset()
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Entity:
    """What a view is about, and the column that says which one."""

    name: str
    join_key: str
    type: str
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """The part of a view that a service takes; `columns` is None where that is all of it."""

    view: str
    columns: frozenset[str] | None
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """A feature service: selections by the name that each goes by in it.

    Attributes:
        purpose: what it is read for, as its tag says; None where it has none.
    """

    name: str
    selections: Mapping[str, Selection]
    purpose: str | None = None
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """Everything of one Feast project.

    Attributes:
        others: what is neither view, entity nor service: (form, name) -> its text.
    """

    entities: Mapping[str, Entity] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    others: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def features(self, service: str) -> list[Feature]:
        """The features of a service in its order; none of a service that is not there."""
        if service not in self.services:
            return []
        return [
            feature
            for selection in self.services[service].selections.values()
            for feature in self._features_of(selection)
        ]

    def services_of(self, view: str, column: str | None = None) -> list[str]:
        """The services that take a column of a view, or anything of the view, by name."""
        return sorted(
            service.name
            for service in self.services.values()
            for selection in service.selections.values()
            if selection.view == view
            and (column is None or selection.columns is None or column in selection.columns)
        )

    def _features_of(self, selection: Selection) -> Iterator[Feature]:
        view = self.views.get(selection.view)
        for column in view.columns.values() if view else ():
            if selection.columns is None or column.name in selection.columns:
                yield Feature(
                    view=selection.view,
                    name=column.name,
                    entity=view.entities[0] if view and view.entities else "",
                    kind=column.kind,
                    description=column.description,
                    tags=column.tags,
                )
