"""A profile as plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import datetime

from serving.documents import Block, FieldsBlock, ModelSource, ProfileDocument
from serving.wording import clock_sentence, feature_name, instant, value_text

_WIDTH = 78
_BAR = 24
_HISTORY = 5


def profile_text(document: ProfileDocument) -> str:
    """The profile in lines of at most 78 characters, but for long titles."""
    return "\n".join(_lines(document))


def _lines(document: ProfileDocument) -> Iterator[str]:
    identity = document.identity
    yield f"Profile of {identity.user_id}"
    yield f"last seen {instant(identity.last_seen_at)} · asked at {instant(document.asked_at)}"
    note = clock_sentence(document.clock)
    if note:
        yield from _wrapped(note)
    if document.attributes.fields:
        yield from _fields("Attributes", document.attributes)
    yield from _fields("Activity", document.activity)
    yield from _interests(document)
    yield from _history(document)
    for name, block in document.more.items():
        yield from _fields(feature_name(name), block)
    yield from _preferences(document)
    yield from _segments(document)
    yield from _scores(document)
    yield from _recommendations(document)


def _fields(title: str, block: FieldsBlock) -> Iterator[str]:
    yield from _heading(title, block)
    for name, field in block.fields.items() if block.state == "fresh" else ():
        yield _clipped(f"  {feature_name(name):<30} {value_text(field.value, field.unit)}")


def _interests(document: ProfileDocument) -> Iterator[str]:
    yield from _heading("Interests", document.interests)
    for tag in document.interests.tags:
        share = tag.score or 0.0
        bar = "█" * max(1, round(share * _BAR / _strongest(document)))
        yield f"  {tag.category:<16} {bar:<{_BAR}} {share:6.1%}  {_evidence(tag.event_count)}"


def _strongest(document: ProfileDocument) -> float:
    return max((tag.score or 0.0 for tag in document.interests.tags), default=0.0) or 1.0


def _evidence(events: int | None) -> str:
    return "" if events is None else f"{events:,} event{'' if events == 1 else 's'}"


def _history(document: ProfileDocument) -> Iterator[str]:
    items = document.history.items
    shown = f", {min(_HISTORY, len(items))} of {len(items)}" if items else ""
    yield from _heading(f"Recent items{shown}", document.history)
    for item in items[:_HISTORY]:
        what = f"  {item.event_type}" if item.event_type else ""
        yield f"  {instant(item.at)}  {item.title or item.item_id}{what}"


def _preferences(document: ProfileDocument) -> Iterator[str]:
    block = document.preferences
    yield from _heading("Preferences", block)
    told = {
        "Items": [item.title or item.item_id for item in block.items.values],
        "Categories": [one.name for one in block.categories.values],
        "Brands": [one.name for one in block.brands.values],
        "Hours, UTC": [f"{one.hour:02}" for one in block.hours.values],
    }
    if block.price_band.median is not None:
        band = block.price_band
        told["Price band"] = [f"{value_text(band.low)} to {value_text(band.high)}"]
    for name, values in told.items():
        if values:
            yield _clipped(f"  {name:<12} {', '.join(values)}")


def _segments(document: ProfileDocument) -> Iterator[str]:
    block = document.segments
    yield from _heading("Segments", block)
    if block.rfm.name is not None:
        yield from _wrapped(f"  {block.rfm.name.capitalize()}: {block.rfm.rule}")
    for difference in block.behaviour.centre:
        yield from _wrapped(f"  {difference.text}")
    if block.oddness.percentile is not None:
        yield f"  less odd than this person: {block.oddness.percentile:.1f} % of people"


def _scores(document: ProfileDocument) -> Iterator[str]:
    yield from _heading("Scores", document.scores)
    for name, score in document.scores.scores.items():
        place = "" if score.percentile is None else f"above {score.percentile:.0f} of 100"
        said = value_text(score.value, score.unit)
        yield f"  {feature_name(name):<30} {score.category or '':<12} {said:<10} {place}".rstrip()


def _recommendations(document: ProfileDocument) -> Iterator[str]:
    block = document.recommendations
    yield from _heading("Recommendations", block)
    for place, item in enumerate(block.items, start=1):
        categories = f"  ({', '.join(item.categories)})" if item.categories else ""
        score = "" if item.score is None else f"{item.score:.3f}"
        yield f"  {place:>2}. {score:>8}  {item.title or item.item_id}{categories}"


def _heading(title: str, block: Block) -> Iterator[str]:
    source = block.source
    origin = f"model {source.model}" if isinstance(source, ModelSource) else source.view
    about = [block.state if block.state != "fresh" else "", origin or ""]
    if isinstance(block.as_of, datetime):
        about.append(f"as of {instant(block.as_of)}")
    yield ""
    yield f"{title} · {' · '.join(part for part in about if part)}"
    if block.reason:
        yield from _wrapped(f"  {block.reason}")


def _clipped(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _wrapped(text: str) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text.strip(), _WIDTH, initial_indent=indent, subsequent_indent=indent)
