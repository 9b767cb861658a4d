"""The point-in-time join as one SQL statement; text in, text out, nothing is read here.

For each spine row and each view: among the view's rows with the same keys and an event time at or
before the spine instant, the latest; of equal event times the one created last; null when it is
older than the view's ttl.

Where the spine asks for most of the history, a view is one ASOF join of its rows, features and all,
by event and created time together, so that ties are settled on the way. Each view by itself, in the
spine's order, and then all side by side: joined one after the other, the rows that are sorted would
get wider with each view. Where it asks for little of
it, most features would be sorted for nothing, and it is written as:

    asked_0    the spine with this view's keys and instant
    history_0  the view's rows that some spine row could reach: keys, times, features
    found_0    per spine row, the latest event time, if the ttl allows it: by an ASOF join, or where
               few spine rows share a key, by a join and a maximum
    latest_0   the rows of those event times, ties settled
    view_0     per spine row its row

Neither carries features: an ASOF join sorts whatever it is given, so it is given numbers, and the
features are fetched afterwards for the rows that won.

With `known_only` a row also has to have been created at or before the spine instant. After
`found_0`:

    known_0    per spine row, of the rows of that event time the last that was known (ASOF)
    unknown_0  the spine rows for which none of them was: few, where rows are learned soon
    visible_0  for their keys, the rows that were ever the latest known one
    view_0     known_0, and for unknown_0 the last of visible_0 (ASOF)

A row becomes visible at greatest(event, created), and one that becomes visible when a later event
is visible already is never an answer. Without those, the last visible row is the latest known one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from profilestore.offline_store.types import kind, microseconds, portable, spine_key

SPINE = "profilestore_spine"

# Below this many history rows per spine row, nearly all keys are asked for.
ROWS_PER_SPINE_ROW = 20

# Up to so many spine rows a key, comparing each history row with all of its key's is quicker than
# the sort of an ASOF join.
MOST_REPEATS = 10

# Orders rows by event, then created. One wide integer: a window over a pair takes twice as long.
# A row that does not say when it was created comes before those that do.
_NEWNESS = (
    "(history.event * 18446744073709551616::HUGEINT "
    "+ coalesce(history.created, -9223372036854775808))"
)
# The newest that a spine row may see.
_HORIZON = "(spine.instant * 18446744073709551616::HUGEINT + 9223372036854775807)"


def identifier(name: str) -> str:
    """A name as SQL has it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Column:
    """A column of a relation and its DuckDB type."""

    name: str
    type: str


@dataclass(frozen=True)
class Spine:
    """The (entity, time) rows asked for.

    Attributes:
        columns: the caller's columns in the caller's order. In SQL the n-th is called `c<n>`, so
            that no name of the caller's can collide with one of ours, or with itself in capitals.
        time: position of the instant in `columns`.
    """

    columns: tuple[Column, ...]
    time: int


@dataclass(frozen=True)
class View:
    """What one feature view reads, in the source's column names.

    Attributes:
        relation: what stands after FROM.
        keys: (position in the spine, history column) per join key; empty for a view without
            entity.
        event, created: when a row became true, and when it was learned.
        features: (history column, name in the result).
        ttl: in microseconds; None is unlimited.
        read_once: the relation is a query, which may cost much or answer differently a second
            time.
        rows: about how many rows the relation has; None if that is not known.
    """

    relation: str
    keys: tuple[tuple[int, Column], ...]
    event: Column
    created: Column | None
    features: tuple[tuple[Column, str], ...]
    ttl: int | None = None
    read_once: bool = False
    rows: int | None = None


@dataclass(frozen=True)
class Reach:
    """How far a spine reaches.

    Attributes:
        first, last: the first and the last instant, in microseconds since 1970.
        rows: how many rows.
        repeats: positions of key columns -> how many rows have the keys of an average row.
    """

    first: int
    last: int
    rows: int
    repeats: Mapping[tuple[int, ...], float] = field(default_factory=dict)


def spine_statement(spine: Spine, relation: str) -> str:
    """Number the rows of `relation`, which has the spine's columns in order.

    Result: `nth` (1, 2, ...: the caller's row order), `instant` (microseconds), `c0`, `c1`, ...
    """
    names = [f"c{position}" for position in range(len(spine.columns))]
    instant = microseconds(f"c{spine.time}", spine.columns[spine.time].type)
    return (
        f"SELECT row_number() OVER () AS nth, {instant} AS instant, {', '.join(names)}\n"
        f"FROM {relation} AS given({', '.join(names)})"
    )


def point_in_time_statement(
    spine: Spine,
    views: Sequence[View],
    *,
    reach: Reach | None = None,
    known_only: bool = False,
    spine_query: str | None = None,
) -> str:
    """The statement whose result has the spine's columns and then each view's features.

    Args:
        spine: describes the relation `profilestore_spine`, made by `spine_statement`.
        views: in the order of the result.
        reach: when given, history outside it is not read. It changes the cost, never the result.
        known_only: ignore rows that had not been learned at the spine instant.
        spine_query: when given, stands in the statement as `profilestore_spine`, which then needs
            nothing prepared.
    """
    ctes = []
    if spine_query is not None:
        ctes.append(f"{SPINE} AS MATERIALIZED (\n{spine_query}\n)")
    carried = [_carries(view, reach, known_only) for view in views]
    for number, view in enumerate(views):
        if carried[number]:
            ctes.append(_carrying_cte(number, view, spine, reach))
        else:
            ctes.extend(_view_ctes(number, view, spine, reach, known_only))
    outputs = [
        f"spine.c{position} AS {identifier(column.name)}"
        for position, column in enumerate(spine.columns)
    ] + [
        f"view_{number}.f{position} AS {identifier(output)}"
        for number, view in enumerate(views)
        for position, (_, output) in enumerate(view.features)
    ]
    # What is in the spine's order already stands beside it, row by row; the rest is joined to that.
    side_by_side = [number for number in range(len(views)) if carried[number]]
    joins = [f"POSITIONAL JOIN view_{number}" for number in side_by_side] + [
        f"LEFT JOIN view_{number} ON view_{number}.nth = spine.nth"
        for number in range(len(views))
        if not carried[number]
    ]
    order = "ORDER BY spine.nth"
    relation = f"FROM {SPINE} AS spine"
    if side_by_side:
        relation = f"FROM (SELECT * FROM {SPINE} ORDER BY nth) AS spine"
        differs = " OR ".join(
            f"view_{number}.nth IS DISTINCT FROM spine.nth" for number in side_by_side
        )
        outputs[0] = (
            f"CASE WHEN {differs} THEN error('rows out of order') ELSE spine.c0 END "
            f"AS {identifier(spine.columns[0].name)}"
        )
        if all(carried):
            order = ""
    head = f"WITH {', '.join(ctes)}\n" if ctes else ""
    return (
        f"{head}SELECT {', '.join(outputs)}\n"
        f"{relation}\n" + "".join(f"{join}\n" for join in joins) + order
    )


def change_rows(
    views: Sequence[View], key_names: Sequence[str], time: str, first: int, last: int
) -> str:
    """A spine of every (keys, event time) at which one of `views` changes in [first, last].

    All views have the same keys in the same order. Result: the keys, then `time`, ordered by both.
    """
    parts = []
    for view in views:
        event = microseconds(
            f"source.{identifier(view.event.name)}", view.event.type, round_up=True
        )
        keys = [_source(column) for _, column in view.keys]
        named = [f"{key} AS {identifier(name)}" for key, name in zip(keys, key_names, strict=True)]
        conditions = [
            *within(view.event, first, last),
            *(f"{key} IS NOT NULL" for key in keys),
        ]
        parts.append(
            f"SELECT {', '.join([*named, f'make_timestamptz({event}) AS {identifier(time)}'])}\n"
            f"FROM {view.relation} AS source\nWHERE {' AND '.join(conditions)}"
        )
    union = "\nUNION\n".join(parts)
    order = ", ".join(str(n + 1) for n in (len(key_names), *range(len(key_names))))
    return f"SELECT * FROM (\n{union}\n)\nORDER BY {order}"


def rows_statement(view: View, names: Sequence[str], first: int | None, last: int | None) -> str:
    """Every row with an event time in [first, last] microseconds; None is open.

    Result, called `names`: keys, features, event time, created time if there is one; times in UTC.
    """
    between = first is not None and last is not None
    outputs = [
        *(_source(column) for _, column in view.keys),
        *(_source(column) for column, _ in view.features),
        *(
            _source(time)
            # Already what it is to be: no infinite one lies within.
            if time is view.event and between and kind(time.type) == "TIMESTAMP WITH TIME ZONE"
            else f"make_timestamptz({microseconds(f'source.{identifier(time.name)}', time.type)})"
            for time in (view.event, view.created)
            if time is not None
        ),
    ]
    named = [f"{output} AS {identifier(name)}" for output, name in zip(outputs, names, strict=True)]
    conditions = within(view.event, first, last)
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join(named)}\nFROM {view.relation} AS source{where}"


def latest_statement(view: View, names: Sequence[str], first: int | None, last: int | None) -> str:
    """Of `rows_statement`, the latest row per key; of equals the one created last. By key.

    The latest time is found first and its row fetched after: ranking whole rows sorts them all.
    Few rows are left to be ordered, which an online store needs anyway; of equals the first is then
    the one whose key differs from that of the row before.
    """
    rows = rows_statement(view, names, first, last)
    width = len(view.keys)
    keys = [identifier(name) for name in names[:width]]
    event = identifier(names[width + len(view.features)])
    order = ", ".join(
        [
            *(f"history.{key}" for key in keys),
            *(
                f"history.{identifier(name)} DESC NULLS LAST"
                for name in names[width + len(view.features) + 1 :]
            ),
        ]
    )
    conditions = [f"{event} IS NOT NULL", *(f"{key} IS NOT NULL" for key in keys)]
    group = f"\nGROUP BY {', '.join(keys)}" if keys else ""
    same = "".join(f"latest.{key} = history.{key} AND " for key in keys)
    once = "MATERIALIZED" if view.read_once else "NOT MATERIALIZED"
    differs = " OR ".join(f"{key} IS DISTINCT FROM lag({key}) OVER ()" for key in keys)
    return (
        f"WITH history AS {once} (\n{rows}\n), latest AS (\n"
        f"SELECT {', '.join([*keys, f'max({event}) AS latest_event'])}\nFROM history\n"
        f"WHERE {' AND '.join(conditions)}{group}\n), found AS (\n"
        f"SELECT history.* FROM history\n"
        f"JOIN latest ON {same}latest.latest_event = history.{event}"
        + (f"\nORDER BY {order}" if order else "")
        + "\n)\nSELECT * FROM found\n"
        + (f"QUALIFY {differs}" if keys else "LIMIT 1")
    )


def within(column: Column, first: int | None, last: int | None) -> list[str]:
    """Conditions that `source.<column>` lies in [first, last] microseconds.

    On the two common types the column is compared as it is, so that files and row groups outside
    are not opened.
    """
    name = f"source.{identifier(column.name)}"
    maker = {
        "TIMESTAMP": "make_timestamp",
        "TIMESTAMP WITH TIME ZONE": "make_timestamptz",
    }.get(kind(column.type))
    value = name if maker else microseconds(name, column.type, round_up=True)
    conditions = []
    for sign, bound in ((">=", first), ("<=", last)):
        if bound is not None:
            conditions.append(f"{value} {sign} {f'{maker}({bound})' if maker else bound}")
    return conditions


def _carries(view: View, reach: Reach | None, known_only: bool) -> bool:
    """Whether the ASOF join carries the features."""
    return not is_narrow(view, reach) and not (known_only and view.created is not None)


def _carrying_cte(number: int, view: View, spine: Spine, reach: Reach | None) -> str:
    # Of each view by itself, and not one view after the other: what is sorted stays narrow.
    keys = [f"k{position}" for position in range(len(view.keys))]
    features = [f"f{position}" for position in range(len(view.features))]
    given = ", ".join(["nth", "instant", *sorted({f"c{position}" for position, _ in view.keys})])
    same = "".join(
        f"{spine_key(f'spine.c{position}', spine.columns[position].type, column.type)} "
        f"= history.{key} AND "
        for key, (position, column) in zip(keys, view.keys, strict=True)
    )
    event, values = "", [f"history.{feature}" for feature in features]
    if view.ttl is not None:
        event = "history.event, "
        fresh = f"history.event >= spine.instant - {view.ttl}"
        values = [
            f"CASE WHEN {fresh} THEN {value} END AS {feature}"
            for value, feature in zip(values, features, strict=True)
        ]
    columns = ", ".join([*keys, *(f"history.{feature}" for feature in features)])
    return (
        f"view_{number} AS (\n"
        f"SELECT {', '.join(['spine.nth', *values])}\n"
        f"FROM (SELECT {given} FROM {SPINE}) AS spine\n"
        f"ASOF LEFT JOIN (\nSELECT {event}{columns}, {_NEWNESS} AS newness\n"
        f"FROM (\n{_history(number, view, keys, reach, False)}\n) AS history\n"
        f") AS history\nON {same}{_HORIZON} >= history.newness\n"
        "ORDER BY spine.nth\n)"
    )


def _view_ctes(
    number: int, view: View, spine: Spine, reach: Reach | None, known_only: bool
) -> Iterator[str]:
    keys = [f"k{position}" for position in range(len(view.keys))]
    features = [f"f{position}" for position in range(len(view.features))]
    asked = ["nth", "instant"]
    for key, (position, column) in zip(keys, view.keys, strict=True):
        expression = spine_key(f"c{position}", spine.columns[position].type, column.type)
        asked.append(f"{expression} AS {key}")
    yield f"asked_{number} AS NOT MATERIALIZED (\nSELECT {', '.join(asked)} FROM {SPINE}\n)"

    known_only = known_only and view.created is not None
    # Read twice (once for instants, once for features) where reading is cheap and repeatable.
    once = "MATERIALIZED" if view.read_once else "NOT MATERIALIZED"
    yield f"history_{number} AS {once} (\n{_history(number, view, keys, reach, known_only)}\n)"

    fresh = "" if view.ttl is None else f"WHERE history.event >= asked.instant - {view.ttl}\n"
    if _takes_maximum(view, reach):
        join, event, group = "JOIN", "max(history.event) AS event", "GROUP BY asked.nth\n"
        from_spine = ", ".join(f"any_value(asked.{name}) AS {name}" for name in ("instant", *keys))
    else:
        join, event, group = "ASOF JOIN", "history.event", ""
        from_spine = ", ".join(f"asked.{name}" for name in ("instant", *keys))
    yield (
        f"found_{number} AS MATERIALIZED (\n"
        f"SELECT asked.nth, {from_spine}, {event}\n"
        f"FROM asked_{number} AS asked\n"
        f"{join} history_{number} AS history\n"
        f"ON {_same('asked', 'history', keys)}asked.instant >= history.event\n{fresh}{group})"
    )
    if known_only:
        yield from _known(number, keys, features, fresh)
    else:
        yield from _latest(number, keys, features)


def _latest(number: int, keys: Sequence[str], features: Sequence[str]) -> Iterator[str]:
    # Ties are settled per instant and not per spine row: many spine rows may find the same instant.
    partition = ", ".join(f"history.{name}" for name in (*keys, "event"))
    yield (
        f"latest_{number} AS (\n"
        f"SELECT history.* FROM history_{number} AS history\n"
        f"SEMI JOIN found_{number} AS found\n"
        f"ON {_same('found', 'history', keys)}found.event = history.event\n"
        f"QUALIFY row_number() OVER (PARTITION BY {partition} "
        "ORDER BY history.created DESC NULLS LAST) = 1\n)"
    )
    outputs = ", ".join(["found.nth", *(f"latest.{feature}" for feature in features)])
    yield (
        f"view_{number} AS (\n"
        f"SELECT {outputs}\n"
        f"FROM found_{number} AS found\n"
        f"JOIN latest_{number} AS latest\n"
        f"ON {_same('found', 'latest', keys)}found.event = latest.event\n)"
    )


def _known(number: int, keys: Sequence[str], features: Sequence[str], fresh: str) -> Iterator[str]:
    outputs = ["nth", *features]
    yield (
        f"known_{number} AS MATERIALIZED (\n"
        f"SELECT {', '.join(['found.nth', *(f'history.{feature}' for feature in features)])}\n"
        f"FROM found_{number} AS found\n"
        "ASOF JOIN (\n"
        f"SELECT history.* FROM history_{number} AS history\n"
        f"SEMI JOIN found_{number} AS found\n"
        f"ON {_same('found', 'history', keys)}found.event = history.event\n"
        ") AS history\n"
        f"ON {_same('found', 'history', keys)}found.event = history.event "
        "AND found.instant >= history.created\n)"
    )
    yield (
        f"unknown_{number} AS MATERIALIZED (\n"
        f"SELECT found.* FROM found_{number} AS found\n"
        f"ANTI JOIN known_{number} AS known ON known.nth = found.nth\n)"
    )
    # Of two rows that become visible at once the newer stands first and hides the other.
    some = ""
    partition = ""
    if keys:
        same = " AND ".join(f"asked.{key} = history.{key}" for key in keys)
        some = f"SEMI JOIN unknown_{number} AS asked ON {same}\n"
        partition = f"PARTITION BY {', '.join(f'history.{key}' for key in keys)} "
    yield (
        f"visible_{number} AS (\n"
        f"SELECT history.*, greatest(history.event, history.created) AS since\n"
        f"FROM history_{number} AS history\n{some}"
        "WHERE history.event IS NOT NULL\n"
        f"WINDOW earlier AS ({partition}ORDER BY greatest(history.event, history.created), "
        "history.event DESC, history.created DESC "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)\n"
        f"QUALIFY coalesce({_NEWNESS} > max({_NEWNESS}) OVER earlier, true)\n)"
    )
    yield (
        f"view_{number} AS (\n"
        f"SELECT {', '.join(outputs)} FROM known_{number}\n"
        "UNION ALL\n"
        f"SELECT {', '.join(['asked.nth', *(f'history.{feature}' for feature in features)])}\n"
        f"FROM unknown_{number} AS asked\n"
        f"ASOF JOIN visible_{number} AS history\n"
        f"ON {_same('asked', 'history', keys)}asked.instant >= history.since\n{fresh})"
    )


def _history(
    number: int, view: View, keys: Sequence[str], reach: Reach | None, known_only: bool
) -> str:
    event = microseconds(f"source.{identifier(view.event.name)}", view.event.type, round_up=True)
    created = "CAST(NULL AS BIGINT)"
    conditions = []
    if view.created is not None:
        name = f"source.{identifier(view.created.name)}"
        created = microseconds(name, view.created.type, round_up=True)
        if known_only:
            # A row that does not say when it was learned was never learned.
            conditions.append(f"{created} IS NOT NULL")
            if reach is not None:
                conditions += within(view.created, None, reach.last)
    if reach is not None:
        first = None if view.ttl is None else reach.first - view.ttl
        conditions += within(view.event, first, reach.last)
    columns = [
        *(f"{_source(column)} AS {key}" for key, (_, column) in zip(keys, view.keys, strict=True)),
        f"{event} AS event",
        f"{created} AS created",
        *(f"{_source(column)} AS f{n}" for n, (column, _) in enumerate(view.features)),
    ]
    semi_join = ""
    # A join and a maximum looks for the keys by itself.
    if keys and is_narrow(view, reach) and (known_only or not _takes_maximum(view, reach)):
        same = " AND ".join(
            f"asked.{key} = {_source(column)}"
            for key, (_, column) in zip(keys, view.keys, strict=True)
        )
        semi_join = f"\nSEMI JOIN asked_{number} AS asked ON {same}"
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join(columns)}\nFROM {view.relation} AS source{semi_join}{where}"


def is_narrow(view: View, reach: Reach | None) -> bool:
    """Whether the spine's keys are looked for first: not worth it where most are asked for."""
    if reach is None or view.rows is None:
        return True
    return view.rows > ROWS_PER_SPINE_ROW * reach.rows


def _takes_maximum(view: View, reach: Reach | None) -> bool:
    """Whether few enough spine rows share a key for a join and a maximum."""
    if reach is None or not view.keys:
        return False
    return reach.repeats.get(key_positions(view), math.inf) <= MOST_REPEATS


def key_positions(view: View) -> tuple[int, ...]:
    """Where the view's keys stand in the spine."""
    return tuple(position for position, _ in view.keys)


def _same(left: str, right: str, keys: Sequence[str]) -> str:
    return "".join(f"{left}.{key} = {right}.{key} AND " for key in keys)


def _source(column: Column) -> str:
    return portable(f"source.{identifier(column.name)}", column.type)
