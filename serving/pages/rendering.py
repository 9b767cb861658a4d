"""Templates become pages: what they see, and the headers that keep a page what it is.

Templates see documents and the words of `wording`; they compute nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from profilestore.tags import EVIDENCE
from serving import wording
from serving.documents import FieldsBlock
from serving.pages.charts import series

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_LINE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")

# Nothing from elsewhere, no inline script or style: a title in the log cannot become code.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


def type_text(schema: Mapping[str, Any]) -> Markup:
    """A JSON Schema as a short type, with a link to each model it names."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return Markup(" or ").join(type_text(option) for option in options)
    if "enum" in schema:
        return Markup(" or ").join(Markup("<code>{}</code>").format(v) for v in schema["enum"])
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])
    if schema.get("type") == "array":
        return Markup("list of ") + type_text(schema.get("items", {}))
    if isinstance(schema.get("additionalProperties"), Mapping):
        return Markup("map of name to ") + type_text(schema["additionalProperties"])
    named = {"date-time": "instant"}.get(schema.get("format", ""), schema.get("type", "any"))
    return Markup("{}").format(named)


def prose(text: str) -> Markup:
    """A description with `code` in it as HTML; a single line break in it is only a space."""
    parts = _LINE_BREAK.sub(" ", text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else Markup("{}").format(part)
        for place, part in enumerate(parts)
    )


def emblem(user_id: str) -> Markup:
    """A small picture that is always the same for one pseudonym: easier to tell apart than hex."""
    digest = hashlib.sha256(user_id.encode()).digest()
    hue = int.from_bytes(digest[:2]) % 360
    squares = [
        Markup('<rect x="{}" y="{}" width="1" height="1"/>').format(x, row)
        for row in range(5)
        for column in range(3)
        if digest[2 + 3 * row + column] % 2
        for x in {column, 4 - column}
    ]
    return Markup(
        '<svg class="emblem" viewBox="-1 -1 7 7" aria-hidden="true" '
        'shape-rendering="crispEdges" fill="hsl({} 52% 52%)">{}</svg>'
    ).format(hue, Markup("").join(squares))


def tag_rows(block: FieldsBlock) -> list[tuple[str, float | None, int | None]]:
    """Name, share and events of each tag of a block that has names with their evidence in parallel
    lists; nothing of another block."""
    lists = {name: field.value for name, field in block.fields.items()}
    names = next(
        (
            value
            for value in lists.values()
            if isinstance(value, list) and value and all(isinstance(one, str) for one in value)
        ),
        None,
    )
    if names is None or not lists.keys() >= EVIDENCE:
        return []
    evidence = (lists[name] or [] for name in ("shares", "event_counts"))
    shares, counts = ([*one, *[None] * len(names)] for one in evidence)
    return list(zip(names, shares, counts, strict=False))


def static_url(name: str) -> str:
    """Address of a static file, another one when its content changes: browsers keep them."""
    content = (STATIC / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:10]}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        instant=wording.instant,
        feature_name=wording.feature_name,
        ago=wording.ago,
        type_text=type_text,
        prose=prose,
        emblem=emblem,
    )
    environment.globals.update(
        nothing=wording.NOTHING,
        value_and_unit=wording.value_and_unit,
        value_text=wording.value_text,
        tag_rows=tag_rows,
        series=series,
        clock_sentence=wording.clock_sentence,
        style_url=static_url("style.css"),
        search_url=static_url("search.js"),
    )
    return environment


_TEMPLATES = _environment()


def page(
    template: str, status: int = 200, headers: Mapping[str, str] | None = None, /, **values: Any
) -> Response:
    """A template, filled in."""
    body = _TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(body, status, {**_HEADERS, **(headers or {})})
