"""Which columns nobody reads, so that they need not be kept: of marts, and of feature services.

Readers are those of `profilestore.plan.readers`: training, the current bundle, endpoints, commands,
exposures, on-demand views. Whoever reads features by name from elsewhere is known by an exposure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from profilestore.codegen import check_fresh
from profilestore.plan.feast_repo import FeatureRepo
from profilestore.plan.readers import Readers
from profilestore.settings import Settings


@dataclass(frozen=True, order=True)
class Unread:
    """A column that nobody reads.

    Attributes:
        service: the feature service that carries it for nothing; None where nobody reads the
            column at all, so that its mart could do without.
        privacy_class: as the mart declares it; empty where it does not.
    """

    service: str | None
    view: str
    column: str
    privacy_class: str


def unread_columns(settings: Settings) -> list[Unread]:
    """What nobody reads of what is declared: columns of views first, then of each service those
    that are read, but not through it.

    Raises:
        as `profilestore.plan.make_plan`.
    """
    check_fresh(settings)
    state = FeatureRepo(settings).declared()
    uses = Readers(settings).uses(state)
    read = {(use.view, use.column) for use in uses}
    through = {(use.service, use.view, use.column) for use in uses}

    def unread(service: str | None, view: str, column: str) -> Unread:
        declared = state.views[view].columns[column]
        return Unread(service, view, column, declared.tags.get("class", ""))

    of_views = [
        unread(None, view.name, column)
        for view in state.views.values()
        for column in view.columns
        if (view.name, column) not in read
    ]
    of_services = [
        unread(name, feature.view, feature.name)
        for name in state.services
        for feature in state.features(name)
        if (feature.view, feature.name) in read
        and (name, feature.view, feature.name) not in through
    ]
    return sorted(of_views, key=_place) + sorted(of_services, key=_place)


def unread_text(found: Sequence[Unread]) -> str:
    """For people: a line a column."""
    lines = []
    for one in found:
        about = f"{one.view}.{one.column}" + (f" ({one.privacy_class})" * bool(one.privacy_class))
        if one.service is None:
            lines.append(f"{about}: nobody reads it")
        else:
            lines.append(f"{about}: {one.service} carries it, and nobody reads it through that")
    return "\n".join(lines)


def unread_json(found: Sequence[Unread]) -> str:
    """For machines: a list of objects with the fields of `Unread`."""
    return json.dumps([asdict(one) for one in found], indent=2)


def _place(one: Unread) -> tuple[str, str, str]:
    return one.service or "", one.view, one.column
