"""What is known of all people, by column, read as far as a rule needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profilestore.artifacts import Bundle, head_output
from profilestore.encoding import Encoding, Feature
from profilestore.errors import InputError, ProfilestoreError
from profilestore.feature_store import PEOPLE_SERVICE
from profilestore.instants import to_micros
from serving.blocks.scores import score_names, scores_of
from serving.blocks.segments import class_of
from serving.deployment import Deployment, Store

# What a model is asked one by one, a good second for each thousand.
MOST_ASKED = 20_000
# The fifths in which whoever bought stands.
FIFTHS = tuple(f"user_value__{name}_score" for name in ("recency", "frequency", "spend"))

Mask = npt.NDArray[np.bool_]


class Everybody:
    """Everybody who did anything up to the latest build.

    Args:
        columns: of `PEOPLE_SERVICE`, those that will be asked for.

    Raises:
        MissingStageError: nothing was built, or applied.
    """

    def __init__(self, deployment: Deployment, at: datetime, columns: Collection[str]) -> None:
        self._deployment, self._at = deployment, at
        self._store: Store = deployment.past()
        self.features: Mapping[str, Feature] = {
            one.column: one for one in self._store.features(PEOPLE_SERVICE) if one.entity == "user"
        }
        # Somebody may be all that is asked for: a column is read in any case.
        wanted = sorted(set(columns)) or [next(iter(self.features))]
        self._table = self._store.people(PEOPLE_SERVICE, at, wanted)
        self.user_ids: list[str] = self._table["user_id"].to_pylist()
        self._scores: dict[str, npt.NDArray[np.float64]] = {}
        self._asked: Mask = np.zeros(len(self), bool)
        self._segments: list[str | None] = [None] * len(self)
        self._placed: Mask = np.zeros(len(self), bool)

    def __len__(self) -> int:
        return len(self.user_ids)

    def column(self, name: str) -> pa.Array:
        """Values of everybody, in the order of `user_ids`."""
        found = self._table[name].combine_chunks()
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def purchase_classes(self) -> list[str | None]:
        """Class by purchases of everybody; None for whoever has bought nothing."""
        fifths = [self.column(name).to_pylist() for name in FIFTHS]
        return [None if None in one else class_of(*one).name for one in zip(*fifths, strict=True)]

    def scores(self, name: str, among: Mask) -> npt.NDArray[np.float64]:
        """A score of each person in `among`; no number for the others.

        Raises:
            InputError: the model has no such score, or they are too many to ask.
            ProfilestoreError: no bundle.
        """
        bundle = self._deployment.bundle()
        names = {score for head in bundle.heads.values() for score in score_names(head)}
        if name not in names:
            raise InputError(
                f"score: found {name[:64]!r}, needed one of: {', '.join(sorted(names)) or 'none'}."
            )
        rows = self._not_yet(among, self._asked, "scores")
        if len(rows):
            arrays = self._encoded(bundle.feature_service, bundle.encoding, rows, bundle)
            for place, row in enumerate(rows):
                one = {key: array[place : place + 1] for key, array in arrays.items()}
                answer = bundle.query_tower.answer(one)
                for head in bundle.heads.values():
                    told = scores_of(head, answer[head_output(head.name)])
                    for score, value in told.items():
                        known = self._scores.setdefault(score, np.full(len(self), np.nan))
                        known[row] = value
            self._asked[rows] = True
        found = self._scores.get(name, np.full(len(self), np.nan))
        return np.where(among, found, np.nan)

    def behaviour_segments(self, among: Mask) -> list[str | None]:
        """Name of the cluster of each person in `among`.

        Raises:
            InputError: they are too many to ask.
            ProfilestoreError: there are no segments.
        """
        segmentation = self._deployment.segmentation()
        rows = self._not_yet(among, self._placed, "behavioural segments")
        if len(rows):
            service, encoding = segmentation.feature_service, segmentation.encoding
            numbers = self._encoded(service, encoding, rows, None)["numbers"]
            for place, row in enumerate(rows):
                placed = segmentation.place_encoded(numbers[place : place + 1])
                self._segments[row] = placed.cluster.name
            self._placed[rows] = True
        return [one if there else None for one, there in zip(self._segments, among, strict=True)]

    def _not_yet(self, among: Mask, done: Mask, what: str) -> npt.NDArray[np.int64]:
        rows = np.flatnonzero(among & ~done)
        if len(rows) > MOST_ASKED:
            raise InputError(
                f"{what}: found {len(rows):,} people whom a model would have to be asked of, "
                f"needed {MOST_ASKED:,} at most. Say more of them that is no score and no "
                "behavioural segment, beside it under `all`."
            )
        return rows

    def _encoded(
        self,
        service: str,
        encoding: Encoding,
        rows: Sequence[int] | npt.NDArray[np.int64],
        bundle: Bundle | None,
    ) -> Mapping[str, npt.NDArray]:
        who = [self.user_ids[row] for row in rows]
        table = self._store.people(service, self._at, list(encoding.columns), who=who)
        columns = {name: table[name].combine_chunks() for name in encoding.columns}
        asked_at_us = np.full(len(who), to_micros(self._at.astimezone(UTC)), np.int64)
        try:
            return encoding.encode(columns, asked_at_us, bundle.vocabularies if bundle else {})
        except (TypeError, ValueError) as error:  # Arrow's errors are of these
            raise ProfilestoreError(
                f"features of {service} cannot be read as they were learned from ({error}). "
                "Run `make train` and `python -m training profiles`."
            ) from error
