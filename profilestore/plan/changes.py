"""What differs between two states, one change at a time, and which changes can hurt a reader.

| change | breaking |
| --- | --- |
| view, entity, service or feature added; a service takes more | never |
| feature removed or renamed; unit changed; view no longer online | when somebody reads it |
| a service takes less of a view | when somebody reads through the service what it no longer has |
| type changed | always, unless it is widened: Int32 to Int64, Float32 to Float64, also in lists |
| ttl made shorter | always: values are null earlier |
| entities, a join key or its type changed; view takes another form | always |
| view or entity removed; service removed, or without a view that it had | always |
| source, description, tags, privacy class, anything else | never |

A removed and an added feature are one renamed feature when type and description are the same, or
when they are the only two of their view and the type is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TypeVar

from profilestore.plan.states import Column, Entity, Selection, Service, State, View

WIDER = {"Int32": "Int64", "Float32": "Float64"}
# From what says least about a person to what says most.
PRIVACY_CLASSES = ("aggregate", "behaviour", "quasi_identifier", "sensitive", "direct_identifier")


Name = TypeVar("Name")


class Harm(Enum):
    """When a change breaks something."""

    NEVER = "never"
    IF_READ = "if read"
    ALWAYS = "always"


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        kind: for machines, for example `type_changed`; all are in docs/plan.md.
        form, name: the object: `feature view`, `entity`, `feature service`, ...
        part: of a view the feature, of a service the view or `<view>.<feature>`; None where the
            change is of the whole.
        before, after: as text; None where there is nothing.
        why: what the change does to a reader, or what it is; empty where it needs no words.
    """

    kind: str
    form: str
    name: str
    part: str | None = None
    before: str | None = None
    after: str | None = None
    harm: Harm = Harm.NEVER
    why: str = ""


def changes_between(before: State, after: State) -> list[Change]:
    """Everything that apply would change, by object: entities, views, services, the rest."""
    return [
        *_entities(before, after),
        *_views(before, after),
        *_services(before, after),
        *_others(before, after),
    ]


def _entities(before: State, after: State) -> Iterator[Change]:
    for name in sorted(_names(before.entities, after.entities)):
        old, new = before.entities.get(name), after.entities.get(name)
        if new is None and old is not None:
            yield Change(
                *("entity_removed", "entity", name),
                before=_key(old),
                harm=Harm.ALWAYS,
                why="its views can no longer be asked for",
            )
        elif old is None and new is not None:
            yield Change("entity_added", "entity", name, after=_key(new))
        elif old is not None and new is not None:
            if _key(old) != _key(new):
                yield Change(
                    *("entity_changed", "entity", name),
                    before=_key(old),
                    after=_key(new),
                    harm=Harm.ALWAYS,
                    why="whoever asks by the key of before finds nothing",
                )
            yield from _settings("entity", name, old.settings, new.settings)


def _views(before: State, after: State) -> Iterator[Change]:
    for name in sorted(_names(before.views, after.views)):
        old, new = before.views.get(name), after.views.get(name)
        if new is None and old is not None:
            yield Change(
                *("view_removed", old.form, name),
                before=_size(old),
                harm=Harm.ALWAYS,
                why="its features can no longer be read",
            )
        elif old is None and new is not None:
            yield Change("view_added", new.form, name, after=_size(new))
        elif old is not None and new is not None:
            yield from _view(old, new, before, after)


def _view(old: View, new: View, before: State, after: State) -> Iterator[Change]:
    if old.form != new.form:
        yield Change(
            *("view_form_changed", new.form, new.name),
            before=old.form,
            after=new.form,
            harm=Harm.ALWAYS,
            why="its values come from somewhere else",
        )
    if old.entities != new.entities:
        yield Change(
            *("view_entities_changed", new.form, new.name),
            before=_keys(old, before),
            after=_keys(new, after),
            harm=Harm.ALWAYS,
            why="whoever asks by the key of before finds nothing",
        )
    if old.ttl != new.ttl:
        shorter = new.ttl > timedelta(0) and (old.ttl == timedelta(0) or new.ttl < old.ttl)
        yield Change(
            *("ttl_changed", new.form, new.name),
            before=_duration(old.ttl),
            after=_duration(new.ttl),
            harm=Harm.ALWAYS if shorter else Harm.NEVER,
            why="values become null earlier" if shorter else "values stay longer",
        )
    if old.online != new.online:
        yield Change(
            *("view_online_changed", new.form, new.name),
            before=_where(old),
            after=_where(new),
            harm=Harm.NEVER if new.online else Harm.IF_READ,
            why="" if new.online else "it is no longer copied into the online store",
        )
    yield from _source(old, new)
    if old.inputs != new.inputs:
        yield Change(
            *("inputs_changed", new.form, new.name),
            before=_list(f"{view}.{column}" for view, column in old.inputs),
            after=_list(f"{view}.{column}" for view, column in new.inputs),
            why="values may be others",
        )
    yield from _about(new.form, new.name, None, old, new)
    if not new.inferred:
        yield from _columns(old, new)


def _source(old: View, new: View) -> Iterator[Change]:
    for part in _names(old.source, new.source):
        was, is_now = old.source.get(part), new.source.get(part)
        # Apply looks for a time column where none is named.
        if was == is_now or (is_now is None and part == "timestamp_field"):
            continue
        yield Change(
            *("source_changed", new.form, new.name),
            part=f"source {part}",
            before=was,
            after=is_now,
            why="values may be others",
        )


def _columns(old: View, new: View) -> Iterator[Change]:
    renamed = _renamed(old, new)
    for name in _names(old.columns, new.columns):
        was, is_now = old.columns.get(name), new.columns.get(name)
        if was is not None and is_now is not None:
            yield from _column(new, name, was, is_now)
        elif was is not None and name in renamed:
            yield Change(
                *("feature_renamed", new.form, new.name, name),
                before=name,
                after=renamed[name],
                harm=Harm.IF_READ,
                why=f"nothing is left under the name {name}",
            )
            # What else is new about it is said under the name that readers know.
            yield from _column(new, name, was, new.columns[renamed[name]])
        elif was is not None:
            yield Change(
                *("feature_removed", new.form, new.name, name), before=was.type, harm=Harm.IF_READ
            )
        elif is_now is not None and name not in renamed.values():
            yield Change("feature_added", new.form, new.name, name, after=is_now.type)


def _renamed(old: View, new: View) -> dict[str, str]:
    """Name of before -> name of now, where one can be told from the other by nothing but that."""
    gone = [column for name, column in old.columns.items() if name not in new.columns]
    come = [column for name, column in new.columns.items() if name not in old.columns]
    if len(gone) == len(come) == 1 and gone[0].type == come[0].type:
        return {gone[0].name: come[0].name}

    def alike(one: Column, others: list[Column]) -> list[Column]:
        about = (one.type, one.description)
        return [other for other in others if one.description and about == _type_and_words(other)]

    pairs = {}
    for column in gone:
        found = alike(column, come)
        if len(found) == 1 and len(alike(found[0], gone)) == 1:
            pairs[column.name] = found[0].name
    return pairs


def _type_and_words(column: Column) -> tuple[str, str]:
    return column.type, column.description


def _column(view: View, name: str, old: Column, new: Column) -> Iterator[Change]:
    if old.type != new.type:
        widened = _widened(old.type) == new.type
        yield Change(
            *("type_changed", view.form, view.name, name),
            before=old.type,
            after=new.type,
            harm=Harm.NEVER if widened else Harm.ALWAYS,
            why="holds every value of before" if widened else "not every value of before fits",
        )
    yield from _about(view.form, view.name, name, old, new)


def _about(
    form: str, name: str, part: str | None, old: View | Column, new: View | Column
) -> Iterator[Change]:
    """Changes of description, tags and settings of a view or one of its columns."""
    if old.description != new.description:
        yield Change(
            *("description_changed", form, name, part),
            before=old.description,
            after=new.description,
        )
    for tag in sorted(_names(old.tags, new.tags)):
        was, is_now = old.tags.get(tag), new.tags.get(tag)
        if was != is_now:
            kind, harm, why = _tag(tag, was, is_now)
            if kind == "tag_changed":
                was, is_now = _named(tag, was), _named(tag, is_now)
            yield Change(kind, form, name, part, was, is_now, harm, why)
    yield from _settings(form, name, old.settings, new.settings, part)


def _tag(tag: str, was: str | None, is_now: str | None) -> tuple[str, Harm, str]:
    if tag == "class":
        return "privacy_class_changed", Harm.NEVER, _strictness(was, is_now)
    if tag == "unit":
        # A unit that is first said, or no longer, leaves the numbers what they were.
        if was and is_now:
            return "unit_changed", Harm.IF_READ, "the same number means something else"
        return "unit_changed", Harm.NEVER, ""
    return "tag_changed", Harm.NEVER, ""


def _strictness(was: str | None, is_now: str | None) -> str:
    if was not in PRIVACY_CLASSES or is_now not in PRIVACY_CLASSES:
        return ""
    stricter = PRIVACY_CLASSES.index(is_now) > PRIVACY_CLASSES.index(was)
    return "stricter" if stricter else "looser"


def _services(before: State, after: State) -> Iterator[Change]:
    for name in sorted(_names(before.services, after.services)):
        old, new = before.services.get(name), after.services.get(name)
        if new is None and old is not None:
            yield Change(
                *("service_removed", "feature service", name),
                before=_list(old.selections),
                harm=Harm.ALWAYS,
                why="whoever asks for it gets an error",
            )
        elif old is None and new is not None:
            yield Change("service_added", "feature service", name, after=_list(new.selections))
        elif old is not None and new is not None:
            yield from _service(old, new, before, after)


def _service(old: Service, new: Service, before: State, after: State) -> Iterator[Change]:
    for name in _names(old.selections, new.selections):
        was, is_now = old.selections.get(name), new.selections.get(name)
        if is_now is None:
            yield Change(
                *("service_loses_view", "feature service", new.name, name),
                before=name,
                harm=Harm.ALWAYS,
                why="whoever asks for the service no longer gets it",
            )
        elif was is None:
            yield Change("service_gains_view", "feature service", new.name, name, after=name)
        else:
            yield from _selection(new.name, name, was, is_now, before, after)
    yield from _settings("feature service", new.name, old.settings, new.settings)


def _selection(
    service: str, name: str, old: Selection, new: Selection, before: State, after: State
) -> Iterator[Change]:
    if old.view != new.view:
        yield Change(
            *("service_view_changed", "feature service", service, name),
            before=old.view,
            after=new.view,
            harm=Harm.ALWAYS,
            why="values under the name come from another view",
        )
    elif old.columns is not None and new.columns is not None:
        # A column that the view itself loses or gains is said there.
        stays = _columns_of(before, old.view) & _columns_of(after, new.view)
        for column in sorted((old.columns - new.columns) & stays):
            yield Change(
                *("service_loses_feature", "feature service", service, f"{name}.{column}"),
                before=column,
                harm=Harm.IF_READ,
            )
        for column in sorted((new.columns - old.columns) & stays):
            yield Change(
                *("service_gains_feature", "feature service", service, f"{name}.{column}"),
                after=column,
            )
    yield from _settings("feature service", service, old.settings, new.settings, name)


def _others(before: State, after: State) -> Iterator[Change]:
    for form, name in sorted(_names(before.others, after.others)):
        was, is_now = before.others.get((form, name)), after.others.get((form, name))
        if was != is_now:
            verb = "added" if was is None else "removed" if is_now is None else "changed"
            yield Change(f"{form.replace(' ', '_')}_{verb}", form, name, None, was, is_now)


def _settings(
    form: str,
    name: str,
    old: Mapping[str, str],
    new: Mapping[str, str],
    part: str | None = None,
) -> Iterator[Change]:
    """Whatever has no rule of its own: said, so that "no changes" means none."""
    for setting in sorted(_names(old, new)):
        if old.get(setting) != new.get(setting):
            yield Change(
                *("setting_changed", form, name, part),
                before=_named(setting, old.get(setting)),
                after=_named(setting, new.get(setting)),
            )


def _names(old: Mapping[Name, object], new: Mapping[Name, object]) -> list[Name]:
    """Every name once: those of before in their order, then those that are new."""
    return list(dict.fromkeys([*old, *new]))


def _named(setting: str, value: str | None) -> str | None:
    return None if value is None else f"{setting}: {value}"


def _key(entity: Entity) -> str:
    return f"{entity.join_key} ({entity.type})"


def _keys(view: View, state: State) -> str:
    known = (state.entities.get(name) for name in view.entities)
    keys = (f"{entity.name} by {entity.join_key}" for entity in known if entity)
    return ", ".join(keys) or ", ".join(view.entities) or "none"


def _size(view: View) -> str:
    count = len(view.columns)
    return "features of its source" if view.inferred else f"{count} feature{'s' * (count != 1)}"


def _where(view: View) -> str:
    return "online" if view.online else "offline only"


def _duration(ttl: timedelta) -> str:
    if not ttl:
        return "for ever"
    days, seconds = ttl.days, ttl.seconds
    parts = [f"{days} day{'s' * (days != 1)}"] if days else []
    if seconds:
        parts.append(f"{seconds} second{'s' * (seconds != 1)}")
    return " ".join(parts)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _columns_of(state: State, view: str) -> set[str]:
    return set(state.views[view].columns) if view in state.views else set()


def _widened(type_name: str) -> str | None:
    """The wider type that holds all of a type without loss; lists and sets by what is in them."""
    inner = re.fullmatch(r"(Array|Set)\((.+)\)", type_name)
    if inner:
        wider = _widened(inner[2])
        return f"{inner[1]}({wider})" if wider else None
    return WIDER.get(type_name)
