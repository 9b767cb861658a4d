"""A rule held against everybody."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profilestore.encoding import Feature
from profilestore.errors import InputError
from profilestore.instants import to_micros
from profilestore.tags import tag_columns
from serving.audiences.everybody import FIFTHS, Everybody, Mask
from serving.audiences.rules import (
    All,
    Any,
    HasFeature,
    HasScore,
    HasTag,
    InSegment,
    Not,
    Rule,
    leaves,
    parts,
)
from serving.blocks.segments import CLASS_NAMES

_SHARES = "shares"
# By kind of a feature: what may be said of it.
_SAYS = {
    "number": {"at_least", "at_most", "equals"},
    "timestamp": {"after", "before"},
    "text": {"equals"},
    "list_of_text": {"equals"},
    "list_of_number": {"equals"},
}


def columns_of(rule: Rule, features: Collection[Feature]) -> set[str]:
    """Columns of the people's service that a rule reads.

    Raises:
        InputError: it names what is not there, or says of a feature what cannot be said of it.
    """
    known = {one.column: one for one in features}
    found: set[str] = set()
    for one in leaves(rule):
        if isinstance(one, HasFeature):
            _check(one, known)
            found.add(one.feature)
        elif isinstance(one, HasTag):
            found.update(_tag_columns(one, list(features)))
            if one.at_least is not None:
                found.update(_shares_beside(name) for name in _tag_columns(one, list(features)))
        elif isinstance(one, InSegment) and one.of == "rfm":
            if one.segment not in CLASS_NAMES:
                raise InputError(
                    f"segment: found {one.segment[:64]!r}, needed one of: {', '.join(CLASS_NAMES)}."
                )
            found.update(name for name in FIFTHS if name in known)
            if not found.issuperset(FIFTHS):
                raise InputError("segment: this log has no purchases, so there are no classes.")
    return found


def asks_a_model(rule: Rule) -> bool:
    """Whether a rule says something that only a model knows."""
    return any(
        isinstance(one, HasScore) or (isinstance(one, InSegment) and one.of == "behaviour")
        for one in leaves(rule)
    )


def matches(rule: Rule, people: Everybody, among: Mask) -> Mask:
    """bool [people]: who, of those in `among`, matches.

    What a model has to be asked comes last, and of those alone whom it can still make a difference
    to.

    Raises:
        InputError: as `columns_of`, or a model would have to be asked of too many.
        ProfilestoreError: there is no model, or there are no segments.
    """
    if isinstance(rule, All):
        for one in sorted(rule.all, key=asks_a_model):
            among = matches(one, people, among)
        return among
    if isinstance(rule, Any):
        found = np.zeros_like(among)
        for one in sorted(rule.any, key=asks_a_model):
            found = found | matches(one, people, among & ~found)
        return found
    if isinstance(rule, Not):
        return among & ~matches(rule.rule, people, among)
    return among & _leaf(rule, people, among)


def _leaf(rule: Rule, people: Everybody, among: Mask) -> Mask:
    if isinstance(rule, HasScore):
        values = people.scores(rule.score, among)
        return _within(values, rule.at_least, rule.at_most)
    if isinstance(rule, InSegment):
        names = people.purchase_classes() if rule.of == "rfm" else people.behaviour_segments(among)
        return np.array([name == rule.segment for name in names], bool)
    if isinstance(rule, HasTag):
        return _has_tag(rule, people)
    assert isinstance(rule, HasFeature)
    assert not parts(rule)
    return _has_feature(rule, people)


def _has_tag(rule: HasTag, people: Everybody) -> Mask:
    found = np.zeros(len(people), bool)
    for column in _tag_columns(rule, list(people.features.values())):
        names = people.column(column)
        row = pc.list_parent_indices(names).to_numpy(zero_copy_only=False)
        hit = _filled(pc.equal(pc.list_flatten(names), rule.tag))
        if rule.at_least is not None:
            shares = _numbers(pc.list_flatten(people.column(_shares_beside(column))))
            hit &= shares >= rule.at_least
        found[row[hit]] = True
    return found


def _has_feature(rule: HasFeature, people: Everybody) -> Mask:
    kind, values = people.features[rule.feature].kind, people.column(rule.feature)
    if kind == "number":
        numbers = _numbers(values)
        found = _within(numbers, rule.at_least, rule.at_most)
        return found if rule.equals is None else found & (numbers == float(rule.equals))
    if kind == "timestamp":
        instants = _filled_micros(values)
        found = ~np.isnan(instants)
        if rule.after is not None:
            found &= instants > to_micros(rule.after)
        if rule.before is not None:
            found &= instants < to_micros(rule.before)
        return found
    if kind == "text":
        return _filled(pc.equal(values, str(rule.equals)))
    row = pc.list_parent_indices(values).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(values)
    hit = (
        _filled(pc.equal(flat, str(rule.equals)))
        if kind == "list_of_text"
        else _numbers(flat) == float(rule.equals or 0)
    )
    found = np.zeros(len(people), bool)
    found[row[hit]] = True
    return found


def _within(values: np.ndarray, at_least: float | None, at_most: float | None) -> Mask:
    found = ~np.isnan(values)
    if at_least is not None:
        found &= values >= at_least
    if at_most is not None:
        found &= values <= at_most
    return found


def _numbers(values: pa.Array) -> np.ndarray:
    """float64; no number where nothing is known."""
    cast = pc.cast(values, pa.float64(), safe=False)
    return np.asarray(cast.to_numpy(zero_copy_only=False), np.float64)


def _filled_micros(values: pa.Array) -> np.ndarray:
    whole = pc.cast(pc.cast(values, pa.timestamp("us", tz="UTC")), pa.int64())
    return _numbers(whole)


def _filled(values: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)


def _tag_columns(rule: HasTag, features: list[Feature]) -> list[str]:
    found = tag_columns(features)
    kinds = {column.split("__", 1)[1] for column in found}
    if rule.kind is None:
        return found
    if rule.kind not in kinds:
        raise InputError(
            f"kind: found {rule.kind[:64]!r}, needed one of: {', '.join(sorted(kinds)) or 'none'}."
        )
    return [column for column in found if column.split("__", 1)[1] == rule.kind]


def _shares_beside(column: str) -> str:
    return f"{column.split('__', 1)[0]}__{_SHARES}"


def _check(rule: HasFeature, known: dict[str, Feature]) -> None:
    feature = known.get(rule.feature)
    if feature is None or feature.kind not in _SAYS:
        raise InputError(
            f"feature: found {rule.feature[:64]!r}, needed a column of a person's profile, as "
            f"<view>__<feature>; there are {len(known)}, such as {', '.join(sorted(known)[:5])}."
        )
    said = {
        name
        for name in ("at_least", "at_most", "equals", "after", "before")
        if getattr(rule, name) is not None
    }
    wrong = sorted(said - _SAYS[feature.kind])
    if wrong:
        raise InputError(
            f"feature {rule.feature} is a {feature.kind.replace('_', ' ')}: found "
            f"{', '.join(wrong)}, needed {' or '.join(sorted(_SAYS[feature.kind]))}."
        )
    is_number = isinstance(rule.equals, (int, float))
    if rule.equals is not None and is_number != feature.kind.endswith("number"):
        raise InputError(
            f"feature {rule.feature} is a {feature.kind.replace('_', ' ')}: equals is "
            f"{rule.equals!r}."
        )
