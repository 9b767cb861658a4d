"""People at instants: the rows that everything unsupervised is learned from.

A profile is read at two kinds of instants: when its person turns to something, and at any other,
when somebody looks or a nightly job runs. Both are drawn, as many of the one as of the other and at
most so many a person and window: a person with many events counts no more than one with few.

    events_of ──> sample_of ──> draw ──> load_people
    (the log)     (of people)   (spine)  (features as known at each row of it)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profilestore.encoding import Encoding, Feature, plan
from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore
from training.config import TrainConfig
from training.dataset import (
    INTERACTIONS,
    TEST,
    TRAIN,
    VALIDATION,
    columns_of,
    epoch_us,
    require_windows,
    split_by_place,
)
from training.on_disk import GrowingArrays


@dataclass(frozen=True)
class Events:
    """Who turned to something, and when, oldest first.

    Attributes:
        names: pseudonym of each person.
        user: int64 [events], index in `names`.
        at_us: int64 [events], one microsecond before each, since 1970.
        split: int8 [events], TRAIN, VALIDATION or TEST.
    """

    names: list[str]
    user: npt.NDArray[np.int64]
    at_us: npt.NDArray[np.int64]
    split: npt.NDArray[np.int8]

    def window(self, split: int) -> tuple[int, int]:
        """First and last instant of a window, in microseconds since 1970."""
        of_window = self.at_us[self.split == split]
        return int(of_window[0]), int(of_window[-1])

    def first_us(self) -> npt.NDArray[np.int64]:
        """int64 [people], when each turned to something first."""
        first = np.full(len(self.names), np.iinfo(np.int64).max)
        np.minimum.at(first, self.user, self.at_us)
        return first


@dataclass(frozen=True)
class Spine:
    """Whom to ask about, and when.

    Attributes:
        user: int64 [rows], index in `Events.names`.
        at_us: int64 [rows], ascending.
        split: int8 [rows].
        at_event: bool [rows], whether the person turns to something just then.
    """

    user: npt.NDArray[np.int64]
    at_us: npt.NDArray[np.int64]
    split: npt.NDArray[np.int8]
    at_event: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class People:
    """The rows of a spine with their numeric features.

    Attributes:
        encoding: of the numbers and the ages, and nothing else.
        numbers: float32 [rows, encoding.floats], as `Encoding.encode` makes them.
    """

    spine: Spine
    encoding: Encoding
    numbers: npt.NDArray[np.float32]

    def rows(self, split: int) -> npt.NDArray[np.int64]:
        """Rows of a window.

        Raises:
            InputError: there are none.
        """
        found = np.flatnonzero(self.spine.split == split)
        if not len(found):
            name = {TRAIN: "training", VALIDATION: "validation", TEST: "test"}[split]
            raise InputError(
                f"the {name} window has no rows of people: nobody was known before its end. "
                "Lengthen the log, or change validation_share and test_share."
            )
        return found


def events_of(store: FeatureStore, service: str, windows: TrainConfig) -> Events:
    """Every interaction's person, instant and window.

    Args:
        windows: its shares say where the windows end.

    Raises:
        InputError: there are too few interactions to split.
    """
    # Feast joins at least one feature; the cheapest is any.
    some = number_encoding(store.features(service), service).columns[:1]
    people: dict[str, int] = {}
    user, at_us, place = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for batch in store.training_frame(service, INTERACTIONS, columns=some):
        columns = columns_of(batch)
        names = columns["user_id"].to_pylist()
        user.append(np.array([people.setdefault(name, len(people)) for name in names], np.int64))
        at_us.append(epoch_us(columns["event_timestamp"]))
        place.append(columns["place"].to_numpy())
    split = split_by_place(np.concatenate(place), windows)
    require_windows(split)
    return Events(list(people), np.concatenate(user), np.concatenate(at_us), split)


def sample_of(events: Events, people: int, seed: int) -> Events:
    """The events of so many people at most, drawn evenly: enough to learn from, on a log of
    millions too."""
    if len(events.names) <= people:
        return events
    drawn = np.sort(np.random.default_rng(seed).permutation(len(events.names))[:people])
    theirs = np.isin(events.user, drawn)
    return Events(
        [events.names[user] for user in drawn],
        np.searchsorted(drawn, events.user[theirs]),
        events.at_us[theirs],
        events.split[theirs],
    )


def draw(events: Events, per_window: int, seed: int) -> Spine:
    """Instants of each person and window: `per_window` of their own events at most, and as many
    drawn evenly from the time in which they were known.

    Nobody is drawn before, or at, the first thing that is known of them.
    """
    random = np.random.default_rng(seed)
    first_us = events.first_us()
    later = events.at_us > first_us[events.user]
    parts = []
    for split in (TRAIN, VALIDATION, TEST):
        start_us, end_us = events.window(split)
        own = np.flatnonzero(later & (events.split == split))
        own = own[_at_most(events.user[own], per_window, random)]
        known = np.repeat(np.flatnonzero(first_us < end_us), per_window)
        since_us = np.maximum(first_us[known] + 1, start_us)
        any_us = random.integers(since_us, end_us, endpoint=True)
        for user, at_us, at_event in (
            (events.user[own], events.at_us[own], True),
            (known, any_us, False),
        ):
            rows = len(user)
            parts.append((user, at_us, np.full(rows, split, np.int8), np.full(rows, at_event)))
    user, at_us, split_of, at_event = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((at_event, user, at_us))
    return Spine(user[order], at_us[order], split_of[order], at_event[order])


def everyone_at(events: Events, split: int) -> Spine:
    """Each person known before the end of a window, at its end."""
    _, end_us = events.window(split)
    user = np.flatnonzero(events.first_us() < end_us)
    rows = len(user)
    return Spine(user, np.full(rows, end_us), np.full(rows, split, np.int8), np.zeros(rows, bool))


def load_people(
    store: FeatureStore,
    service: str,
    features: Sequence[Feature],
    events: Events,
    spine: Spine,
    scratch: Path,
) -> People:
    """The numeric features of each row of a spine, as they were known then.

    Args:
        features: those of the service to read.
    """
    encoding = number_encoding(features, service)
    at = pa.array(spine.at_us, pa.timestamp("us", tz="UTC"))
    names = pa.array(events.names, pa.string()).take(pa.array(spine.user))
    # `asked_at` is what on-demand views take.
    table = pa.table({"user_id": names, "event_timestamp": at, "asked_at": at})
    arrays = GrowingArrays(scratch)
    for batch in store.training_frame(service, table, columns=encoding.columns):
        columns = columns_of(batch)
        arrays.append(encoding.encode(columns, epoch_us(columns["event_timestamp"]), {}))
    return People(spine, encoding, arrays.finish()["numbers"])


def number_encoding(features: Sequence[Feature], service: str) -> Encoding:
    """The encoding of the numbers and timestamps about a person; lists and texts are left out.

    Raises:
        InputError: the service has none.
    """
    whole = plan(features, "user")
    if not whole.numbers and not whole.ages:
        raise InputError(
            f"feature service {service}: no number and no timestamp about the user. Add a view "
            "that has one."
        )
    others = (*whole.ids, *whole.id_lists, *whole.weights.values(), *whole.vectors)
    return replace(
        whole,
        ids={},
        id_lists={},
        weights={},
        along={},
        vectors={},
        left_out={**whole.left_out, **dict.fromkeys(others, "no number")},
    )


def _at_most(
    group: npt.NDArray[np.int64], most: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Places of `most` members of each group at most, drawn evenly."""
    order = np.lexsort((random.random(len(group)), group))
    place = np.arange(len(group))
    new = np.ones(len(group), bool)
    new[1:] = group[order][1:] != group[order][:-1]
    return order[place - np.maximum.accumulate(np.where(new, place, 0)) < most]
