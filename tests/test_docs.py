"""What exists is documented."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from .engines.jupyter import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference.py"],
        capture_output=True,
        env={"PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == done.stdout.decode(), "run: python scripts/reference.py --write"


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_readme_has_every_target_of_make(readme: str) -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "test", "faults", "check", "bench", "clean"} <= set(targets)
    text = (ROOT / readme).read_text(encoding="utf-8")
    assert [target for target in targets if f"make {target}" not in text] == []


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_changelog_has_this_version() -> None:
    from jupyter_ext import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_half_of_a_merge_is_left() -> None:
    words = ["git", "grep", "-nE", "^(<{7}|>{7}) ", "--", "."]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode()) == (1, "")
