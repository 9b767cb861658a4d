"""What events change at once: the rules that a mart's YAML names at its columns (`live: <rule>`).

| rule | the column becomes |
| --- | --- |
| `count` | one more for each event |
| `first` | when the first event happened, to the second |
| `last` | when the last event happened, to the second |
| `visits <minutes> <column>` | one more after so long without an event; the column has `last` |
| `newest <n> <field>` | a field of the newest n events about an item, newest first |

The columns of a view with the last one run in parallel, and one of them has the field `happened`.

A rule gives from what a build knew, and the events that came after, what the next build will know:
a test replays a day both ways. A column without a rule keeps the value of the last materialisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from profilestore.encoding import Feature
from profilestore.errors import ProfilestoreError
from serving.live.event import Told

TAG = "live"
_SECOND = 1_000_000
_FIELDS: Mapping[str, Callable[[Told], Any]] = {
    "item_id": lambda event: event.item_id,
    "event_type": lambda event: event.event_type,
    "happened": lambda event: event.happened,
}

Values = Mapping[str, Any]


@dataclass(frozen=True)
class ViewRules:
    """The live columns of one view.

    Attributes:
        single: column -> rule, of the rules for a single value.
        visits: column -> seconds without an event, and the column of the last one.
        newest: column -> field, of `newest`.
        kept: how many are kept of `newest`.
        times: the column of `newest` that has the field `happened`.
    """

    view: str
    single: Mapping[str, str]
    visits: Mapping[str, tuple[int, str]]
    newest: Mapping[str, str]
    kept: int
    times: str

    def applied(self, values: Values, events: Sequence[Told]) -> dict[str, Any]:
        """The view's values once `events` have come: columns with a rule, and all others as they
        are.

        Args:
            values: before; as the online store keeps them (times in whole seconds), None or absent
                where nothing is known.
            events: of one person, that are not in `values`.
        """
        after = dict(values)
        for column, rule in self.single.items():
            after[column] = _SINGLE[rule](values.get(column), events)
        for column, (seconds, last) in self.visits.items():
            after[column] = _visits(values.get(column), values.get(last), events, seconds)
        if self.newest:
            after |= self._newest(values, events)
        return after

    def _newest(self, values: Values, events: Sequence[Told]) -> dict[str, Any]:
        columns = {column: list(values.get(column) or ()) for column in self.newest}
        known = len(columns[self.times])
        before = [
            (at, {column: cells[n] for column, cells in columns.items()})
            for n, at in enumerate(columns[self.times][:known])
        ]
        # Of two that happened at one instant the one with the higher id is the newer, as in the
        # mart; where the ids are not known any more, the one that came later.
        came = [
            (event.happened, {column: _FIELDS[name](event) for column, name in self.newest.items()})
            for event in sorted(
                (event for event in events if event.item_id is not None),
                key=lambda event: (event.happened, event.event_id),
                reverse=True,
            )
        ]
        newest = sorted(chain(came, before), key=lambda row: -row[0])[: self.kept]
        return {column: [row[column] for _, row in newest] for column in self.newest}


def view_rules(features: Iterable[Feature]) -> dict[str, ViewRules]:
    """The rules of each view that has any, by what its columns are tagged with.

    Raises:
        ProfilestoreError: a column is tagged with something else.
    """
    by_view: dict[str, dict[str, str]] = {}
    for feature in features:
        if TAG in feature.tags:
            by_view.setdefault(feature.view, {})[feature.name] = feature.tags[TAG]
    return {view: _of_view(view, columns) for view, columns in by_view.items()}


def _of_view(view: str, columns: Mapping[str, str]) -> ViewRules:
    single = {column: rule for column, rule in columns.items() if rule in _SINGLE}
    visits: dict[str, tuple[int, str]] = {}
    newest: dict[str, str] = {}
    lengths = set()
    for column, rule in columns.items():
        if column in single:
            continue
        match rule.split():
            case ["newest", number, name] if number.isdigit() and name in _FIELDS:
                newest[column] = name
                lengths.add(int(number))
            case ["visits", number, last] if number.isdigit() and columns.get(last) == "last":
                visits[column] = 60 * int(number), last
            case _:
                raise ProfilestoreError(
                    f"mart {view}, column {column}: the rule {rule!r} of its tag `live` is none; "
                    f"wanted {', '.join(sorted(_SINGLE))}, `visits <minutes> <column>` with a "
                    "column of the rule `last`, or `newest <n> <field>` with a field of "
                    f"{', '.join(sorted(_FIELDS))}."
                )
    times = [column for column, name in newest.items() if name == "happened"]
    if newest and (len(times) != 1 or len(lengths) != 1):
        raise ProfilestoreError(
            f"mart {view}: its columns with the rule `newest` run in parallel, so they need one "
            f"length (found {', '.join(map(str, sorted(lengths)))}), and one of them the field "
            f"`happened` (found {len(times)})."
        )
    return ViewRules(view, single, visits, newest, next(iter(lengths), 0), next(iter(times), ""))


def _count(before: int | None, events: Sequence[Told]) -> int:
    return (before or 0) + len(events)


def _first(before: int | None, events: Sequence[Told]) -> int | None:
    return min(chain(_known(before), _seconds(events)), default=None)


def _last(before: int | None, events: Sequence[Told]) -> int | None:
    return max(chain(_known(before), _seconds(events)), default=None)


def _visits(before: int | None, last: int | None, events: Sequence[Told], most_seconds: int) -> int:
    count = before or 0
    # In the order in which they count: one that is told late begins a visit only where it is later
    # than all that was known.
    for event in sorted(events, key=lambda event: (event.entered, event.happened, event.event_id)):
        second = event.happened // _SECOND
        if last is None or second - last > most_seconds:
            count += 1
        last = second if last is None else max(last, second)
    return count


def _known(before: int | None) -> list[int]:
    return [] if before is None else [before]


def _seconds(events: Sequence[Told]) -> Iterable[int]:
    return (event.happened // _SECOND for event in events)


_SINGLE: Mapping[str, Callable[[Any, Sequence[Told]], Any]] = {
    "count": _count,
    "first": _first,
    "last": _last,
}
