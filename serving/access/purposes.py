"""What a client may read for."""

from __future__ import annotations

from serving import problems
from serving.access.clients import Client
from serving.audit import note_purpose
from serving.deployment import Deployment


def purpose_for(client: Client, named: str | None) -> str | None:
    """The purpose of a request: the one that it names, or the only one that its client has.

    Raises:
        ProblemError: the client does not have that one, or has several and names none.
    """
    if client.purposes is None:
        note_purpose(named)
        return named
    if named is None and len(client.purposes) == 1:
        (named,) = client.purposes
    if named not in client.purposes:
        has = ", ".join(sorted(client.purposes)) or "none"
        raise problems.ProblemError(
            problems.FORBIDDEN,
            f"{client.name} may read for these purposes: {has}. Name one: `purpose=`."
            if named is None
            else f"{client.name} may not read for {named!r}, but for these purposes: {has}.",
        )
    note_purpose(named)
    return named


def check_service(client: Client, served: Deployment, service: str) -> None:
    """Whether a client may read what a feature service holds.

    Raises:
        ProblemError: it may not.
    """
    if client.purposes is None:
        return
    services = served.store().purposes()
    if service not in services:
        return
    purpose = services[service]
    if purpose not in client.purposes:
        has = ", ".join(sorted(client.purposes)) or "none"
        raise problems.ProblemError(
            problems.FORBIDDEN,
            f"{service} is read for {purpose or 'no purpose'}; {client.name} may read for these: "
            f"{has}.",
        )
    note_purpose(purpose)


def check_model(client: Client, served: Deployment) -> None:
    """Whether a client may read what the model reads; as `check_service`."""
    if client.purposes is not None:
        check_service(client, served, served.bundle().feature_service)
