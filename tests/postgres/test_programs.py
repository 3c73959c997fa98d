"""Which PostgreSQL is taken: the machine's own, and that of a wheel where there is no other."""

from __future__ import annotations

import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.postgres import programs
from jupyter_ext.postgres.programs import find_programs, system_places, wheel_places

pytestmark = pytest.mark.postgres


def test_the_machines_own_goes_before_a_newer_one_of_a_wheel() -> None:
    found = find_programs()
    assert found.folder in system_places()
    assert found.folder not in wheel_places()


def test_a_version_that_the_machine_does_not_have_is_the_wheels() -> None:
    found = find_programs(version=18)
    assert (found.version, found.folder in wheel_places()) == (18, True)


def test_without_one_of_the_machines_the_newest_of_the_wheel_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(programs, "FOLDERS", ())
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_programs().version == 18
    with pytest.raises(Unavailable, match="PostgreSQL 12"):
        find_programs(version=12)
