"""The Feast online store on LMDB: one packed record per entity and view."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from feast import Entity
from feast.feature_service import FeatureService
from feast.feature_view import FeatureView
from feast.filter_models import ComparisonFilter, CompoundFilter
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.online_response import OnlineResponse
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import _get_entity_key_protos, _get_unique_entities

from profilestore.errors import InputError
from profilestore.instants import from_micros, to_micros
from profilestore.online_store import json_response, response
from profilestore.online_store.database import BATCH, ENTITIES, LIVE, Database, Snapshot, database
from profilestore.online_store.keys import entity_bytes, entity_key, short, short_all
from profilestore.online_store.layout import (
    forget_layout,
    layouts,
    make_layout,
    read_layout,
    write_layout,
)
from profilestore.online_store.loading import Load, note_long, sweep
from profilestore.online_store.reading import (
    Row,
    Scan,
    ViewRecords,
    read_nothing,
    read_rows,
)
from profilestore.online_store.record import NEVER, Schema, Stamp, from_proto, run_number
from profilestore.online_store.request import Plan, Request, plan_of
from profilestore.online_store.selection import Selection, Selections, kinds_of, lifetime_of
from profilestore.online_store.vectors import (
    Neighbour,
    VectorIndexes,
    Vectors,
    check_length,
    matching,
    metric_of,
    search,
    vector_feature,
)

Push = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class LMDBOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """`online_store:` of `feature_store.yaml`.

    Attributes:
        path: a folder of its own, relative to the feature repo.
        map_size_gib: the most the store may grow to. Only addresses are reserved: the files grow
            as the data does.
        sync: whether a write has reached the disk when it returns.
        past_ttl: what is read of a record past its view's ttl. `null`: no values, as offline.
            `value`: the values, for those who rely on Feast's own stores not looking. Its state is
            `stale`, or Feast's status OUTSIDE_MAX_AGE, either way.
        key_file: where it is named, relative to the feature repo, records are encrypted (AES-GCM)
            with the key in it, which is made with the store. Entities' keys are not.
    """

    type: Literal["profilestore.online_store.LMDBOnlineStore"] = (
        "profilestore.online_store.LMDBOnlineStore"
    )
    path: str = "online"
    map_size_gib: float = 1024
    sync: bool = True
    past_ttl: Literal["null", "value"] = "null"
    key_file: str | None = None


class Pushed(NamedTuple):
    """One row to write, as `online_write_batch` has it, with its key."""

    entity: bytes
    values: dict[str, Any]
    stamp: Stamp


class LMDBOnlineStore(OnlineStore):  # type: ignore[misc]
    """An embedded online store: many reading processes, one writer at a time, no server.

    What a materialisation writes and what is pushed are kept apart. Of the two the newer is read:
    by event time, then created time, then the time of writing. So a push shows at once, a
    materialisation never undoes one that it has not seen, and what the source has corrected or
    removed is corrected and removed here.
    """

    def __init__(self) -> None:
        self._vectors = VectorIndexes()

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reads and writes take microseconds: the async methods call the others."""
        return SupportedAsyncMethods(read=True, write=True)

    # Reading

    def read_records(
        self,
        config: RepoConfig,
        views: Sequence[tuple[FeatureView, Sequence[str]]],
        entities: Sequence[bytes],
        *,
        now: int | None = None,
    ) -> list[ViewRecords]:
        """The latest records of several views of the same entities, all of one moment.

        Args:
            views: each with the features to read.
            entities: of `keys.entity_bytes`, `keys.key_builder` or `keys.text_key`.
            now: microseconds since 1970, for ttl; by default the clock's.

        Returns:
            One for each of `views`.
        """
        selections = Selections([Selection.of(view, wanted) for view, wanted in views])
        return self.read_selections(config, selections, entities, now=now)

    def read_selections(
        self,
        config: RepoConfig,
        selections: Selections,
        entities: Sequence[bytes],
        *,
        now: int | None = None,
    ) -> list[ViewRecords]:
        """As `read_records`, for whoever reads the same features again and again."""
        now = _now() if now is None else now
        with self._database(config).read() as snapshot:
            if snapshot is None:
                return read_nothing([one.features for one in selections.each], len(entities))
            return selections.as_of(snapshot, config.project).read(
                snapshot,
                short_all(entities),
                [None if age is None else now - age for age in selections.lifetimes],
                stale_values=config.online_store.past_ttl == "value",
            )

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Feast's way to read. Past the view's ttl an entity has its event time and no values."""
        wanted = requested_features or [feature.name for feature in table.features]
        kinds = kinds_of(table)
        entities = [entity_bytes(key) for key in entity_keys]
        found = self.read_records(config, [(table, wanted)], entities)[0]
        columns = [
            [response.to_proto(kinds[name], value) for value in found.columns[name]]
            for name in wanted
        ]
        keep = config.online_store.past_ttl == "value"
        rows: list[tuple[datetime | None, dict[str, Value] | None]] = []
        for n, (state, event) in enumerate(zip(found.states, found.events, strict=True)):
            values = None
            if state == "fresh" or (state == "stale" and keep):
                values = {name: column[n] for name, column in zip(wanted, columns, strict=True)}
            rows.append((None if event is None else from_micros(event), values))
        return rows

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """As `online_read`."""
        return self.online_read(config, table, entity_keys, requested_features)

    def get_online_features(
        self,
        config: RepoConfig,
        features: list[str] | FeatureService,
        entity_rows: Any,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        include_feature_view_version_metadata: bool = False,
    ) -> OnlineResponse:
        """Feast's online read: all views of one moment, a column at a time.

        A value past its view's ttl is null with the status OUTSIDE_MAX_AGE.
        """
        plan = plan_of(registry, project, features, full_feature_names)
        request = None if plan is None else plan.request(entity_rows)
        if request is None or include_feature_view_version_metadata:
            return super().get_online_features(
                config,
                features,
                entity_rows,
                registry,
                project,
                full_feature_names,
                include_feature_view_version_metadata,
            )
        message = response.begin(request.keys)
        for one, found in self._read_request(config, request):
            response.add(message, one.view, one.names, found, full_feature_names)
        views = [(one.view, one.names) for one in request.selections]
        return OnlineResponse(message, feature_types=self._build_feature_types(views))

    def plan_read(
        self,
        features: list[str] | FeatureService,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
    ) -> Plan | None:
        """What `get_online_json` needs of a request for these features, as long as the registry
        stays the same; None where only `get_online_features` can answer."""
        return plan_of(registry, project, features, full_feature_names)

    def get_online_json(
        self, config: RepoConfig, plan: Plan, entity_rows: Mapping[str, list[Any]]
    ) -> bytes | None:
        """What Feast's feature server would make of `get_online_features`, as JSON.

        None where the entities are not plain ones: then `get_online_features` answers.
        """
        request = plan.request(entity_rows)
        if request is None:
            return None
        return json_response.encode(
            request.keys, plan.names_json, self._read_request(config, request)
        )

    def _read_request(
        self, config: RepoConfig, request: Request
    ) -> list[tuple[Selection, ViewRecords]]:
        """Each view of a request and its records."""
        found: dict[int, ViewRecords] = {}
        now = _now()
        for group in request.groups:
            read = self.read_selections(config, group.selections, group.entities, now=now)
            found |= zip(group.views, read, strict=True)
        return [(one, found[n]) for n, one in enumerate(request.selections)]

    async def get_online_features_async(self, *args: Any, **named: Any) -> OnlineResponse:
        """As `get_online_features`."""
        return self.get_online_features(*args, **named)

    def _read_features_per_fv(
        self,
        config: RepoConfig,
        grouped_refs: list[tuple[FeatureView, list[str]]],
        join_key_values: dict[str, list[Value]],
        entity_name_to_join_key_map: dict[str, str],
        online_features_response: Any,
        full_feature_names: bool,
        include_feature_view_version_metadata: bool,
    ) -> None:
        """What Feast's `get_online_features` reads with, where ours is not for the request."""
        now = _now()
        for view, wanted in grouped_refs:
            unique, places, rows = _get_unique_entities(
                view, join_key_values, entity_name_to_join_key_map
            )
            entities = [b""] * rows
            for key, destinations in zip(_get_entity_key_protos(unique), places, strict=True):
                entity = entity_bytes(key)
                for row in destinations:
                    entities[row] = entity
            found = self.read_records(config, [(view, wanted)], entities, now=now)[0]
            response.add(online_features_response, view, wanted, found, full_feature_names)
            if include_feature_view_version_metadata:
                response.add_version(online_features_response, view)

    # Writing

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Push],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write pushed rows: all or none. A row older than what is there is left out.

        A feature that a row does not mention keeps its value.

        Raises:
            InputError: a value is of another type than declared, or a row has no event time;
                nothing is written.
        """
        schema = _schema(table)
        rows = [_pushed(table, schema, row) for row in data]
        with self._database(config).write() as snapshot:
            layout, position = make_layout(snapshot, config.project, table.name).with_schema(schema)
            written = _now()
            put: dict[bytes, Row] = {}
            keys = [row.entity for row in rows]
            known = read_rows(snapshot, layout, schema.features, [short(key) for key in keys])
            for row, there in zip(rows, known, strict=True):
                stamp = row.stamp._replace(written=written)
                before = put.get(row.entity) or there
                if before is not None and before[0][:2] > stamp[:2]:
                    continue
                old = before[1] if before else [None] * len(schema.names)
                put[row.entity] = Row(
                    stamp,
                    tuple(
                        row.values.get(name, was)
                        for name, was in zip(schema.names, old, strict=True)
                    ),
                )
            items = [
                (short(entity) + layout.suffix, schema.pack(stamp, 0, position, values))
                for entity, (stamp, values) in put.items()
            ]
            snapshot.put_many(LIVE, sorted(items))
            note_long(snapshot, put)
            write_layout(
                snapshot,
                config.project,
                table.name,
                replace(layout, pushed=True),
            )
        if progress:
            progress(len(data))

    def read_materialised(
        self, config: RepoConfig, table: FeatureView, entities: Sequence[bytes]
    ) -> list[tuple[dict[str, Any], int, int | None] | None]:
        """What materialisations wrote of some entities, whatever was pushed over it: values, event
        time and created time of each, both in microseconds; None where there is nothing.

        Args:
            entities: as in `read_records`.
        """
        with self._database(config).read() as snapshot:
            layout = None
            if snapshot is not None:
                layout = read_layout(snapshot, config.project, table.name)
            if snapshot is None or layout is None:
                return [None] * len(entities)
            schema = _schema(table)
            scan = Scan(snapshot, layout, schema.features, None)
            rows = [scan.row(short(entity)) for entity in entities]
        return [
            None
            if row is None
            else (
                dict(zip(schema.names, row.values, strict=True)),
                row.stamp.event,
                None if row.stamp.created == NEVER else row.stamp.created,
            )
            for row in rows
        ]

    def push(
        self,
        config: RepoConfig,
        table: FeatureView,
        rows: Mapping[str, tuple[Mapping[str, Any], int, int | None]],
    ) -> None:
        """`online_write_batch` of rows as `read_materialised` gives them, by the one text that is
        the entity's key.

        Raises:
            InputError: as `online_write_batch`.
        """
        kinds = kinds_of(table)
        data: list[Push] = [
            (
                EntityKey(join_keys=table.join_keys, entity_values=[Value(string_val=key)]),
                {name: response.to_proto(kinds[name], values.get(name)) for name in kinds},
                from_micros(event),
                None if created is None else from_micros(created),
            )
            for key, (values, event, created) in rows.items()
        ]
        self.online_write_batch(config, table, data, None)

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Push],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """As `online_write_batch`."""
        self.online_write_batch(config, table, data, progress)

    def load(self, config: RepoConfig, table: FeatureView) -> Load:
        """A materialisation of one view, to be collected and then given to `loading.commit`."""
        return Load(self._database(config), config.project, table.name, _schema(table))

    def delete_entities(self, config: RepoConfig, entity_keys: Iterable[EntityKey]) -> int:
        """Delete every view's records of some entities.

        Their bytes stay in free pages of the file until those are used again or `compact` has run.

        Returns:
            How many records were deleted.
        """
        entities = [short(entity_bytes(key)) for key in entity_keys]
        with self._database(config).write() as snapshot:
            views = layouts(snapshot, config.project)
            deleted = 0
            for layout in views.values():
                keys = [entity + layout.suffix for entity in entities]
                deleted += snapshot.delete(BATCH, keys) + snapshot.delete(LIVE, keys)
            _drop_unnamed(snapshot)
            for name, layout in views.items():
                changed = replace(layout, loads=layout.loads + 1, erasures=layout.erasures + 1)
                write_layout(snapshot, config.project, name, changed)
        return deleted

    def compact(self, config: RepoConfig) -> tuple[int, int]:
        """Write the files anew: without free pages, without a byte of what was deleted.

        Returns:
            Bytes on disk before and after.
        """
        store = self._database(config)
        with store.read() as snapshot:
            if snapshot is None:
                return 0, 0
        sweep(store.path)
        with store.write() as snapshot:
            _drop_gone(snapshot, config.project)
            _drop_unnamed(snapshot)
        return store.compact()

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Delete the records of views that are no more. A changed view is not rewritten."""
        self._delete_views(config, [table.name for table in tables_to_delete])

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """Delete the views' records, and the files when no other project has any."""
        self._delete_views(config, [table.name for table in tables])
        store = self._database(config)
        with store.read() as snapshot:
            empty = (
                snapshot is not None
                and not any(snapshot.begin_with(BATCH, b""))
                and not any(snapshot.begin_with(LIVE, b""))
            )
        if empty:
            store.destroy()

    # Vector search

    def retrieve_online_documents_v2(
        self,
        config: RepoConfig,
        table: FeatureView,
        requested_features: list[str],
        embedding: list[float] | None,
        top_k: int,
        distance_metric: str | None = None,
        query_string: str | None = None,
        filters: ComparisonFilter | CompoundFilter | None = None,
        include_feature_view_version_metadata: bool = False,
    ) -> list[tuple[datetime, EntityKey, dict[str, Value]]]:
        """What `nearest` finds, in the order of the entities' keys: to those Feast puts the rows,
        in whatever order a store gives them. Sort the answer by `distance`.

        Raises:
            InputError: as `nearest`, or there is a text to search for.
        """
        if query_string is not None or embedding is None:
            raise InputError(
                f"feature view {table.name!r}: this online store searches by vector only; give an "
                f"embedding and no query_string."
            )
        found = self.nearest(
            config,
            table,
            requested_features,
            embedding,
            top_k,
            distance_metric=distance_metric,
            filters=filters,
        )
        return sorted(found, key=_as_feast_sorts)

    def nearest(
        self,
        config: RepoConfig,
        table: FeatureView,
        requested_features: list[str],
        embedding: Sequence[float],
        top_k: int,
        *,
        distance_metric: str | None = None,
        filters: ComparisonFilter | CompoundFilter | None = None,
    ) -> list[tuple[datetime, EntityKey, dict[str, Value]]]:
        """The entities whose vector is nearest, nearest first, with a `distance` each: Euclidean,
        1 - cosine, or the negated inner product. Those past the view's ttl are not found.

        Returns:
            Event time, entity and features of each.

        Raises:
            InputError: the view has no vectors, or all have another length; no such metric; a
                filter on a feature that the view has not.
        """
        return [
            _document(table, requested_features, entity, one)
            for entity, one in self.neighbours(
                config,
                table,
                vector_feature(table, requested_features),
                embedding,
                top_k,
                distance_metric=distance_metric,
                filters=filters,
            )
        ]

    def neighbours(
        self,
        config: RepoConfig,
        table: FeatureView,
        feature: str,
        embedding: Sequence[float],
        top_k: int,
        *,
        distance_metric: str | None = None,
        filters: ComparisonFilter | CompoundFilter | None = None,
    ) -> list[tuple[EntityKey, Neighbour]]:
        """As `nearest`, with each one's record: no message is made of a value.

        Args:
            feature: the vectors that are searched.
        """
        metric = metric_of(distance_metric, table.name)
        names = [one.name for one in table.features]
        check_length(table, feature, len(embedding))
        at = names.index(feature)
        with self._database(config).read() as snapshot:
            layout = None
            if snapshot is not None:
                layout = read_layout(snapshot, config.project, table.name)
            if snapshot is None or layout is None:
                return []
            lifetime = lifetime_of(table)
            oldest = None if lifetime is None else _now() - lifetime
            scan = Scan(snapshot, layout, _schema(table).features, oldest)
            if filters is not None:
                rows = {**dict(scan.materialised()), **scan.pushed()}
                kept = dict(matching(rows.items(), table, filters))
                base = Vectors((), len(embedding), metric)
                found = search(table.name, base, kept, scan.row, at, embedding, top_k, metric)
            else:
                size = len(embedding)
                store = str(config.online_store.path)
                base = self._vectors.get(
                    (config.project, store, table.name, feature, metric, size),
                    (layout.loads, lifetime),
                    lambda: Vectors(
                        ((entity, row.values[at]) for entity, row in scan.materialised()),
                        size,
                        metric,
                    ),
                )
                pushed = scan.pushed()
                found = search(table.name, base, pushed, scan.row, at, embedding, top_k, metric)
            return [(entity_key(scan.whole(one.entity)), one) for one in found]

    def _database(self, config: RepoConfig) -> Database:
        options = config.online_store
        root = config.repo_path or Path.cwd()
        return database(
            _resolved(root, options.path),
            map_size=int(options.map_size_gib * 2**30),
            sync=options.sync,
            key_file=None if options.key_file is None else _resolved(root, options.key_file),
        )

    def _delete_views(self, config: RepoConfig, names: Sequence[str]) -> None:
        store = self._database(config)
        with store.read() as snapshot:
            known = {} if snapshot is None else layouts(snapshot, config.project)
        if not any(name in known for name in names):
            return
        with store.write() as snapshot:
            known = layouts(snapshot, config.project)
            for name in known.keys() & set(names):
                for part in (BATCH, LIVE):
                    snapshot.delete(part, [key for key, _ in known[name].records(snapshot, part)])
            _drop_unnamed(snapshot)
            for name in names:
                forget_layout(snapshot, config.project, name)


def _pushed(table: FeatureView, schema: Schema, row: Push) -> Pushed:
    key, values, event, created = row
    # pandas has NaT where there is no time; it alone is not itself.
    if event is None or event != event:
        raise InputError(
            f"feature view {table.name!r}: a row has no event time. Nothing was written; say when "
            f"its values became true."
        )
    learned = None if created is None or created != created else created
    natives = {}
    for name, kind in schema.features:
        if name not in values:
            continue
        try:
            natives[name] = from_proto(kind, values[name])
        except ValueError as error:
            raise InputError(
                f"feature view {table.name!r}: feature {name!r}: found {error}. Nothing was "
                f"written; convert it before it is pushed."
            ) from error
    return Pushed(
        entity_bytes(key),
        natives,
        Stamp(to_micros(event), NEVER if learned is None else to_micros(learned), 0),
    )


def _drop_gone(snapshot: Snapshot, project: str) -> None:
    """Delete materialised records of entities that their source no longer has."""
    for layout in layouts(snapshot, project).values():
        every = layout.records(snapshot, BATCH)
        snapshot.delete(BATCH, [key for key, value in every if run_number(value) < layout.floor])


def _drop_unnamed(snapshot: Snapshot) -> None:
    """Delete the whole keys of entities of which no record is left, of any project."""
    gone = [
        entity
        for entity, _ in snapshot.begin_with(ENTITIES, b"")
        if not any(True for part in (BATCH, LIVE) for _ in snapshot.begin_with(part, entity))
    ]
    snapshot.delete(ENTITIES, gone)


def _as_feast_sorts(one: tuple[datetime, EntityKey, dict[str, Value]]) -> tuple[Any, ...]:
    return tuple(getattr(value, value.WhichOneof("val")) for value in one[1].entity_values)


def _document(
    table: FeatureView, wanted: Sequence[str], entity: EntityKey, found: Neighbour
) -> tuple[datetime, EntityKey, dict[str, Value]]:
    values = {
        field.name: response.to_proto(field.dtype.to_value_type().name, value)
        for field, value in zip(table.features, found.record.values, strict=True)
        if field.name in wanted
    }
    values["distance"] = Value(float_val=found.distance)
    return from_micros(found.record.stamp.event), entity, values


def _schema(table: FeatureView) -> Schema:
    return Schema.of([(f.name, f.dtype.to_value_type()) for f in table.features])


@lru_cache(maxsize=256)
def _resolved(root: Path, path: str) -> Path:
    """One spelling for one folder: a process may open it only once."""
    return (Path(root) / path).resolve()


def _now() -> int:
    return time.time_ns() // 1_000
