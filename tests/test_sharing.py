"""Processes that share the tests: who gets what."""

from __future__ import annotations

import pytest

from .engines.jupyter import ROOT
from .sharing import LONG, WHOLE, Sharing, rank


@pytest.mark.parametrize(
    ("test", "piece"),
    [
        ("tests/hub/test_users.py::test_one", "tests/hub"),
        ("tests/hub/test_panel.py::TestIt::test_two", "tests/hub"),
        ("tests/web/test_guard.py::TestIt::test_two", "tests/web/test_guard.py"),
        ("tests/test_docs.py::test_one[a/b::c]", "tests/test_docs.py"),
    ],
)
def test_a_file_is_one_piece_of_work_or_all_of_a_folder(test: str, piece: str) -> None:
    # What it is made with is not asked for.
    assert object.__new__(Sharing)._split_scope(test) == piece


def test_long_folders_come_first_and_are_there() -> None:
    tests = ["tests/api/test_a.py::t", "tests/postgres/test_b.py::t", "tests/hub/test_c.py::t"]
    assert sorted(tests, key=lambda test: rank(test, LONG)) == tests[::-1]
    assert [each for each in {*LONG, *WHOLE} if not (ROOT / each).is_dir()] == []
