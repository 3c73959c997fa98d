"""The moments to which databases can go back, drawn without a script in the theme's colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from ..cli.commands.backup_views import local
from ..cli.views import size
from ..client.things import Thing

WIDTH, ROW, TOP = 600, 26, 4
BRAND = "var(--jp-brand-color1, #1976d2)"
QUIET = "var(--jp-ui-font-color2, #616161)"
PICKED = "var(--jp-warn-color1, #f57c00)"


@dataclass(frozen=True)
class Lane:
    """One timeline.

    Parameters
    ----------
    spans
        Moments that can be restored, as pairs of seconds since 1970.
    """

    timeline: int
    spans: Sequence[tuple[float, float]]
    backups: Sequence[Thing]

    def reaches(self, moment: float) -> bool:
        """Whether a moment can be restored."""
        return any(first <= moment <= last for first, last in self.spans)


def earliest(backup: Thing) -> float:
    """Return the first moment to which a backup can surely be restored."""
    return seconds(backup.created_at) + float(backup.seconds) + 1


def seconds(moment: str) -> float:
    """Return a moment as seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()


def lanes(backups: Sequence[Thing], now: float) -> list[Lane]:
    """Return the timelines, newest first; the newest can be restored up to now."""
    numbers = {each.timeline for each in backups}
    numbers |= {window.timeline for each in backups for window in each.recovery_window}
    found = []
    for number in sorted(numbers, reverse=True):
        own = [each for each in backups if each.timeline == number]
        spans = [
            (seconds(window["from"]), seconds(window["to"]))
            for each in backups
            for window in each.recovery_window
            if window.timeline == number
        ]
        if number == max(numbers):
            # What is not archived yet, a restore archives first.
            since = max((last for _, last in spans), default=0.0)
            spans.append((since or max(map(earliest, own), default=now), now))
        found.append(Lane(number, _merged(spans), own))
    return found


def _merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for first, last in sorted(span for span in spans if span[0] <= span[1]):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def extent(found: Sequence[Lane], now: float) -> tuple[float, float]:
    """Return the first and the last moment that a drawing shows."""
    starts = [first for lane in found for first, _ in lane.spans]
    starts += [seconds(each.created_at) for lane in found for each in lane.backups]
    return min([now - 60, *starts]), now


def draw(found: Sequence[Lane], now: float, picked: float | None, timeline: int | None) -> str:
    """Return the time line as an inline SVG: a row for each timeline, a mark for each backup.

    Parameters
    ----------
    picked, timeline
        The moment that is chosen, and where.
    """
    first, last = extent(found, now)

    def x(moment: float) -> float:
        return (moment - first) / (last - first) * (WIDTH - 12) + 6

    height = ROW * len(found) + TOP + 16
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" style="max-width: {WIDTH}px" role="img" '
        'aria-label="Moments that can be restored">'
    ]
    for index, lane in enumerate(found):
        y = TOP + index * ROW
        middle = y + ROW / 2
        parts.append(
            f'<line x1="6" x2="{WIDTH - 6}" y1="{middle}" y2="{middle}" stroke="{QUIET}" '
            'stroke-opacity="0.4"/>'
        )
        for begin, end in lane.spans:
            wide = max(2.0, x(end) - x(begin))
            text = f"Timeline {lane.timeline}: {_at(begin)} to {_at(end)}"
            parts.append(
                f'<rect x="{x(begin):.1f}" y="{middle - 6}" width="{wide:.1f}" height="12" rx="2" '
                f'fill="{BRAND}" fill-opacity="0.35"><title>{escape(text)}</title></rect>'
            )
        parts += [_mark(each, x(seconds(each.created_at)), middle) for each in lane.backups]
        if picked is not None and lane.timeline == timeline:
            parts.append(
                f'<line x1="{x(picked):.1f}" x2="{x(picked):.1f}" y1="{y}" y2="{y + ROW}" '
                f'stroke="{PICKED}" stroke-width="2"><title>{_at(picked)}</title></line>'
            )
    style = f'fill="{QUIET}" font-size="11" y="{height - 3}"'
    parts.append(f'<text x="6" {style}>{_at(first)}</text>')
    parts.append(f'<text x="{WIDTH - 6}" {style} text-anchor="end">now</text></svg>')
    return "".join(parts)


def _mark(backup: Thing, x: float, middle: float) -> str:
    tested = f"tested {local(backup.verified_at)}" if backup.verified_at else "not tested yet"
    text = f"{backup.type}, {local(backup.created_at)}, {size(backup.size_bytes)}, {tested}"
    title = f"<title>{escape(text)}</title>"
    if backup.type == "incremental":
        return f'<circle cx="{x:.1f}" cy="{middle}" r="5" fill="{BRAND}">{title}</circle>'
    tall = 20 if backup.type == "full" else 12
    return (
        f'<rect x="{x - 4:.1f}" y="{middle - tall / 2}" width="8" height="{tall}" rx="2" '
        f'fill="{BRAND}">{title}</rect>'
    )


def _at(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
