"""A plan as text for people and as JSON for machines."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from profilestore.plan.readers import Reader
from profilestore.plan.verdict import Finding, Plan

# Raised when a key of the JSON goes, or means something else; a new key raises nothing.
SCHEMA_VERSION = 1

_WIDTH = 100
_LONG = 60
_UNBROKEN = "\N{NO-BREAK SPACE}"
_MARKS = {"breaking": "!", "added": "+", "removed": "-", "changed": "~"}
_COLOURS = {"!": "\x1b[31m", "+": "\x1b[32m", "-": "\x1b[33m", "~": "\x1b[33m"}
_PLAIN = "\x1b[0m"

_LABELS = {
    "ttl_changed": "ttl",
    "type_changed": "type",
    "unit_changed": "unit",
    "privacy_class_changed": "privacy class",
    "description_changed": "description",
    "tag_changed": "tag",
    "setting_changed": "setting",
    "source_changed": "",
    "inputs_changed": "computed from",
    "entity_changed": "key",
    "view_entities_changed": "key",
    "view_form_changed": "form",
    "view_online_changed": "copied",
    "service_view_changed": "view",
    "feature_renamed": "renamed",
    "service_gains_view": "now in it",
    "service_gains_feature": "now in it",
    "service_loses_view": "no longer in it",
    "service_loses_feature": "no longer in it",
}


def as_json(plan: Plan) -> str:
    """The plan as a JSON document; docs/plan.md names its keys."""
    document = {
        "version": SCHEMA_VERSION,
        "registry": plan.registry.as_posix(),
        "first_apply": plan.first,
        "changes": len(plan.findings),
        "breaking": len(plan.breaking),
        "findings": [_document(finding) for finding in plan.findings],
        "notes": list(plan.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _document(finding: Finding) -> dict[str, Any]:
    change = finding.change
    return {
        "kind": change.kind,
        "object": {"form": change.form, "name": change.name},
        "part": change.part,
        "before": change.before,
        "after": change.after,
        "breaking": finding.breaking,
        "why": change.why,
        "services": list(finding.services),
        "readers": [{"kind": reader.kind, "name": reader.name} for reader in finding.readers],
    }


def as_text(plan: Plan, *, colour: bool = False) -> str:
    """The plan in lines of at most 100 characters, but for long names."""
    return "\n".join(_lines(plan, colour))


def breaking_names(plan: Plan) -> list[str]:
    """What breaks, one name each, for example `user_activity.events_7d (feature_removed)`."""
    return [
        f"{'.'.join(filter(None, (change.name, change.part)))} ({change.kind})"
        for change in (finding.change for finding in plan.breaking)
    ]


def _lines(plan: Plan, colour: bool) -> Iterator[str]:
    yield _headline(plan)
    objects = groupby(plan.findings, key=lambda one: (one.change.form, one.change.name))
    for (form, name), group in objects:
        findings = list(group)
        yield ""
        yield f"{form} {name}"
        width = max(len(_left(finding)) for finding in findings)
        for finding in findings:
            yield from _finding(finding, width, plan.first, colour)
    for note in plan.notes:
        yield ""
        yield from textwrap.wrap(f"Note: {note}.", _WIDTH)


def _headline(plan: Plan) -> str:
    if not plan.findings:
        return f"No changes: {plan.registry} holds what the feature repo declares."
    if plan.first:
        return f"The first apply, into {plan.registry}: everything is new."
    breaking = len(plan.breaking)
    verdict = f"{breaking} breaking (marked !)" if breaking else "none of them breaking"
    count = len(plan.findings)
    return f"{count} change{'s' * (count != 1)} to {plan.registry}, {verdict}."


def _finding(finding: Finding, width: int, first: bool, colour: bool) -> Iterator[str]:
    mark = _mark(finding)
    shown = f"{_COLOURS[mark]}{mark}{_PLAIN}" if colour else mark
    text = _right(finding)
    yield f"  {shown} {_left(finding):<{width}}  {text}".rstrip()
    if first or finding.change.kind == "description_changed":
        return
    indent = " " * (width + 6)
    lines = textwrap.wrap(
        _readers(finding),
        max(_WIDTH, width + 40),
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    yield from (line.replace(_UNBROKEN, " ") for line in lines)


def _left(finding: Finding) -> str:
    change = finding.change
    return change.part or _label(change.kind)


def _right(finding: Finding) -> str:
    change = finding.change
    label = _label(change.kind) if change.part else ""
    return " ".join(filter(None, (label, _values(finding)))) + (
        f": {change.why}" if change.why else ""
    )


def _values(finding: Finding) -> str:
    change = finding.change
    before, after = _cut(change.before), _cut(change.after)
    if change.kind.startswith("service_") and change.part and not (before and after):
        return ""  # its name stands at the left
    if change.kind == "feature_renamed":
        return f"to {after}"
    if before is not None and after is not None:
        return f"{before} -> {after}"
    if change.kind.endswith(("_added", "_removed")):
        return f"({before or after})" if change.part else (before or after or "")
    return f"{before} -> nothing" if before is not None else f"nothing -> {after}"


def _label(kind: str) -> str:
    return _LABELS.get(kind, kind.rpartition("_")[2])


def _cut(text: str | None) -> str | None:
    if text is None:
        return None
    words = " ".join(text.split())
    return words if len(words) <= _LONG else f"{words[: _LONG - 1]}…"


def _mark(finding: Finding) -> str:
    if finding.breaking:
        return _MARKS["breaking"]
    if _is_new(finding):
        return _MARKS["added"]
    gone = finding.change.kind.endswith("_removed") or "_loses_" in finding.change.kind
    return _MARKS["removed" if gone else "changed"]


def _is_new(finding: Finding) -> bool:
    return finding.change.kind.endswith("_added") or "_gains_" in finding.change.kind


def _readers(finding: Finding) -> str:
    if not finding.readers:
        held = f" (held by {', '.join(finding.services)})" if finding.services else ""
        return f"no known reader{held}"
    return f"{'will be read by' if _is_new(finding) else 'read by'} {_named(finding.readers)}"


def _named(readers: Sequence[Reader]) -> str:
    return "; ".join(
        f"{kind}{_UNBROKEN}{', '.join(one.name.replace(' ', _UNBROKEN) for one in some)}"
        for kind, some in groupby(readers, key=lambda reader: reader.kind)
    )
