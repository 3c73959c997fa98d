"""The time line as a drawing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyter_ext.client import Thing
from jupyter_ext.notebook.timeline import draw, extent, lanes

DAY = datetime(2026, 1, 2, tzinfo=UTC)


def at(hour: int) -> float:
    return DAY.replace(hour=hour).timestamp()


def one(hour: int, timeline: int, *windows: tuple[int, int, int], **more: Any) -> Thing:
    moments = [DAY.replace(hour=each).isoformat() for each in range(24)]
    shown = [{"timeline": t, "from": moments[a], "to": moments[b]} for t, a, b in windows]
    fields = {"type": "full", "size_bytes": 1, "seconds": 5, "verified_at": None, **more}
    return Thing(
        {"created_at": moments[hour], "timeline": timeline, "recovery_window": shown, **fields}
    )


EARLY = one(8, 1, (1, 9, 10), (1, 11, 13), (2, 12, 16))
LATE = one(14, 2, (2, 15, 16), type="incremental", verified_at="2026-01-02T15:00:00Z")


def test_gaps_stay_and_what_touches_is_one() -> None:
    newest, oldest = lanes([LATE, EARLY], at(18))
    assert (newest.timeline, newest.spans) == (2, [(at(12), at(18))])
    assert oldest.spans == [(at(9), at(10)), (at(11), at(13))]
    assert newest.reaches(at(17)) and not oldest.reaches(at(17))
    assert oldest.backups == [EARLY]
    assert extent([newest, oldest], at(18)) == (at(8), at(18))


def test_a_backup_without_a_window_can_be_restored_since_its_end() -> None:
    [lane] = lanes([one(8, 1)], at(9))
    assert lane.spans == [(at(8) + 6, at(9))]


def test_what_it_shows_is_told() -> None:
    found = lanes([LATE, EARLY], at(18))
    drawing = draw(found, at(18), at(17), 2)
    titles = re.findall("<title>(.*?)</title>", drawing)
    assert any(title.startswith("Timeline 1:") for title in titles)
    assert any(title.startswith("full,") and "not tested yet" in title for title in titles)
    assert any(title.startswith("incremental,") and "tested 2026" in title for title in titles)
    assert drawing.count("<rect") == 4  # three bands and a full backup
    assert drawing.count("<circle") == 1


@pytest.mark.parametrize("timeline", [None, 3])
def test_nothing_picked_is_not_drawn(timeline: int | None) -> None:
    found = lanes([EARLY], at(18))
    assert 'stroke-width="2"' not in draw(found, at(18), at(17), timeline)
    assert 'stroke-width="2"' not in draw(found, at(18), None, 2)
