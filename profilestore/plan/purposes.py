"""Whether each feature service reads only what may be read for its purpose.

A mart says in dbt what it may be read for, and a column of it may say otherwise; a service says in
its tag `purpose` what it reads for. A view that says nothing, as in a Feast repo without marts, may
be read for anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from profilestore.codegen.manifest import purposes_of
from profilestore.errors import InputError
from profilestore.plan.states import Service, State, View


def refuse_other_purposes(state: State) -> None:
    """Raise if a service takes a column for a purpose that the column is not there for.

    Raises:
        InputError: names service, view, column, the service's purpose and those allowed.
    """
    for service in state.services.values():
        for view, column, through in _columns(state, service):
            allowed = _allowed(state, view, column)
            if allowed is None or service.purpose in allowed:
                continue
            takes = f"takes {view}.{column}"
            if through:
                takes = f"takes {through}, which is computed from {view}.{column}"
            raise InputError(
                f"feature service {service.name}: its purpose is {service.purpose or 'not set'} "
                f"and it {takes}, which may be read for {' and '.join(sorted(allowed))} only. Take "
                "that out of the service, give the service its tag `purpose`, or allow the purpose "
                "in the mart's YAML (meta.purposes)."
            )


def _columns(state: State, service: Service) -> Iterator[tuple[str, str, str | None]]:
    """View and column of all that a service takes; of what is computed when it is asked for, also
    all that it is computed from, and then the view that computes it."""
    for selection in service.selections.values():
        view = state.views.get(selection.view)
        if view is None:
            continue
        for column in view.columns:
            if selection.columns is None or column in selection.columns:
                yield view.name, column, None
        for source, column in _computed_from(state, view):
            yield source, column, view.name


def _computed_from(state: State, view: View) -> Iterator[tuple[str, str]]:
    for name, column in sorted(view.inputs):
        yield name, column
        if name in state.views:
            yield from _computed_from(state, state.views[name])


def _allowed(state: State, view: str, column: str) -> frozenset[str] | None:
    declared = state.views.get(view)
    if declared is None:
        return None
    own = declared.columns.get(column)
    said = None if own is None else purposes_of(own.tags)
    return purposes_of(declared.tags) if said is None else said
