"""What a notebook shows: escaped, and sensible where there is little to show."""

from __future__ import annotations

from datetime import UTC, datetime

from jupyter_ext.cli.views import Column, Details, Done, Table, ago, size
from jupyter_ext.client.things import Thing
from jupyter_ext.notebook.console import Bars, bars
from jupyter_ext.notebook.feed import Usage
from jupyter_ext.notebook.rows import message, use
from jupyter_ext.notebook.svg import sparkline

EVIL = "<script>alert(1)</script>\x1b[2J\u202e"


def test_tables_and_details_escape() -> None:
    table = Table([Column("NAME", lambda t: t.name)], [Thing({"name": EVIL})])
    details = Details(Thing({"name": EVIL, "labels": {EVIL: EVIL}}))
    for html in (table._repr_html_(), details._repr_html_()):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
    for text in (repr(table), repr(details), repr(Done(EVIL)), table.brief()):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_an_empty_table_says_what_to_do() -> None:
    table = Table([], [], "Nothing <yet>.")
    assert table._repr_html_() == "<p>Nothing &lt;yet&gt;.</p>"
    assert repr(table) == "Nothing <yet>."


def test_progress_escapes_and_names_each_layer() -> None:
    operation = Thing(
        {
            "message": EVIL,
            "progress": 0.5,
            "details": {
                "layers": [
                    {"id": EVIL, "status": "Downloading", "current": 1_000, "total": 4_000},
                    {"id": "b", "status": EVIL, "current": 0, "total": 0},
                ]
            },
        }
    )
    html = bars("Pulling", operation)
    assert "<script>" not in html
    assert html.count("<progress") == 3
    assert 'value="0.250"' in html
    assert "1 kB of 4 kB" in html
    assert "\x1b" not in repr(Bars("Pulling", operation))
    assert Bars("Pulling")._repr_html_() == ""


def test_sparklines() -> None:
    assert "<polyline" not in sparkline([], "CPU")
    assert "<polyline" not in sparkline([1.0], "CPU")
    drawn = sparkline([0.0, 50.0, 100.0], '"CPU" <b>')
    assert 'points="0.0,23.0 48.0,12.0 96.0,1.0"' in drawn
    assert "<b>" not in drawn
    assert 'aria-label="&quot;CPU&quot; &lt;b&gt;"' in drawn


def test_figures_stand_beside_the_charts() -> None:
    usage = Usage()
    assert use(usage) == ""
    for number in (1.0, 2.5):
        usage.add(Thing({"cpu_usage": number, "memory_usage": 64_000_000}))
    html = use(usage)
    assert "2.5 %" in html
    assert "64 MB" in html


def test_messages_escape() -> None:
    assert message("") == ""
    assert "&lt;b&gt;" in message("<b>")
    assert 'role="alert"' in message("x")


def test_sizes_and_times_read_well() -> None:
    sizes = [size(n) for n in (0, 999, 1_984, 187_000_000, 2.5e12, None)]
    assert sizes == ["0 B", "999 B", "1.98 kB", "187 MB", "2.5 TB", ""]
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert ago("2026-01-01T23:59:30Z", now) == "just now"
    assert ago("2026-01-01T23:59:00Z", now) == "1 minute ago"
    assert ago("2026-01-01T21:00:00Z", now) == "3 hours ago"
    assert ago("2025-12-01T00:00:00Z", now) == "32 days ago"
    assert ago("2023-01-01T00:00:00Z", now) == "3 years ago"
    assert ago(None) == ""
