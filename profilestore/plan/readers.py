"""Who reads a column: derived from where each reader says it, never listed here.

| reader | says it in |
| --- | --- |
| training | a YAML of `training/configs/`: its feature service, and the encodings made of that |
| bundle | the current one's `bundle.json` and `encoding.json` |
| endpoint | `@reads(...)` at its route |
| command | the columns that `profilestore materialize` notes people from |
| dashboard, notebook, ... | an exposure of the dbt project that depends on the mart |
| view | an on-demand view that is computed from it |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profilestore.artifacts import BundleReads, current_reads
from profilestore.codegen.manifest import read_manifest
from profilestore.encoding import Feature
from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.feature_store import PEOPLE_COLUMNS, PEOPLE_SERVICE
from profilestore.plan.states import State
from profilestore.settings import Settings

if TYPE_CHECKING:
    from training.config import TrainConfig


@dataclass(frozen=True, order=True)
class Reader:
    """Who reads, for example `endpoint` `GET /v1/users`."""

    kind: str
    name: str


@dataclass(frozen=True)
class Use:
    """A reader, and a column of a view that it reads; `service` where it reads through one."""

    reader: Reader
    service: str | None
    view: str
    column: str


# What reads something of a state: yields (service, view, column).
_Reads = Callable[[State], Iterable[tuple[str | None, str, str]]]


class Readers:
    """Everyone who reads features in one deployment.

    Raises:
        InputError: an exposure names a column in a way that cannot be read.
        MissingStageError: there is no dbt manifest.
        ProfilestoreError: the current bundle or the manifest is torn: whom a change breaks would
            be told wrongly without them.
    """

    def __init__(self, settings: Settings) -> None:
        self._all: list[tuple[Reader, _Reads]] = [
            *_training(),
            *_bundle_and_endpoints(settings),
            (
                Reader("command", "profilestore materialize"),
                lambda state: _through(
                    state, PEOPLE_SERVICE, lambda feature: feature.column in PEOPLE_COLUMNS
                ),
            ),
            *_exposures(read_manifest(settings.manifest)),
        ]

    def uses(self, state: State) -> list[Use]:
        """What each of them reads of a state."""
        found = [Use(reader, *what) for reader, reads in self._all for what in reads(state)]
        for view in state.views.values():
            reader = Reader("view", view.name)
            found += [Use(reader, None, source, column) for source, column in sorted(view.inputs)]
        return found


def untrainable(state: State) -> list[str]:
    """The training configs that could not train on a state, each with the reason."""
    from training.dataset import encodings

    found = []
    for name, config in _configs():
        try:
            encodings(state.features(config.feature_service), config)
        except ProfilestoreError as error:
            found.append(f"training {name} could not train on it: {str(error).rstrip('.')}")
    return found


def _through(
    state: State, service: str, uses: Callable[[Feature], bool]
) -> Iterator[tuple[str | None, str, str]]:
    for feature in state.features(service):
        if uses(feature):
            yield service, feature.view, feature.name


def _training() -> Iterator[tuple[Reader, _Reads]]:
    from training.dataset import encodings

    def reads(config: TrainConfig) -> _Reads:
        service = config.feature_service

        def of(state: State) -> Iterator[tuple[str | None, str, str]]:
            try:
                read = encodings(state.features(service), config)
                columns = {column for encoding in read for column in encoding.columns}
            except ProfilestoreError:
                # It cannot be trained on as it is; what it would read is then all of it.
                return _through(state, service, lambda _: True)
            return _through(state, service, lambda feature: feature.column in columns)

        return of

    for name, config in _configs():
        yield Reader("training", name), reads(config)


def _configs() -> list[tuple[str, TrainConfig]]:
    """Each training config, with its name."""
    from training.config import DEFAULT, load_config

    paths = sorted(DEFAULT.parent.glob("*.yaml"))
    return [(path.name, load_config(path)) for path in paths]


def _bundle_and_endpoints(settings: Settings) -> Iterator[tuple[Reader, _Reads]]:
    try:
        bundle = current_reads(settings)
    except MissingStageError:
        bundle = None
    if bundle is not None:
        yield Reader("bundle", bundle.version), _of_bundle(bundle, lambda _: False)
    import serving

    for endpoint in serving.endpoints_of(serving.create_app(settings)):
        for reads in endpoint.reads:
            reader = Reader("endpoint", endpoint.name)
            if reads.service is not None:
                yield reader, _of_service(reads.service, reads.uses)
            elif bundle is not None:
                yield reader, _of_bundle(bundle, reads.uses)


def _of_service(service: str, uses: Callable[[Feature], bool]) -> _Reads:
    return lambda state: _through(state, service, uses)


def _of_bundle(bundle: BundleReads, uses: Callable[[Feature], bool]) -> _Reads:
    return _of_service(
        bundle.feature_service,
        lambda feature: feature.column in bundle.columns or uses(feature),
    )


def _exposures(manifest: Mapping[str, Any]) -> Iterator[tuple[Reader, _Reads]]:
    """Each exposure reads every column of the marts it depends on, at whatever distance, unless
    its `meta.columns` names those it reads, as `<mart>.<column>`.

    One that names a `meta.feature_service` tells dbt of readers that are known here by column: the
    training configs, the bundle and the endpoints that read through the service.
    """
    for exposure in (manifest.get("exposures") or {}).values():
        if "feature_service" in _meta(exposure):
            continue
        marts = _upstream(exposure, manifest["nodes"])
        yield (
            Reader(str(exposure.get("type") or "exposure"), str(exposure["name"])),
            _of_marts(marts, _columns_named(exposure)),
        )


def _upstream(exposure: Mapping[str, Any], nodes: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = deque(exposure.get("depends_on", {}).get("nodes", ()))
    while waiting:
        node = waiting.popleft()
        if node in nodes and node not in found:
            found.add(node)
            waiting.extend(nodes[node].get("depends_on", {}).get("nodes", ()))
    return {str(nodes[node]["name"]) for node in found}


def _meta(exposure: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = exposure.get("config", {}).get("meta") or exposure.get("meta") or {}
    return found


def _columns_named(exposure: Mapping[str, Any]) -> set[str] | None:
    columns = _meta(exposure).get("columns")
    if columns is None:
        return None
    if not isinstance(columns, list) or not all(str(one).count(".") == 1 for one in columns):
        raise InputError(
            f"exposure {exposure['name']}: meta.columns is {columns!r}; wanted a list of "
            "<mart>.<column>."
        )
    return {str(one) for one in columns}


def _of_marts(marts: set[str], columns: set[str] | None) -> _Reads:
    def of(state: State) -> Iterator[tuple[str | None, str, str]]:
        for view in state.views.values():
            mart = view.source.get("table", view.name).rsplit(".", 1)[-1]
            for column in view.columns if mart in marts else ():
                if columns is None or f"{mart}.{column}" in columns:
                    yield None, view.name, column

    return of
