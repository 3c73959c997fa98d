"""Small charts without a script, drawn in the theme's colours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 96, 24


def sparkline(values: Sequence[float], label: str, *, top: float | None = None) -> str:
    """Return the course of some numbers as an inline SVG.

    Parameters
    ----------
    label
        What it shows, for people who don't see it and as its tooltip.
    top
        The value at its upper edge; the highest one by default.
    """
    said = escape(label, quote=True)
    head = (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{said}" style="vertical-align: middle"><title>{escape(label)}</title>'
    )
    if len(values) < 2:
        return f"{head}</svg>"
    highest = max(top or 0.0, max(values), 1e-9)
    step = WIDTH / (len(values) - 1)
    points = [
        f"{index * step:.1f},{HEIGHT - 1 - max(value, 0) / highest * (HEIGHT - 2):.1f}"
        for index, value in enumerate(values)
    ]
    line = "var(--jp-brand-color1, #1976d2)"
    area = " ".join([f"0,{HEIGHT}", *points, f"{WIDTH},{HEIGHT}"])
    return (
        f'{head}<polygon points="{area}" fill="{line}" fill-opacity="0.15"/>'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{line}" stroke-width="1.5"/>'
        "</svg>"
    )
