"""Both states, read from Feast: the registry file, and the feature repo as `feast apply` parses it.

The only module of the plan that knows Feast. Nothing is written: no registry, no bytecode, no table
of the online store, which is not even opened; so it is the same for every online store.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import linecache
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

# The gateway comes first: it imports Feast in a third of the time.
from profilestore.feature_store import kind_of

# isort: split
from feast import repo_operations
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import load_repo_config
from feast.repo_contents import RepoContents
from feast.types import from_value_type
from feast.value_type import ValueType
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from profilestore.errors import InputError, ProfilestoreError
from profilestore.plan.states import Column, Entity, Selection, Service, State, View
from profilestore.settings import Settings

# In a registry: which list holds which form of view.
_FORMS = {
    "feature_views": "feature view",
    "on_demand_feature_views": "on-demand feature view",
    "stream_feature_views": "stream feature view",
    "label_views": "label view",
}
_NO_ENTITY = "__dummy"
# Parts of a view's specification that are compared by name. Entity columns are inferred by apply.
_NAMED = {
    *("name", "project", "entities", "features", "entity_columns", "tags", "description"),
    *("ttl", "online", "batch_source", "stream_source", "source", "sources"),
}
# Never the same twice, or no part of what was declared: pickled functions, times of registration.
_NOISE = {"meta", "body", "project"}


class FeatureRepo:
    """The feature repo of one deployment.

    Raises:
        InputError: `feature_store.yaml` is missing, wrong, or names a registry that is no file.
    """

    def __init__(self, settings: Settings) -> None:
        # Feast compares resolved paths of files with the folder it stands in.
        self.folder = settings.feature_repo.resolve()
        where = self.folder / "feature_store.yaml"
        try:
            self._config = load_repo_config(self.folder, where)
            registry = self._config.registry
            kind, path = registry.registry_type, str(registry.path)
        except FileNotFoundError:
            raise InputError(f"no {where}. Set PROFILESTORE_HOME to a checkout.") from None
        except Exception as error:
            raise InputError(f"{where}: {_one_line(error)}. Correct it.") from error
        if kind != "file" or "://" in path:
            raise InputError(
                f"{where}: the registry is {path!r} of type {kind!r}; plan reads registries that "
                "are a local file. Set `registry_type: file` and a path."
            )
        self.registry = Path(path) if Path(path).is_absolute() else self.folder / path

    def registered(self) -> State | None:
        """What the registry holds; None before the first apply.

        Raises:
            ProfilestoreError: the file is torn.
        """
        registry = Registry()
        try:
            registry.ParseFromString(self.registry.read_bytes())
            # Too short a file parses as one that holds nothing.
            torn = not registry.registry_schema_version
        except FileNotFoundError:
            return None
        except DecodeError:
            torn = True
        if torn:
            raise ProfilestoreError(
                f"registry {self.registry.resolve()} is torn: Feast cannot read it. Put back a "
                "copy, or delete it and run `make apply`, which registers everything anew."
            )
        return _state(registry, self._config.project)

    def declared(self) -> State:
        """What apply would register.

        Raises:
            InputError: a file does not parse; names the file, the line and what Python said.
        """
        with _imported_from(self.folder):
            try:
                # What modules print does not belong into what we print.
                with contextlib.redirect_stdout(sys.stderr):
                    contents = repo_operations.parse_repo(self.folder)
                self._check(contents)
                registry = _as_registry(contents)
            except (Exception, SystemExit) as error:
                if isinstance(error, InputError) and not _line_of(error, self.folder):
                    raise
                where = _line_of(error, self.folder) or str(self.folder)
                raise InputError(
                    f"the feature repo does not parse: {where}: {_one_line(error)}. Correct it "
                    "there."
                ) from error
        return _state(registry, None)

    def _check(self, contents: RepoContents) -> None:
        for file in repo_operations.get_repo_files(self.folder):
            name = repo_operations.py_path_to_module(file)
            loaded = getattr(sys.modules.get(name), "__file__", None)
            if loaded is None or Path(loaded).resolve() != file:
                raise InputError(
                    f"{file}: Feast does not see it, because the name {name!r} belongs to "
                    f"{loaded or 'a built-in module'}. Give the file another name."
                )
        for project in contents.projects:
            if project.name != self._config.project:
                raise InputError(
                    f"{self.folder}: it declares the project {project.name!r}, and "
                    f"feature_store.yaml says {self._config.project!r}. Make them one."
                )


def _as_registry(contents: RepoContents) -> Any:
    """What was parsed, in the shape in which a registry holds it."""
    views = {
        "feature_views": contents.feature_views,
        "on_demand_feature_views": contents.on_demand_feature_views,
        "stream_feature_views": contents.stream_feature_views,
        "label_views": contents.label_views,
    }
    by_name = {view.name: view for some in views.values() for view in some}
    for service in contents.feature_services:
        service.resolve_pending_refs("", None, by_name)
    registry = Registry()
    for part, objects in {
        **views,
        "entities": contents.entities,
        "feature_services": contents.feature_services,
        "data_sources": contents.data_sources,
        "permissions": contents.permissions,
    }.items():
        getattr(registry, part).extend(one.to_proto() for one in objects)
    _refuse_names_given_twice(registry)
    return registry


def _refuse_names_given_twice(registry: Any) -> None:
    for parts in (tuple(_FORMS), ("entities",), ("feature_services",)):
        seen: set[str] = set()
        for one in (one for part in parts for one in getattr(registry, part)):
            if one.spec.name in seen and one.spec.name != _NO_ENTITY:
                raise InputError(
                    f"the feature repo declares {one.spec.name!r} twice. Give one another name."
                )
            seen.add(one.spec.name)


def _state(registry: Any, project: str | None) -> State:
    """The objects of one project, or of all."""

    def own(part: str) -> list[Any]:
        return [
            one.spec
            for one in getattr(registry, part)
            if project is None or one.spec.project == project
        ]

    views = {spec.name: _view(form, spec) for part, form in _FORMS.items() for spec in own(part)}
    # Sources that stand behind a view are part of it.
    behind = {
        source.name
        for part in _FORMS
        for spec in own(part)
        for source in (*_sources(spec).values(), *_request_sources(spec).values())
    }
    sources = [
        one
        for one in registry.data_sources
        if (project is None or one.project == project) and one.name not in behind
    ]
    return State(
        entities={spec.name: _entity(spec) for spec in own("entities") if spec.name != _NO_ENTITY},
        views=views,
        services={spec.name: _service(spec) for spec in own("feature_services")},
        others={
            **{("data source", one.name): _text(_source(one)) for one in sources},
            **{("permission", one.name): _text(MessageToDict(one)) for one in own("permissions")},
        },
    )


def _view(form: str, spec: Any) -> View:
    sources = _sources(spec)
    columns = {column.name: _column(column) for column in spec.features}
    entities = [name for name in spec.entities if name != _NO_ENTITY]
    return View(
        name=spec.name,
        form=form,
        entities=tuple(entities),
        columns=columns,
        ttl=_ttl(spec),
        online=bool(getattr(spec, "online", True)),
        source={
            key if role == "batch_source" else f"{role}.{key}": text
            for role, source in sources.items()
            for key, text in _source(source).items()
        },
        description=spec.description,
        tags=dict(spec.tags),
        inferred=not columns and form == "feature view",
        inputs=frozenset(_inputs(spec)),
        settings={**_settings(spec, _NAMED), **_requests(spec)},
    )


def _requests(spec: Any) -> dict[str, str]:
    return {
        f"request {name}": _text(MessageToDict(source.request_data_options))
        for name, source in _request_sources(spec).items()
    }


def _request_sources(spec: Any) -> dict[str, Any]:
    """What an on-demand view takes from whoever asks."""
    if spec.DESCRIPTOR.name != "OnDemandFeatureViewSpec":
        return {}
    return {
        name: source.request_data_source
        for name, source in spec.sources.items()
        if source.HasField("request_data_source")
    }


def _sources(spec: Any) -> dict[str, Any]:
    return {
        field.name: value
        for field, value in spec.ListFields()
        if field.name in ("batch_source", "stream_source", "source")
    }


def _inputs(spec: Any) -> Iterator[tuple[str, str]]:
    if spec.DESCRIPTOR.name != "OnDemandFeatureViewSpec":
        return
    for source in spec.sources.values():
        projection = source.feature_view_projection
        for column in projection.feature_columns:
            yield projection.feature_view_name, column.name


def _ttl(spec: Any) -> timedelta:
    if "ttl" not in spec.DESCRIPTOR.fields_by_name:
        return timedelta(0)
    found: timedelta = spec.ttl.ToTimedelta()
    return found


def _column(spec: Any) -> Column:
    value_type = ValueType(spec.value_type)
    return Column(
        name=spec.name,
        type=_type_name(value_type),
        kind=kind_of(value_type),
        description=spec.description,
        tags=dict(spec.tags),
        settings=_settings(spec, {"name", "value_type", "tags", "description"}),
    )


def _entity(spec: Any) -> Entity:
    return Entity(
        name=spec.name,
        join_key=spec.join_key,
        type=_type_name(ValueType(spec.value_type)),
        settings=_settings(spec, {"name", "project", "value_type", "join_key"}),
    )


def _service(spec: Any) -> Service:
    # What else a selection holds is copied from the view, where it is compared.
    copied = {
        *("feature_view_name", "feature_view_name_alias", "feature_columns", "view_type"),
        *("timestamp_field", "date_partition_column", "created_timestamp_column"),
        *("batch_source", "stream_source"),
    }
    return Service(
        name=spec.name,
        selections={
            one.feature_view_name_alias or one.feature_view_name: Selection(
                view=one.feature_view_name,
                columns=frozenset(column.name for column in one.feature_columns) or None,
                settings=_settings(one, copied),
            )
            for one in spec.features
        },
        purpose=spec.tags.get("purpose"),
        settings=_settings(spec, {"name", "project", "features"}),
    )


def _source(spec: Any) -> dict[str, str]:
    """The parts of a source by name, also those that a source of its own class keeps in bytes."""
    parts: dict[str, Any] = MessageToDict(spec, preserving_proto_field_name=True)
    own = parts.pop("custom_options", {}).get("configuration")
    if own:
        content = base64.b64decode(own)
        try:
            options = json.loads(content)
        except ValueError:
            options = None
        parts.update(options if isinstance(options, dict) else {"configuration": content.hex()})
    parts.pop("type", None)
    return {name: _text(value) for name, value in parts.items() if name not in _NOISE}


def _settings(spec: Any, apart_from: set[str]) -> dict[str, str]:
    parts = MessageToDict(spec, preserving_proto_field_name=True)
    return {name: _text(value) for name, value in parts.items() if name not in apart_from | _NOISE}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_without_noise(value), sort_keys=True)


def _without_noise(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_noise(one) for key, one in value.items() if key not in _NOISE}
    return [_without_noise(one) for one in value] if isinstance(value, list) else value


def _type_name(value_type: ValueType) -> str:
    try:
        return str(from_value_type(value_type))
    except ValueError:
        return str(value_type.name)


@contextlib.contextmanager
def _imported_from(folder: Path) -> Iterator[None]:
    """The process as `feast apply` has it while it imports a repo, and afterwards as it was."""
    before, wrote = set(sys.modules), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    linecache.clearcache()  # Feast keeps the text of functions
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = wrote
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]


def _line_of(error: BaseException, folder: Path) -> str | None:
    """The last line of the repo that led to an error, as `<file>:<line>`."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames: Iterable[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f"{ours[-1].filename}:{ours[-1].lineno}" if ours else None


def _one_line(error: BaseException) -> str:
    said = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    return f"{type(error).__name__}: {said}".rstrip(". :")
