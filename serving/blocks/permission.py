"""What may be told for a purpose.

A feature service says in its tag `purpose` what it reads for, and `profilestore apply` refuses one
that takes a column which may not be read for that. So what may be told for a purpose is what some
feature service of that purpose reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from profilestore.errors import InputError
from serving.deployment import Store


@dataclass(frozen=True)
class Permission:
    """What may be told.

    Attributes:
        purpose: None where none was named: then everything that any service reads.
        services: feature service -> its purpose.
        views: feature service -> its views.
    """

    purpose: str | None
    services: Mapping[str, str]
    views: Mapping[str, frozenset[str]]

    def of_service(self, service: str) -> bool:
        """Whether what a feature service reads may be told."""
        return self.purpose is None or self.services.get(service) == self.purpose

    def of_view(self, view: str, service: str) -> str | None:
        """The feature service that lets a view be told: the one named if it can; None if none."""
        if self.of_service(service):
            return service
        return next(
            (
                name
                for name in sorted(self.services)
                if self.of_service(name) and view in self.views.get(name, ())
            ),
            None,
        )

    def reason(self, what: str) -> str:
        """Why something is withheld."""
        return f"No feature service for the purpose `{self.purpose}` reads {what}."


def permission_for(store: Store, purpose: str | None) -> Permission:
    """What may be told for a purpose.

    Raises:
        InputError: no feature service has that purpose.
    """
    services = store.purposes()
    if purpose is None:
        return Permission(None, services, {})
    known = sorted(set(services.values()) - {""})
    if purpose not in known:
        raise InputError(
            f"purpose: found {purpose[:64]!r}, needed one that a feature service has: "
            f"{', '.join(known) or 'none has any'}."
        )
    return Permission(
        purpose,
        services,
        {
            name: frozenset(feature.view for feature in store.features(name))
            for name, has in services.items()
            if has == purpose
        },
    )
