"""The Feast batch engine: what is to be materialised, and into what."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from feast.entity import Entity
from feast.feature_view import FeatureView
from feast.infra.common.materialization_job import (
    MaterializationJob,
    MaterializationJobStatus,
    MaterializationTask,
)
from feast.infra.compute_engines.base import ComputeEngine
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel

from profilestore.compute_engine.rows import latest_rows
from profilestore.compute_engine.targets import Target, target_for
from profilestore.offline_store import NativeDuckDBOfflineStoreConfig, check_view

# Feast's start of a first incremental materialisation of a view without ttl.
_FEASTS_YEAR = timedelta(weeks=52)
_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)


class NativeDuckDBComputeEngineConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """`batch_engine:` of `feature_store.yaml`.

    Attributes:
        check_types: whether `feast apply` refuses a view that declares a type into which its
            source's does not fit without loss. Where not, a value that does not fit is refused
            when it goes online.
    """

    type: Literal["profilestore.compute_engine.NativeDuckDBComputeEngine"] = (
        "profilestore.compute_engine.NativeDuckDBComputeEngine"
    )
    check_types: bool = True


class NativeDuckDBComputeEngine(ComputeEngine):  # type: ignore[misc]
    """Materialises with one query a view, whose rows go online a column at a time.

    Works with any offline and online store: quickest with ours, and with Redis. Views with a
    transformation or an aggregation go through Feast's local engine.

    An incremental materialisation asks for everything since the first one, so a row that came late,
    a feature that was added, and a row that has been corrected or removed are online after it.
    All views of one call go online in one transaction where the store has transactions.
    """

    supports_batch = True

    def __init__(self, *, type: str = "", check_types: bool = True, **stores: Any) -> None:
        super().__init__(**stores)
        self._check_types = check_types
        self._local = LocalComputeEngine(**stores)

    def update(
        self,
        project: str,
        views_to_delete: Sequence[FeatureView],
        views_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
    ) -> None:
        """At `feast apply`: check the views against their sources, before anything is registered.

        Raises:
            InputError: a source lacks a declared column, or has it in a type that loses something.
        """
        ours = isinstance(self.repo_config.offline_store, NativeDuckDBOfflineStoreConfig)
        if ours and self._check_types:
            for view in views_to_keep:
                if _is_plain(view):
                    check_view(view, self.repo_config)

    def teardown_infra(
        self, project: str, fvs: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """The engine keeps nothing."""

    def materialize(
        self,
        registry: BaseRegistry,
        tasks: MaterializationTask | list[MaterializationTask],
        **options: Any,
    ) -> list[MaterializationJob]:
        """Materialise views; when one of them fails, none is written."""
        tasks = [tasks] if isinstance(tasks, MaterializationTask) else list(tasks)
        plain = [task for task in tasks if _is_plain(task.feature_view)]
        error: BaseException | None = None
        try:
            self._materialize_plain(plain)
        except Exception as raised:
            error = raised
        jobs: list[MaterializationJob] = []
        for task in tasks:
            if task in plain:
                jobs.append(_Job(_name(task), error))
            else:
                jobs += self._local.materialize(registry, task, **options)
        return jobs

    def get_historical_features(self, registry: BaseRegistry, task: Any) -> Any:
        """Feast asks the offline store; for transformations, its local engine."""
        return self._local.get_historical_features(registry, task)

    def _materialize_plain(self, tasks: Sequence[MaterializationTask]) -> None:
        if not tasks:
            return
        with ExitStack() as stack:
            target = stack.enter_context(target_for(self.online_store, self.repo_config))
            for task in tasks:
                self._collect(target, task)
            target.commit()

    def _collect(self, target: Target, task: MaterializationTask) -> None:
        view = task.feature_view
        start, whole = reach(view, task.start_time, task.end_time)
        writer = target.view(view)
        if whole and writer.since is not None:
            start = min(start, writer.since)
        # How many rows there will be is not known before the query has ended.
        bar = task.tqdm_builder(None) if task.tqdm_builder else None
        if bar is not None:
            bar.set_description_str(view.name)
        for rows in latest_rows(self.offline_store, self.repo_config, view, start, task.end_time):
            writer.add(rows)
            if bar is not None:
                bar.update(len(rows.event))
        if bar is not None:
            bar.close()
        writer.end(start if whole else None)


def reach(view: FeatureView, start: datetime, end: datetime) -> tuple[datetime, bool]:
    """From when on to ask the source, and whether that is everything that is to be online.

    A materialisation that goes on from earlier ones asks for what they asked for too. One that
    leaves a gap, or ends before they did, is taken as it is.
    """
    start, end = _aware(start), _aware(end)
    earlier = [(_aware(a), _aware(b)) for a, b in getattr(view, "materialization_intervals", [])]
    if not earlier:
        year_ago = datetime.now(UTC) - _FEASTS_YEAR
        if not view.ttl and abs(start - year_ago) < timedelta(minutes=1):
            # Offline such a view has values of any age.
            return _BEGINNING, True
        return start, True
    latest = max(last for _, last in earlier)
    if start <= latest <= end:
        return min(start, *(first for first, _ in earlier)), True
    return start, False


@dataclass
class _Job(MaterializationJob):  # type: ignore[misc]
    name: str
    raised: BaseException | None

    def status(self) -> MaterializationJobStatus:
        if self.raised is None:
            return MaterializationJobStatus.SUCCEEDED
        return MaterializationJobStatus.ERROR

    def error(self) -> BaseException | None:
        return self.raised

    def should_be_retried(self) -> bool:
        return False

    def job_id(self) -> str:
        return self.name

    def url(self) -> str | None:
        return None


def _is_plain(view: FeatureView) -> bool:
    """Whether the view is its source's rows and no more."""
    return (
        getattr(view, "batch_source", None) is not None
        and not getattr(view, "source_views", None)
        and not getattr(view, "feature_transformation", None)
        and not getattr(view, "udf", None)
        and not getattr(view, "aggregations", None)
        and not getattr(view, "offline", False)
        and bool(getattr(view, "online", True))
    )


def _name(task: MaterializationTask) -> str:
    return f"{task.feature_view.name}-{task.start_time}-{task.end_time}"


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
