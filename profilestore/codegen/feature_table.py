"""The table of features in README.md, from the marts."""

from __future__ import annotations

import html
from datetime import timedelta
from pathlib import Path

from profilestore.codegen.manifest import DEFAULT_TAG, PURPOSES_TAG, Column, Mart, read_marts
from profilestore.errors import InputError, ProfilestoreError
from profilestore.settings import Settings

BEGIN = "<!-- Features: written by `make generate` from the dbt manifest. Do not edit. -->"
END = "<!-- End of features. -->"


def write_table(settings: Settings) -> Path | None:
    """Write the table between its two comments in README.md; the path.

    None where there is no place for it: a deployment has no README, or one of its own.

    Raises:
        InputError: one of the two comments is missing, or they stand the wrong way round.
    """
    path = settings.home / "README.md"
    parts = _around(path)
    if parts is None:
        return None
    before, _, after = parts
    draft = path.with_suffix(".md.tmp")
    draft.write_text(before + render_table(read_marts(settings.manifest)) + after, encoding="utf-8")
    draft.replace(path)
    return path


def check_table(settings: Settings) -> None:
    """Raise if the table in README.md is not what the manifest says it should be."""
    path = settings.home / "README.md"
    parts = _around(path)
    if parts is not None and parts[1] != render_table(read_marts(settings.manifest)):
        raise ProfilestoreError(
            f"the table of features in {path} is stale: run `make generate` and commit the result."
        )


def render_table(marts: list[Mart]) -> str:
    """What stands between the two comments. The same marts give the same text."""
    features = _counted(sum(len(mart.features) for mart in marts), "feature")
    head = f"\n{features} in {_counted(len(marts), 'mart')}, each a feature view.\n"
    return head + "".join(_mart(mart) for mart in marts)


def _around(path: Path) -> tuple[str, str, str] | None:
    """The text up to the first comment, between the two, and from the second on."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if BEGIN not in text and END not in text:
        return None
    before, begin, rest = text.partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(
            f"{path}: the table of features wants `{BEGIN}` and, below it, `{END}`, each on a line "
            "of its own. Put back the one that is missing."
        )
    return before + begin, between, end + after


def _mart(mart: Mart) -> str:
    rows = "".join(_row(column) for column in mart.features)
    features = _counted(len(mart.features), "feature")
    return f"""
<details>
<summary><b>{mart.name}</b>: {features}, for {mart.tags[PURPOSES_TAG]}</summary>

{_plain(mart.description)} Key: `{mart.key}`. Owner: {_plain(mart.owner)}. {_lasts(mart.ttl)}

| feature | type, unit | meaning | if missing | class |
| --- | --- | --- | --- | --- |
{rows}
</details>
"""


def _counted(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def _row(column: Column) -> str:
    unit = column.tags.get("unit")
    default = column.tags.get(DEFAULT_TAG)
    purposes = column.tags.get(PURPOSES_TAG)
    cells = (
        f"`{column.name}`",
        f"`{column.data_type}`" + (f", {_plain(unit)}" if unit else ""),
        _plain(column.description),
        "null" if default is None else _plain(default),
        column.tags["class"] + (f", for {purposes} only" if purposes else ""),
    )
    return f"| {' | '.join(cells)} |\n"


def _lasts(ttl: timedelta) -> str:
    if not ttl:
        return "A row holds until the next."
    return f"A row holds until the next, and for {ttl / timedelta(days=1):g} days at most."


def _plain(text: str) -> str:
    """Words that Markdown takes for words, also in a table."""
    escaped = html.escape(text, quote=False).replace("\\", "\\\\")
    for sign in "|*`[":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped
