"""What Feast's own feature server answers, over one deployment: for clients that speak to one.

An answer to a plain request is JSON straight from the records of our online store; everything else
goes through Feast as its server does it.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import orjson
import pandas as pd

from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore, without_typeguard
from profilestore.settings import Settings

with without_typeguard():
    from feast.data_source import PushMode
    from feast.errors import FeastError
    from feast.feature_server_utils import convert_response_to_dict

    from profilestore.online_store import LMDBOnlineStore
    from profilestore.online_store.request import Plan

Columns = Mapping[str, list[Any]]
# A feature service, or features; and whether their views stand before their names.
_Asked = tuple[str | None, tuple[str, ...], bool]
_MOST_PLANS = 1_000
PushTo = Literal["online", "offline", "online_and_offline"]


class RefusedByFeastError(InputError):
    """Feast does not take a request.

    Args:
        status: HTTP status.
        detail: the error as Feast's server sends it and Feast's SDK reads it.
    """

    def __init__(self, message: str, status: int = 422, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class FeatureServer:
    """Reads and writes as the routes of Feast's server do, for one thread at a time: others wait.

    Raises:
        MissingStageError: nothing was applied yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._feast = FeatureStore(settings).sdk
        self._lock = threading.Lock()
        # Whoever asks, asks the same again and again. What these say is true as long as the
        # registry is, and with another registry there is another one of us.
        self._plans: dict[_Asked, Plan | None] = {}

    def get_online_features(
        self,
        entities: Columns,
        *,
        features: Sequence[str] = (),
        service: str | None = None,
        full_feature_names: bool = False,
        versions: bool = False,
    ) -> bytes:
        """The latest features of some entities, as JSON.

        Args:
            entities: join key -> values, a row each; all of one length.
            features: as `view:feature`; not read where a service is named.
            versions: whether to say which version of a view was read.

        Raises:
            RefusedByFeastError: there is no such service, view or feature.
            InputError: anything else that is not as Feast needs it.
        """
        with self._lock, _refusals():
            body = None
            if not versions:
                body = self._plainly(entities, (service, tuple(features), full_feature_names))
            if body is None:
                wanted = self._wanted(service, features)
                answer = self._feast.get_online_features(
                    features=wanted,
                    entity_rows=dict(entities),
                    full_feature_names=full_feature_names,
                    include_feature_view_version_metadata=versions,
                )
                body = orjson.dumps(convert_response_to_dict(answer.proto))
        return body

    def _plainly(self, entities: Columns, asked: _Asked) -> bytes | None:
        """The answer straight from the records; None where Feast has to give it."""
        online = self._feast._get_provider().online_store
        if not isinstance(online, LMDBOnlineStore):
            return None
        if asked not in self._plans:
            service, features, full_feature_names = asked
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[asked] = online.plan_read(
                self._wanted(service, features),
                self._feast.registry,
                self._feast.project,
                full_feature_names,
            )
        plan = self._plans[asked]
        return None if plan is None else online.get_online_json(self._feast.config, plan, entities)

    def _wanted(self, service: str | None, features: Sequence[str]) -> Any:
        if service is None:
            return list(features)
        return self._feast.get_feature_service(service, allow_cache=True)

    def search(
        self,
        *,
        features: Sequence[str] = (),
        service: str | None = None,
        query: Sequence[float] | None = None,
        text: str | None = None,
        count: int | None = None,
        metric: str | None = None,
        versions: bool = False,
    ) -> bytes:
        """The entities that are nearest to a vector, or match a text, as JSON.

        Args:
            features: as `view:feature`, of one view; not read where a service is named.
            count: how many at most.

        Raises:
            RefusedByFeastError: there is no such service, view or feature.
            InputError: anything else that is not as Feast needs it.
        """
        with self._lock, _refusals():
            answer = self._feast.retrieve_online_documents_v2(
                features=self._wanted(service, features),
                query=None if query is None else list(query),
                query_string=text,
                top_k=count,
                **({} if metric is None else {"distance_metric": metric}),
                include_feature_view_version_metadata=versions,
            )
            return orjson.dumps(convert_response_to_dict(answer.proto))

    def push(self, source: str, columns: Columns, to: PushTo = "online") -> None:
        """Write rows to every view that has a push source.

        Args:
            columns: join keys, features and times of the rows.

        Raises:
            RefusedByFeastError: no view has a push source of that name.
            InputError: the rows are not as the views need them.
        """
        with self._lock, _refusals():
            self._feast.push(source, pd.DataFrame(dict(columns)), to=PushMode[to.upper()])

    def write(self, view: str, columns: Columns) -> None:
        """Write rows to one view of the online store; as `push`."""
        with self._lock, _refusals():
            self._feast.write_to_online_store(view, df=pd.DataFrame(dict(columns)))


@contextmanager
def _refusals() -> Iterator[None]:
    """What Feast raises of a request, as ours. A request that came here is well formed: what Feast
    stumbles over in it is a name or a value."""
    try:
        yield
    except FeastError as error:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Feast takes a number from where it will not stay
            status = int(error.http_status_code())
        # Feast calls whatever it has no number for an error of the server.
        status = 422 if status >= 500 else status
        raise RefusedByFeastError(str(error), status, error.to_error_detail()) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"Feast cannot take this: {json.dumps(str(error))[1:-1]}") from error
