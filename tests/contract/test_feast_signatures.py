"""Our classes can be called as Feast calls its own: no method of ours takes the name of one of
Feast's for something else, and none lacks a parameter that Feast's has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from profilestore.compute_engine.engine import NativeDuckDBComputeEngine
from profilestore.offline_store.retrieval_job import DuckDBRetrievalJob
from profilestore.offline_store.source import DuckDBSource
from profilestore.offline_store.store import NativeDuckDBOfflineStore
from profilestore.online_store.store import LMDBOnlineStore

OURS = (
    *(NativeDuckDBComputeEngine, NativeDuckDBOfflineStore, LMDBOnlineStore),
    *(DuckDBSource, DuckDBRetrievalJob),
)
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def shared(ours: type) -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """Each method that ours has anew, and the one of Feast's that it takes the place of."""
    base = next(one for one in ours.__mro__ if one.__module__.startswith("feast."))
    for name in dir(base):
        mine, theirs = getattr(ours, name), getattr(base, name)
        if inspect.isfunction(mine) and inspect.isfunction(theirs) and mine is not theirs:
            if name.startswith("__"):
                continue
            yield name, mine, theirs


def differences(mine: Callable[..., Any], theirs: Callable[..., Any]) -> list[str]:
    """What a caller of theirs would stumble over in mine."""
    ours, feasts = (inspect.signature(one).parameters for one in (mine, theirs))
    kinds = {one.kind for one in ours.values()}
    found = []
    for name, one in feasts.items():
        if one.kind in ANY_NUMBER or kinds.issuperset(ANY_NUMBER):
            continue
        if name not in ours and inspect.Parameter.VAR_KEYWORD not in kinds:
            found.append(f"has no {name}")
        elif name in ours and one.default is not one.empty and ours[name].default is one.empty:
            found.append(f"wants a {name}")
    for name, one in ours.items():
        if name not in feasts and one.kind in NAMED and one.default is one.empty:
            found.append(f"wants a {name}")
    if kinds.isdisjoint(ANY_NUMBER):
        order = [name for name in ours if name in feasts]
        if order != [name for name in feasts if name in ours]:
            found.append("has them in another order")
    return found


@pytest.mark.parametrize("ours", OURS, ids=lambda one: one.__name__)
def test_a_method_takes_what_feasts_method_takes(ours: type) -> None:
    methods = list(shared(ours))
    assert methods
    wrong = {name: found for name, mine, theirs in methods if (found := differences(mine, theirs))}
    assert not wrong


def test_a_method_that_means_something_else_would_be_seen() -> None:
    def plan(self, config, desired_registry_proto): ...
    def other(self, features, registry, project, full_feature_names=False): ...

    assert differences(other, plan) == [
        *("has no config", "has no desired_registry_proto"),
        *("wants a features", "wants a registry", "wants a project"),
    ]
