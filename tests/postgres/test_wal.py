"""Names of WAL files, and the ways of timelines through them."""

from __future__ import annotations

import pytest

from jupyter_ext.postgres.pgbackrest_program import read_complaint
from jupyter_ext.postgres.wal import Segment, Way, parse_lsn

MIB = 1 << 20

HISTORY = "1\t0/5000148\tbefore 2026-01-02 03:04:05+00\n2\t0/9000000\tno recovery target\n"


@pytest.mark.parametrize(
    ("name", "size", "number"),
    [
        ("000000010000000000000001", 16 * MIB, 1),
        ("0000000100000000000000FF", 16 * MIB, 255),
        ("000000010000000100000000", 16 * MIB, 256),
        ("000000010000000100000003", 64 * MIB, 67),
    ],
)
def test_a_segment_is_counted_over_all_logs(name: str, size: int, number: int) -> None:
    segment = Segment.of(name, size)
    assert segment == Segment(1, number)
    assert segment.name(size) == name


def test_a_state_is_on_a_way_until_the_way_left_its_timeline() -> None:
    way = Way.read(3, HISTORY)
    assert way.timeline == 3
    assert way.passes(1, parse_lsn("0/5000148")) and not way.passes(1, parse_lsn("0/5000149"))
    assert way.passes(2, parse_lsn("0/8FFFFFF")) and not way.passes(2, parse_lsn("0/A000000"))
    assert way.passes(3, parse_lsn("2/0")) and not way.passes(4, 0)


def test_recovery_comes_to_the_first_gap_and_takes_the_newer_file() -> None:
    way = Way.read(2, "1\t0/5000148\tbefore")
    size = 16 * MIB
    archived = {Segment(1, number) for number in range(2, 8)} | {Segment(2, 5), Segment(2, 6)}
    assert way.reach(2, archived, size) == Segment(2, 6), "7 is of the timeline that was left"
    assert Way.read(1).reach(2, archived, size) == Segment(1, 7)
    assert way.reach(2, archived - {Segment(2, 5)}, size) == Segment(2, 6), "the older has it too"
    assert way.reach(2, archived - {Segment(1, 4)}, size) == Segment(1, 3)
    assert way.reach(8, archived, size) is None


def test_a_complaint_is_the_first_one_with_its_hints() -> None:
    said = (
        "INFO: expire command begin 2.45\n"
        "ERROR: [056]: unable to find primary cluster - cannot proceed\n"
        "       HINT: are all available clusters in recovery?\n"
        "INFO: something else\n"
        "      of two lines\n"
        "2026-01-02 03:04:05.678 P00  ERROR: [104]: command encountered 1 error(s)\n"
    )
    complaint = read_complaint(said)
    assert complaint.code == 56
    assert complaint.text == "unable to find primary cluster - cannot proceed"
    assert complaint.cure == "Are all available clusters in recovery?"
    assert read_complaint("nothing known").text == "nothing known"
