"""An audience: how many match a rule, and who, page by page."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from profilestore.errors import MissingStageError
from profilestore.feature_store import PEOPLE_SERVICE
from serving.audiences.everybody import Everybody
from serving.audiences.matching import columns_of, matches
from serving.audiences.rules import Rule
from serving.audit import note_people
from serving.deployment import Deployment
from serving.documents import AskAudience, AudienceDocument, ViewSource
from serving.reads import Reads

# Any column that a rule may name.
READS = Reads(PEOPLE_SERVICE, lambda feature: feature.entity == "user")
# For so long pages of one audience are of one answer.
_SECONDS = 60.0
_MOST_KEPT = 16


@dataclass(frozen=True)
class _Answer:
    """Who matched, by pseudonym, among how many."""

    at: datetime
    user_ids: list[str]
    among: int
    until: float


class Audiences:
    """Answers of a deployment; the latest are kept for a minute, for the pages that follow.

    Args:
        clock: seconds that only grow.
    """

    def __init__(
        self, deployment: Deployment, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._deployment, self._clock = deployment, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Rule, _Answer] = OrderedDict()

    def document(self, asked: AskAudience) -> AudienceDocument:
        """A page of whoever matches.

        Raises:
            InputError: the rule cannot be held against anybody; the message says which part.
            MissingStageError: nothing was built.
            ProfilestoreError: a model that has to be asked is not there.
        """
        answer = self._answer(asked.rule)
        first = 0 if asked.after is None else bisect_right(answer.user_ids, asked.after)
        page = answer.user_ids[first : first + asked.limit]
        # Another asked the same a moment ago: this one is told it all the same.
        note_people(page, [f"service:{PEOPLE_SERVICE}"])
        more = first + asked.limit < len(answer.user_ids)
        return AudienceDocument(
            asked_at=answer.at,
            built_at=self._built_at(),
            source=ViewSource(view=None, feature_service=PEOPLE_SERVICE),
            total=len(answer.user_ids),
            among=answer.among,
            users=page,
            next=page[-1] if more else None,
        )

    def _answer(self, rule: Rule) -> _Answer:
        with self._lock:
            kept = self._kept.get(rule)
            if kept is not None and self._clock() < kept.until:
                return kept
        at = datetime.now(UTC)
        people = self._everybody(rule, at)
        found = matches(rule, people, np.ones(len(people), bool))
        # The lake's order of text is that of bytes, which may be another one than Python's.
        user_ids = sorted(people.user_ids[row] for row in np.flatnonzero(found))
        answer = _Answer(at, user_ids, len(people), self._clock() + _SECONDS)
        with self._lock:
            self._kept[rule] = answer
            self._kept.move_to_end(rule)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return answer

    def _everybody(self, rule: Rule, at: datetime) -> Everybody:
        features = self._deployment.past().features(PEOPLE_SERVICE)
        about_people = [one for one in features if one.entity == "user"]
        return Everybody(self._deployment, at, columns_of(rule, about_people))

    def _built_at(self) -> datetime | None:
        try:
            return self._deployment.quality().at
        except MissingStageError:
            return None
