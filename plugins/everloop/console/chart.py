"""A series of measurements as a small inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from everloop.ports import Measurement

WIDTH, HEIGHT, MARGIN = 220, 48, 4

_POINT = Markup(
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="2" class="{verdict}">'
    "<title>{start:%Y-%m-%d %H:%M}: {value:.4g}, {verdict}{because}</title></circle>"
)


def chart(points: Sequence[Measurement]) -> Markup:
    """A line through the values by interval, a dot each, coloured by verdict (classes `pass`, `fail`, ...), which says why.

    Intervals without a value leave a gap in x. The range is that of the values.
    """
    known = [(place, point, point.value) for place, point in enumerate(points) if point.value is not None]
    if not known:
        return Markup('<svg class="chart" role="img"><text x="4" y="28">no values</text></svg>')
    values = [value for _, _, value in known]
    low, spread = min(values), (max(values) - min(values)) or 1.0
    step = (WIDTH - 2 * MARGIN) / max(1, len(points) - 1)
    places = [
        (MARGIN + place * step, HEIGHT - MARGIN - (value - low) / spread * (HEIGHT - 2 * MARGIN)) for place, _, value in known
    ]
    line = Markup(" ").join(Markup("{:.1f},{:.1f}").format(x, y) for x, y in places)
    dots = Markup("").join(
        _POINT.format(x=x, y=y, verdict=point.verdict, start=point.interval.start, value=value, because=_because(point))
        for (x, y), (_, point, value) in zip(places, known, strict=True)
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><polyline points="{}"/>{}</svg>').format(
        WIDTH, HEIGHT, line, dots
    )


def _because(point: Measurement) -> str:
    said = point.detail.get("because")
    return f" ({said})" if said else ""
