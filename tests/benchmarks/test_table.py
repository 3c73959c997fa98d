"""What `make bench` says, and when it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import __main__ as program
from benchmarks import rows


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert rows.percentile(values, 99) == 99
    assert rows.percentile(values, 100) == 100
    assert rows.percentile([7.0], 99) == 7


@pytest.mark.parametrize(("ours", "ok"), [(20.0, True), (20.1, False)])
def test_limits_of_a_ratio(ours: float, ok: bool) -> None:
    row = rows.ratio_at_most(0.2, "list", ours, "ms", "engine", 100)
    assert row.ok is ok
    assert row.ratio == ours / 100


@pytest.mark.parametrize(("ours", "ok"), [(100.0, True), (99.0, False)])
def test_limits_of_a_rate(ours: float, ok: bool) -> None:
    assert rows.ratio_at_least(1, "status", ours, "/s", "empty handler", 100).ok is ok


def test_limits_of_what_is_added() -> None:
    row = rows.more_by_at_most(0.7, "start", 1.9, "s", "bare server", 1.0)
    assert row.ok is False
    assert "+0.90" in row.limit


def test_table_shows_both_sides_the_ratio_and_the_verdict() -> None:
    text = rows.table(
        [
            rows.at_most(20, "sweep", 5, "ms", "engine", 2500),
            rows.at_most(20, "slow sweep", 25, "ms", "engine", 2500),
        ]
    )
    heading, kept, passed = text.splitlines()
    assert heading.split() == ["figure", "ours", "compared", "to", "theirs", "ratio", "limit"]
    assert kept.endswith("ok")
    assert passed.endswith("FAIL")
    assert "2500 ms  0.002" in kept


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that keeps its limit, one that passes it, and one that breaks."""

    def make(name: str, value: float | None) -> None:
        module = ModuleType(f"benchmarks.{name}")

        def run() -> list[rows.Row]:
            if value is None:
                raise RuntimeError("no engine")
            return [rows.at_most(20, name, value, "ms", "engine", 100)]

        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"benchmarks.{name}", module)

    make("fast", 10)
    make("slow", 30)
    make("broken", None)
    monkeypatch.setattr(program, "FIGURES", {"fast": "", "slow": "", "broken": ""})
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(("names", "code"), [(["fast"], 0), (["slow"], 1), (["broken"], 1)])
def test_exit_code_says_whether_all_limits_are_kept(names: list[str], code: int) -> None:
    assert program.main(names) == code


@pytest.mark.usefixtures("figures")
def test_results_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    assert program.main(["--json", str(file)]) == 1
    found = json.loads(file.read_text())
    assert [(row["figure"], row["ok"]) for row in found["rows"]] == [
        ("fast", True),
        ("slow", False),
    ]
    assert found["broken"] == ["broken"]
    assert "raised by trait" in found["conditions"]["rate_limits"]
    assert "1 of 2 limits are kept." in capsys.readouterr().out


def test_every_figure_can_be_imported() -> None:
    for name in program.FIGURES:
        assert callable(__import__(f"benchmarks.{name}", fromlist=["run"]).run)


def test_unknown_figures_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["nothing"])
    assert "startup" in capsys.readouterr().err
