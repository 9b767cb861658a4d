"""Small charts: drawings that say in words what they show, for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

_HEIGHT = 48.0
_STEP, _WIDTH = 10, 7
# Numbers in a row that nobody reads.
_MANY = 7


def columns(values: Sequence[tuple[str, float]], caption: str) -> Markup:
    """A column a value, the highest as high as there is room; each says its own label and value."""
    most = max((value for _, value in values), default=0) or 1
    bars = Markup("").join(
        Markup(
            '<rect class="{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}" rx="1.5">'
            "<title>{}: {:g}</title></rect>"
        ).format(
            "fill" if value else "track",
            n * _STEP + (_STEP - _WIDTH) / 2,
            _HEIGHT - height,
            _WIDTH,
            height,
            label,
            value,
        )
        for n, (label, value) in enumerate(values)
        for height in [max(1.5, _HEIGHT * value / most)]
    )
    ends = (values[0][0], values[-1][0]) if values else ("", "")
    return Markup(
        '<figure class="chart"><svg class="columns" role="img" aria-label="{}" '
        'viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>'
        '<div class="ends" aria-hidden="true"><span>{}</span><span>{}</span></div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(caption, len(values) * _STEP, _HEIGHT, bars, *ends, caption)


def series(values: object) -> Markup | None:
    """A list of numbers that is too long to read, drawn; None of anything else."""
    if not isinstance(values, list) or len(values) < _MANY:
        return None
    if not all(one is None or isinstance(one, (int, float)) for one in values):
        return None
    named = [(str(n), float(one or 0)) for n, one in enumerate(values)]
    return columns(
        named, f"{len(values)} values, {min(v for _, v in named):g} to {max(v for _, v in named):g}"
    )


def by_hour(counts: Sequence[int | None]) -> Markup:
    """Events by hour of the day, UTC."""
    values = [(f"{hour:02d}:00", float(count or 0)) for hour, count in enumerate(counts)]
    busiest = max(values, key=lambda one: one[1])
    return columns(
        values, f"Events of the last 90 days by hour (UTC), most of them at {busiest[0]}"
    )


def over_time(instants: Sequence[datetime], now: datetime, parts: int = 24) -> Markup:
    """When events were, in equal spans from the first of them until now."""
    first = min(instants)
    span = max(now - first, timedelta(hours=1)) / parts
    counts = [0] * parts
    for at in instants:
        counts[min(int((at - first) / span), parts - 1)] += 1
    shape = "%Y-%m-%d" if span >= timedelta(days=1) else "%Y-%m-%d %H:%M"
    values = [(format(first + n * span, shape), float(count)) for n, count in enumerate(counts)]
    return columns(values, f"The latest {len(instants)} events in {parts} equal spans until now")


def fifths(recency: int, frequency: int, spend: int) -> Markup:
    """Where somebody stands: the fifth of the population by recency, frequency and money."""
    said = f"Recency {recency}, frequency {frequency}, money {spend}: fifths, 5 is most"
    rows = Markup("").join(
        Markup('<g transform="translate(0 {})">{}</g>').format(
            14 * row,
            Markup("").join(
                Markup('<rect class="{}" x="{}" width="18" height="9" rx="2.5"/>').format(
                    "fill" if fifth <= score else "track", 21 * (fifth - 1)
                )
                for fifth in range(1, 6)
            ),
        )
        for row, score in enumerate((recency, frequency, spend))
    )
    return Markup(
        '<figure class="chart"><svg class="fifths" role="img" aria-label="{}" '
        'viewBox="0 0 102 38">{}</svg><figcaption>{}</figcaption></figure>'
    ).format(said, rows, said)
