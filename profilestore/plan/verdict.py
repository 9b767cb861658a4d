"""What the next apply would change, whom it would break, and who else reads what it touches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from profilestore.codegen import check_fresh
from profilestore.plan.changes import Change, Harm, changes_between
from profilestore.plan.feast_repo import FeatureRepo
from profilestore.plan.purposes import refuse_other_purposes
from profilestore.plan.readers import Reader, Readers, Use, untrainable
from profilestore.plan.states import State
from profilestore.settings import Settings

_ADDED = {"feature_added", "view_added", "service_added", "entity_added"}
_GAINED = {"service_gains_view", "service_gains_feature"}


@dataclass(frozen=True)
class Finding:
    """A change and what follows from it.

    Attributes:
        breaking: somebody who reads what is registered would get an error or a wrong value.
        services: feature services that hold what it touches.
        readers: who reads that, of those who can be known.
    """

    change: Change
    breaking: bool
    services: tuple[str, ...]
    readers: tuple[Reader, ...]


@dataclass(frozen=True)
class Plan:
    """What the next apply would change.

    Attributes:
        registry: the file, from the home folder if it lies below it.
        first: there is none yet, so that everything is new and nothing can break.
        findings: by object, entities first.
        notes: what could not be compared.
    """

    registry: Path
    first: bool
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def breaking(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.breaking]


def make_plan(settings: Settings) -> Plan:
    """Compare the feature repo with the registry. Writes nothing.

    Raises:
        MissingStageError: there is no dbt manifest.
        InputError: the manifest, the feature repo or its settings say something that cannot be;
            a feature service reads what may not be read for its purpose.
        ProfilestoreError: feature_views.py is stale; manifest, registry or bundle is torn.
    """
    check_fresh(settings)
    repo = FeatureRepo(settings)
    registered, declared = repo.registered(), repo.declared()
    refuse_other_purposes(declared)
    before = registered or State()
    readers = Readers(settings)
    read_before, read_after = readers.uses(before), readers.uses(declared)
    findings = []
    for change in changes_between(before, declared):
        added = change.kind in _ADDED | _GAINED
        state, uses = (declared, read_after) if added else (before, read_before)
        read = _readers(change, state, uses)
        harmful = change.harm is Harm.ALWAYS or (change.harm is Harm.IF_READ and bool(read))
        findings.append(Finding(change, harmful, _services(change, state), read))
    return Plan(
        registry=_below(repo.registry.resolve(), settings.home.resolve()),
        first=registered is None,
        findings=tuple(findings),
        notes=(*_not_compared(before, declared), *untrainable(declared)),
    )


def check_purposes(settings: Settings) -> None:
    """Raise if a declared feature service reads what may not be read for its purpose.

    Raises:
        InputError: it does, or the feature repo does not parse.
    """
    refuse_other_purposes(FeatureRepo(settings).declared())


def _below(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _not_compared(before: State, declared: State) -> list[str]:
    return [
        f"{name} declares no columns: apply takes those of its source, which are not compared"
        for name, view in declared.views.items()
        if view.inferred and name in before.views
    ]


def _readers(change: Change, state: State, uses: Iterable[Use]) -> tuple[Reader, ...]:
    touched = {use.reader for use in uses if _touches(change, state, use)}
    return tuple(sorted(touched))


def _touches(change: Change, state: State, use: Use) -> bool:
    if change.form == "entity":
        return change.name in state.views[use.view].entities
    if change.form == "feature service":
        if use.service != change.name or change.part is None:
            return use.service == change.name
        name, _, feature = change.part.partition(".")
        selection = state.services[change.name].selections.get(name)
        return selection is not None and selection.view == use.view and feature in ("", use.column)
    column = _column(change, state)
    return change.name == use.view and column in (None, use.column)


def _services(change: Change, state: State) -> tuple[str, ...]:
    if change.form == "feature service":
        return (change.name,)
    if change.form == "entity":
        views = [view.name for view in state.views.values() if change.name in view.entities]
        return tuple(sorted({service for view in views for service in state.services_of(view)}))
    return tuple(state.services_of(change.name, _column(change, state)))


def _column(change: Change, state: State) -> str | None:
    """The feature that a change is about; None where it is about the whole view."""
    view = state.views.get(change.name)
    return change.part if view is not None and change.part in view.columns else None
