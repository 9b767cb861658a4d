"""The one gateway to Feast: training frames from offline, profiles from online."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import prometheus_client  # noqa: F401  # before Feast, which sets it up to keep numbers in files
import pyarrow as pa
import typeguard

from profilestore.encoding import Feature
from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.instants import from_micros, to_micros
from profilestore.lake import find_snapshot, latest_snapshot
from profilestore.settings import Settings
from profilestore.tags import Tags, count_holders, tag_columns


@contextmanager
def without_typeguard() -> Iterator[None]:
    """Feast decorates its classes with typeguard's run-time checks, and instruments them while it
    is imported: two thirds of the three seconds that takes. A service has to be ready in less, and
    what we pass to Feast is checked by mypy and by our tests."""
    checked = typeguard.typechecked
    typeguard.typechecked = lambda target=None, **_: target or (lambda inner: inner)
    try:
        yield
    finally:
        typeguard.typechecked = checked


with without_typeguard():
    import feast
    from feast.errors import FeastObjectNotFoundException, FeatureViewNotFoundException
    from feast.feature_view import FeatureView
    from feast.on_demand_feature_view import OnDemandFeatureView
    from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
    from feast.type_map import feast_value_type_to_python_type
    from feast.value_type import ValueType

    from profilestore.offline_store import NativeDuckDBOfflineStoreConfig
    from profilestore.online_store import LMDBOnlineStore, python_values, text_key
    from profilestore.online_store.selection import Selection, Selections

State = Literal["fresh", "stale", "missing"]

_NUMBERS = {
    ValueType.INT32,
    ValueType.INT64,
    ValueType.FLOAT,
    ValueType.DOUBLE,
    ValueType.BOOL,
    ValueType.DECIMAL,
}
_NUMBER_LISTS = {
    ValueType.INT32_LIST,
    ValueType.INT64_LIST,
    ValueType.FLOAT_LIST,
    ValueType.DOUBLE_LIST,
}
_KINDS = {
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys(_NUMBER_LISTS, "list_of_number"),
    ValueType.UNIX_TIMESTAMP: "timestamp",
    ValueType.STRING: "text",
    ValueType.STRING_LIST: "list_of_text",
}

# Who is online is noted from these, and /v1/users lists it.
PEOPLE_SERVICE = "profile_v1"
PEOPLE_COLUMNS = ("user_activity__last_event_at", "user_activity__events_lifetime")

# What on-demand views take from whoever asks: the instant of the question.
ASKED_AT = "asked_at"

# The beginning of time for a full materialisation: before any event that staging lets through.
_BEGINNING = datetime(1980, 1, 1, tzinfo=UTC)
_MATERIALIZED = "materialized.json"


@dataclass(frozen=True)
class Neighbour:
    """An entity that is near a vector.

    Attributes:
        distance: by the metric of the view's column; with cosine, 1 - cosine.
        values: feature -> value, of the view that was searched.
    """

    key: str
    distance: float
    values: Mapping[str, Any]


@dataclass(frozen=True)
class ViewRecord:
    """The latest values of one view for one entity.

    Attributes:
        values: feature -> value; all None unless `state` is fresh.
        as_of: when they became true; None when nothing is known.
        state: `fresh`, `stale` (past the view's ttl: values withheld) or `missing`.
    """

    view: str
    values: Mapping[str, Any]
    as_of: datetime | None
    state: State


@dataclass(frozen=True)
class StoredRow:
    """One row of a view in the online store.

    Attributes:
        values: feature -> value as the store keeps it: a timestamp is whole seconds since 1970.
        event, created: when they became true and were learned, in microseconds since 1970; None
            where the source does not say when they were learned.
    """

    values: Mapping[str, Any]
    event: int
    created: int | None


@dataclass(frozen=True)
class Person:
    """Someone who can be asked for: pseudonym, latest event, number of events."""

    user_id: str
    last_event_at: datetime
    events: int


@dataclass(frozen=True)
class Materialized:
    """When the online store was last filled, and with whom, those seen last first."""

    at: datetime
    people: list[Person]

    def write(self, settings: Settings) -> None:
        text = json.dumps(
            {
                "at": self.at.isoformat(),
                "people": [[p.user_id, p.last_event_at.isoformat(), p.events] for p in self.people],
            }
        )
        draft = settings.online / f".{_MATERIALIZED}.{os.getpid()}"
        draft.write_text(text)
        draft.replace(settings.online / _MATERIALIZED)

    @classmethod
    def read(cls, settings: Settings) -> Materialized:
        """What the last `materialize` noted.

        Raises:
            MissingStageError: there was none.
        """
        try:
            noted = json.loads((settings.online / _MATERIALIZED).read_text())
        except FileNotFoundError:
            raise MissingStageError(
                f"the online store in {settings.online} is empty. Run `make materialize` first."
            ) from None
        return cls(
            at=datetime.fromisoformat(noted["at"]),
            people=[
                Person(user, datetime.fromisoformat(last), events)
                for user, last, events in noted["people"]
            ],
        )


class FeatureStore:
    """Feast over one deployment's registry, offline store and online store.

    Raises:
        MissingStageError: nothing was applied yet.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.registry.exists():
            raise MissingStageError(f"no registry at {settings.registry}. Run `make apply` first.")
        self._settings = settings
        self._feast = feast.FeatureStore(repo_path=str(settings.feature_repo))
        # Feast makes a view anew from its message at each call: half of the time of a profile.
        self._online_views: dict[str, list[FeatureView | OnDemandFeatureView]] = {}
        # By identity: one name stands for other features in another service.
        self._selections: dict[int, Selection] = {}
        self._read_together: dict[tuple[int, ...], Selections] = {}

    @property
    def sdk(self) -> feast.FeatureStore:
        """Feast's own store over the deployment."""
        return self._feast

    def pinned(self, snapshot: int | None = None) -> FeatureStore:
        """The same store, which reads the lake as it was at a snapshot, whatever is built later.

        Args:
            snapshot: its number; by default the one that this store would read now.

        Raises:
            InputError: the lake has no such snapshot; the offline store is not ours.
        """
        store = FeatureStore(self._settings)
        options = store._feast.config.offline_store
        if not isinstance(options, NativeDuckDBOfflineStoreConfig):
            raise InputError(
                f"the offline store in feature_store.yaml is {options.type}, which cannot be "
                "pinned to a snapshot of the lake; a NativeDuckDBOfflineStore can."
            )
        number = self.lake_snapshot() if snapshot is None else self._find_snapshot(snapshot)
        options.snapshot, options.snapshot_time = number, None
        return store

    def features(self, service: str) -> list[Feature]:
        """What a feature service declares, in its order.

        Raises:
            ProfilestoreError: the registry has no such service.
        """
        features = []
        for view in self._views(service):
            for column in view.features:
                features.append(
                    Feature(
                        view=view.name,
                        name=column.name,
                        entity=view.entities[0],
                        kind=kind_of(column.dtype.to_value_type()),
                        description=column.description,
                        tags=dict(column.tags),
                    )
                )
        return features

    def view_tags(self, service: str) -> dict[str, dict[str, str]]:
        """Tags of each view of a service, as the mart's YAML gives them."""
        return {view.name: dict(view.tags) for view in self._views(service)}

    def purposes(self) -> dict[str, str]:
        """Each feature service with what it reads for, its tag `purpose`; empty without one."""
        return {
            service.name: service.tags.get("purpose", "")
            for service in self._feast.list_feature_services()
        }

    def training_frame(
        self, service: str, spine: str | pa.Table, *, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Features as they were known at each row of the spine, streamed.

        Args:
            service: feature service.
            spine: SQL over the lake, or an Arrow table; with the entities' keys, `event_timestamp`
                (the instant asked for) and any further columns, which are kept. For on-demand
                views also `asked_at`, most often the same instant.
            columns: features to read, as `<view>__<feature>`; all of the service by default.

        Returns:
            Batches with the spine's columns and one `<view>__<feature>` for each feature, in the
            spine's order. A value learned after the instant asked for is not among them. With
            on-demand views also what those are computed from; and the whole frame is in memory.
        """
        wanted = None if columns is None else set(columns)
        references = [
            f"{feature.view}:{feature.name}"
            for feature in self.features(service)
            if wanted is None or feature.column in wanted
        ]
        job = self._feast.get_historical_features(
            entity_df=spine,
            features=references,
            full_feature_names=True,
            filter_by_created_timestamp=True,
        )
        if job.on_demand_feature_views:
            return job.to_arrow().to_reader()
        return job.to_record_batches()

    def people(
        self,
        service: str,
        at: datetime,
        columns: Sequence[str],
        *,
        who: Sequence[str] | None = None,
    ) -> pa.Table:
        """Everybody who did anything, with some features of a service as they were known then.

        Args:
            columns: as `<view>__<feature>`; one at least.
            who: these alone, whatever they did.

        Returns:
            `user_id`, `event_timestamp` and the columns; by `user_id`, or in the order of `who`.

        Raises:
            MissingStageError: the lake is not there.
        """
        spine: str | pa.Table = f"{_everybody(at)} ORDER BY user_id"
        if who is not None:
            instants = pa.array([at] * len(who), pa.timestamp("us", tz="UTC"))
            spine = pa.table({"user_id": pa.array(who, pa.string()), "event_timestamp": instants})
        return self.training_frame(service, spine, columns=columns).read_all()

    def keys(self, service: str, entity: str) -> list[str]:
        """Every key of an entity that some view of the service holds, sorted."""
        views = self._stored_views(service, entity)
        now = _literal(datetime.now(UTC))
        spine = " UNION ".join(
            f"SELECT {entity}_id, {now} AS event_timestamp "
            f"FROM {view.batch_source.get_table_query_string()}"
            for view in views
        )
        some = f"{views[0].name}__{views[0].features[0].name}"
        frame = self.training_frame(
            service, f"{spine} ORDER BY {entity}_id", columns=[some]
        ).read_all()
        return [str(key) for key in frame[f"{entity}_id"].to_pylist()]

    def changes(
        self,
        service: str,
        entity: str,
        start: datetime,
        end: datetime,
        *,
        columns: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Every entity's features at `start`, and again at each later instant up to `end` at which
        one of its views that has a wanted column has a new row; by time.

        With these rows alone one can walk through time and know every entity's features exactly at
        every instant between.
        """
        views = self._stored_views(service, entity)
        wanted = [
            feature
            for feature in self.features(service)
            if feature.entity == entity and (columns is None or feature.column in columns)
        ]
        read = {feature.view for feature in wanted}
        at_start = [
            f"SELECT {entity}_id, {_literal(start)} AS event_timestamp "
            f"FROM {view.batch_source.get_table_query_string()}"
            for view in views
        ]
        later = [
            f"SELECT {entity}_id, {at} AS event_timestamp "
            f"FROM {view.batch_source.get_table_query_string()} "
            f"WHERE {at} > {_literal(start)} AND {at} <= {_literal(end)}"
            for view in views
            if view.name in read
            for at in [view.batch_source.timestamp_field]
        ]
        # Something has to be asked for, if only to get the spine back.
        some = f"{views[0].name}__{views[0].features[0].name}"
        spine = f"{' UNION '.join([*at_start, *later])} ORDER BY event_timestamp, {entity}_id"
        columns = [feature.column for feature in wanted] or [some]
        return self.training_frame(service, spine, columns=columns)

    def online(
        self,
        service: str,
        entity: str,
        keys: Sequence[str],
        *,
        now: datetime | None = None,
        views: Collection[str] | None = None,
    ) -> list[dict[str, ViewRecord]]:
        """The latest values of every view of one entity, for each key: view -> record.

        Past its ttl a value is None here as it is offline. From our own online store the records
        are read as they are; from another of Feast's through its messages. On-demand views are
        computed as asked at `now`.

        Args:
            service: as it was registered when this store first read from it online.
            views: those to read; by default all of the service.
        """
        now = now or datetime.now(UTC)
        asked = [
            view
            for view in self._kept_views(service)
            if view.entities[0] == entity and (views is None or view.name in views)
        ]
        if not keys or not asked:
            return [{} for _ in keys]
        rows = self._stored([view for view in asked if _is_stored(view)], entity, keys, now)
        for view in asked:
            if not _is_stored(view):
                for row, record in zip(rows, self._computed(view, entity, keys, now), strict=True):
                    row[view.name] = record
        return rows

    def as_of(
        self,
        service: str,
        entity: str,
        key: str,
        at: datetime,
        *,
        views: Collection[str] | None = None,
    ) -> dict[str, ViewRecord]:
        """The values of every view of one entity as they were, and were known, at an instant:
        view -> record. From the offline store, by the one join that trainings use.

        Args:
            views: those to read, some tenths of a second each; by default all of the service.

        Raises:
            MissingStageError: the lake is not there.
        """
        asked = [
            view
            for view in self._stored_views(service, entity)
            if views is None or view.name in views
        ]
        if not asked:
            return {}
        name = "'" + key.replace("'", "''") + "'"
        ages = [f"({_latest(view, entity, name, at)}) AS {view.name}__as_of" for view in asked]
        spine = (
            f"SELECT {name} AS {entity}_id, {_literal(at)} AS event_timestamp, {', '.join(ages)}"
        )
        columns = [f"{view.name}__{column.name}" for view in asked for column in view.features]
        (row,) = self.training_frame(service, spine, columns=columns).read_all().to_pylist()
        found = {}
        for view in asked:
            as_of = row[f"{view.name}__as_of"]
            state: State = "missing" if as_of is None else "fresh"
            if as_of is not None and view.ttl and as_of + view.ttl < at:
                state = "stale"
            values = {column.name: row[f"{view.name}__{column.name}"] for column in view.features}
            found[view.name] = ViewRecord(view.name, values, as_of, state)
        return found

    def _stored(
        self, views: Sequence[FeatureView], entity: str, keys: Sequence[str], now: datetime
    ) -> list[dict[str, ViewRecord]]:
        if not views:
            return [{} for _ in keys]
        store = self._feast._get_provider().online_store
        if isinstance(store, LMDBOnlineStore):
            together = tuple(map(id, views))
            if together not in self._read_together:
                self._read_together[together] = Selections(
                    [self._selections[one] for one in together]
                )
            selections = self._read_together[together]
            return _from_records(store, self._feast.config, selections, keys, now)
        response = self._feast.get_online_features(
            features=[f"{view.name}:{column.name}" for view in views for column in view.features],
            entity_rows=[{f"{entity}_id": key} for key in keys],
            full_feature_names=True,
        ).proto
        vectors = dict(zip(response.metadata.feature_names.val, response.results, strict=True))
        return [
            {view.name: _record(view, vectors, row, now) for view in views}
            for row in range(len(keys))
        ]

    def _computed(
        self, view: OnDemandFeatureView, entity: str, keys: Sequence[str], now: datetime
    ) -> list[ViewRecord]:
        # Feast leaves out what is computed in Python when it is asked for by its full name.
        answer = self._feast.get_online_features(
            features=[f"{view.name}:{column.name}" for column in view.features],
            entity_rows=[{f"{entity}_id": key, ASKED_AT: now} for key in keys],
        ).to_dict()
        names = [column.name for column in view.features]
        return [
            ViewRecord(view.name, dict(zip(names, values, strict=True)), now, "fresh")
            for values in zip(*(answer[name] for name in names), strict=True)
        ]

    def tagged(self, entity: str, tag: str) -> list[Feature]:
        """The features of all stored views of an entity that have a tag."""
        return [
            Feature(
                view=view.name,
                name=column.name,
                entity=entity,
                kind=kind_of(column.dtype.to_value_type()),
                description=column.description,
                tags=dict(column.tags),
            )
            for view in self._feast.list_feature_views(allow_cache=True)
            if view.entities[:1] == [entity]
            for column in view.features
            if tag in column.tags
        ]

    def materialised_rows(self, view: str, keys: Sequence[str]) -> list[StoredRow | None]:
        """What materialisations wrote of a view, whatever was pushed since; None where nothing.

        Raises:
            InputError: the online store does not keep the two apart.
        """
        store, declared = self._own_online_store(), self._view(view)
        build = text_key(declared.join_keys[0])
        return [
            None if found is None else StoredRow(*found)
            for found in store.read_materialised(
                self._feast.config, declared, [build(key) for key in keys]
            )
        ]

    def push_rows(self, view: str, rows: Mapping[str, StoredRow]) -> None:
        """Put rows beside what was materialised: read until a materialisation has what is newer.

        Raises:
            InputError: the online store does not keep the two apart.
        """
        store, declared = self._own_online_store(), self._view(view)
        store.push(
            self._feast.config,
            declared,
            {key: (row.values, row.event, row.created) for key, row in rows.items()},
        )

    def _own_online_store(self) -> LMDBOnlineStore:
        store = self._feast._get_provider().online_store
        if not isinstance(store, LMDBOnlineStore):
            raise InputError(
                f"the online store in feature_store.yaml is a {type(store).__name__}, which does "
                "not keep apart what was materialised and what was pushed; an LMDBOnlineStore does."
            )
        return store

    def nearest(
        self, service: str, entity: str, vector: Sequence[float], count: int
    ) -> list[Neighbour]:
        """Who or what is nearest to a vector, nearest first, by the view of the service that has an
        index of vectors of the entity.

        Raises:
            InputError: the service has no such view.
        """
        views = [
            view
            for view in self._kept_views(service)
            if view.entities[0] == entity and any(field.vector_index for field in view.features)
        ]
        if len(views) != 1:
            raise InputError(
                f"feature service {service}: {len(views)} views of {entity} have a vector to "
                "search by, needed one. Say `vector_index: cosine` at the mart's column."
            )
        (view,) = views
        searched = next(field for field in view.features if field.vector_index)
        online = self._feast._get_provider().online_store
        if isinstance(online, LMDBOnlineStore):
            selection = self._selections[id(view)]
            near = online.neighbours(
                self._feast.config,
                view,
                searched.name,
                vector,
                count,
                distance_metric=searched.vector_search_metric,
            )
            return [
                Neighbour(
                    entity_key.entity_values[0].string_val,
                    one.distance,
                    {
                        name: python_values(kind, [value])[0]
                        for (name, kind), value in zip(
                            selection.features, one.record.values, strict=True
                        )
                    },
                )
                for entity_key, one in near
            ]
        names = [field.name for field in view.features]
        found = self._feast.retrieve_online_documents_v2(
            features=[f"{view.name}:{name}" for name in names],
            query=list(vector),
            top_k=count,
        ).to_dict()
        rows = zip(*(found.get(name, []) for name in (f"{entity}_id", "distance")), strict=True)
        # Feast gives them in the order of their keys.
        return sorted(
            (
                Neighbour(key, distance, {name: found[name][row] for name in names})
                for row, (key, distance) in enumerate(rows)
            ),
            key=lambda one: one.distance,
        )

    def materialize(self, now: datetime | None = None) -> Materialized:
        """Copy the values that are true now into the online store, note who is in it, and count
        who has which tag."""
        now = now or datetime.now(UTC)
        self._feast.materialize(start_date=_BEGINNING, end_date=now)
        everybody = _everybody(now)
        people = self.training_frame(PEOPLE_SERVICE, everybody, columns=PEOPLE_COLUMNS).read_all()
        seen = zip(
            people["user_id"].to_pylist(),
            *(people[column].to_pylist() for column in PEOPLE_COLUMNS),
            strict=True,
        )
        note = Materialized(
            at=now,
            people=sorted(
                (Person(user, last, events) for user, last, events in seen if last is not None),
                key=lambda person: (-person.last_event_at.timestamp(), person.user_id),
            ),
        )
        tagged = tag_columns(self.features(PEOPLE_SERVICE))
        if tagged:
            rows = self.training_frame(PEOPLE_SERVICE, everybody, columns=tagged)
            Tags(now, count_holders(rows, tagged)).write(self._settings)
        note.write(self._settings)
        return note

    def compact(self) -> tuple[int, int]:
        """Write the online store's files anew: without free pages, and without a byte of what was
        deleted. Services that read it go on.

        Returns:
            Bytes before and after.

        Raises:
            InputError: the online store is not ours.
        """
        store = self._feast._get_provider().online_store
        if not isinstance(store, LMDBOnlineStore):
            raise InputError(
                f"the online store in feature_store.yaml is a {type(store).__name__}, which this "
                f"command does not know; it compacts an LMDBOnlineStore."
            )
        return store.compact(self._feast.config)

    def lake_snapshot(self) -> int:
        """Number of the lake's snapshot that is read: the one pinned to, or the latest."""
        options = self._feast.config.offline_store
        if isinstance(options, NativeDuckDBOfflineStoreConfig):
            pin = options.snapshot if options.snapshot is not None else options.snapshot_time
            if pin is not None:
                return self._find_snapshot(pin)
        return latest_snapshot(self._settings.lake_catalog, self._settings.lake_files)

    def _find_snapshot(self, wanted: int | datetime) -> int:
        return find_snapshot(self._settings.lake_catalog, self._settings.lake_files, wanted)

    def registry_hash(self) -> str:
        """A name for what is registered: views, types, services. Equal registries, equal names."""
        parts = sorted(
            [
                *(
                    repr(
                        (view.name, str(view.ttl), [(f.name, str(f.dtype)) for f in view.features])
                    )
                    for view in self._feast.list_feature_views()
                ),
                *(
                    repr((view.name, view.feature_transformation.udf_string))
                    for view in self._feast.list_on_demand_feature_views()
                ),
                *(
                    repr((s.name, [p.name for p in s.feature_view_projections]))
                    for s in self._feast.list_feature_services()
                ),
            ]
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _kept_views(self, service: str) -> list[FeatureView | OnDemandFeatureView]:
        """As `_views`, made once."""
        if service not in self._online_views:
            self._online_views[service] = self._views(service)
            for view in self._online_views[service]:
                self._selections[id(view)] = Selection.of(view, [f.name for f in view.features])
        return self._online_views[service]

    def _stored_views(self, service: str, entity: str) -> list[FeatureView]:
        """The views of one entity whose values lie in a store."""
        return [
            view for view in self._views(service) if view.entities[0] == entity and _is_stored(view)
        ]

    def _views(self, service: str) -> list[FeatureView | OnDemandFeatureView]:
        try:
            declared = self._feast.get_feature_service(service, allow_cache=True)
        except FeastObjectNotFoundException:
            known = ", ".join(sorted(s.name for s in self._feast.list_feature_services()))
            raise ProfilestoreError(
                f"no feature service {service!r} in the registry (it has: {known or 'none'}). "
                "Run `make apply`."
            ) from None
        return [self._view(projection.name) for projection in declared.feature_view_projections]

    def _view(self, name: str) -> FeatureView | OnDemandFeatureView:
        try:
            return self._feast.get_feature_view(name, allow_registry_cache=True)
        except FeatureViewNotFoundException:
            return self._feast.get_on_demand_feature_view(name, allow_registry_cache=True)


def _is_stored(view: FeatureView | OnDemandFeatureView) -> bool:
    return not isinstance(view, OnDemandFeatureView)


def kind_of(value_type: ValueType) -> str:
    """The kind of a feature of that type, as `profilestore.encoding.Feature` names kinds."""
    return _KINDS.get(value_type, "other")


def _literal(at: datetime) -> str:
    return f"TIMESTAMPTZ '{at.astimezone(UTC).isoformat()}'"


def _everybody(at: datetime) -> str:
    return f"SELECT DISTINCT user_id, {_literal(at)} AS event_timestamp FROM lake.main.interactions"


def _latest(view: FeatureView, entity: str, key: str, at: datetime) -> str:
    """SQL of when the row of a view became true that was the latest known at an instant."""
    source = view.batch_source
    known = "".join(
        f" AND {column} <= {_literal(at)}"
        for column in (source.timestamp_field, source.created_timestamp_column)
        if column
    )
    return (
        f"SELECT max({source.timestamp_field}) FROM {source.get_table_query_string()} "
        f"WHERE {entity}_id = {key}{known}"
    )


def _from_records(
    store: LMDBOnlineStore,
    config: Any,
    selections: Selections,
    keys: Sequence[str],
    now: datetime,
) -> list[dict[str, ViewRecord]]:
    build = text_key(selections.each[0].view.join_keys[0])
    entities = [build(key) for key in keys]
    found = store.read_selections(config, selections, entities, now=to_micros(now))
    rows: list[dict[str, ViewRecord]] = [{} for _ in keys]
    for selection, records in zip(selections.each, found, strict=True):
        name, names = selection.view.name, selection.names
        columns = [
            python_values(kind, records.columns[feature]) for feature, kind in selection.features
        ]
        values = zip(*columns, strict=True) if columns else iter([()] * len(keys))
        for row, state, event, cells in zip(
            rows, records.states, records.events, values, strict=True
        ):
            row[name] = ViewRecord(
                name,
                dict(zip(names, cells, strict=True)),
                None if event is None else from_micros(event),
                state,
            )
    return rows


def _record(view: FeatureView, vectors: Mapping[str, Any], row: int, now: datetime) -> ViewRecord:
    names = [column.name for column in view.features]
    cells = [vectors[f"{view.name}__{name}"] for name in names]
    present = [cell.statuses[row] == FieldStatus.PRESENT for cell in cells]
    nothing = dict.fromkeys(names)
    stamps = [cell.event_timestamps[row] for cell in cells]
    if not any(stamp.seconds for stamp in stamps):
        return ViewRecord(view.name, nothing, None, "missing")
    as_of = max(stamp.ToDatetime(UTC) for stamp in stamps)
    if view.ttl and view.ttl > timedelta(0) and as_of + view.ttl < now:
        return ViewRecord(view.name, nothing, as_of, "stale")
    values = {
        column.name: feast_value_type_to_python_type(cell.values[row], column.dtype.to_value_type())
        if there
        else None
        for column, cell, there in zip(view.features, cells, present, strict=True)
    }
    return ViewRecord(view.name, values, as_of, "fresh")
