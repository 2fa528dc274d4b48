"""The columns of a head that no checkpoint signs: what the service writes into them is silent, all else is told."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit.model import Log
from igstats_audit.monitor.heads import check_stand
from igstats_audit.monitor.memory import Stand
from igstats_audit.monitor.model import HeadRow

World = Any
"""The log of conftest.py."""
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TODAY, TOMORROW, LATER = START.date(), START.date() + timedelta(days=1), START.date() + timedelta(days=2)
GOOD = HeadRow(
    size=700,
    root=b"",
    compact_range=b"",
    checkpoint="",
    minimum_index=300,
    epoch=9,
    stream_sequence=40,
    stream_made_at=START,
    day=TODAY,
    newest_day=TODAY,
    oldest_index=300,
    parked=0,
)


def words(row: HeadRow, before: HeadRow | None = GOOD, missing: int = 0, log: Log = Log.ACCESS) -> list[str]:
    stand = None if before is None else Stand.of(before)
    return [f"{one.kind} {one.place}" for one in check_stand(log, row, stand, missing, TODAY)]


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 8},
        {"stream_sequence": 39},
        {"stream_sequence": 41},
        {"stream_sequence": 1 << 62},
        {"stream_made_at": START - timedelta(seconds=1)},
        {"stream_made_at": START + timedelta(microseconds=1)},
        {"stream_made_at": None},
        {"day": TOMORROW},
        {"day": TOMORROW, "newest_day": TOMORROW},
        {"size": 701},
    ],
)
def test_what_changes_without_a_commit_is_told(change: dict[str, Any]) -> None:
    assert words(GOOD) == []
    assert words(replace(GOOD, **change)) == ["HEAD_CHANGED head"]


@pytest.mark.parametrize(
    "change",
    [
        {"stream_sequence": 39},
        {"stream_sequence": 43},
        {"stream_sequence": 1 << 62},
        {"stream_made_at": START + timedelta(days=1)},
        {"stream_made_at": START + timedelta(days=1), "stream_sequence": 3},
        {"stream_made_at": None},
        {"day": LATER, "newest_day": LATER},
        {"newest_day": None, "oldest_index": None},
        {"newest_day": TOMORROW},
        {"oldest_index": 299},
        {"oldest_index": 301},
        {"stream_sequence": -1, "stream_made_at": START + timedelta(days=1)},
    ],
)
def test_what_no_commit_of_two_entries_makes_is_told(change: dict[str, Any]) -> None:
    after = replace(GOOD, epoch=10, size=702)
    assert words(after) == []
    assert words(replace(after, **change)) == ["HEAD_CHANGED head"]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"stream_sequence": 41, "parked": 1}, 0),
        ({"stream_sequence": 43, "size": 703}, 0),
        ({"stream_sequence": 43, "size": 900}, 0),
        ({"stream_sequence": 41, "size": 701, "day": TOMORROW, "newest_day": TOMORROW}, 0),
        ({"stream_sequence": 0, "stream_made_at": START + timedelta(days=9)}, 0),
        ({"stream_sequence": 4, "stream_made_at": START - timedelta(days=9), "size": 704}, 0),
        ({"stream_sequence": 90, "size": 701}, 49),
        ({"minimum_index": 700, "newest_day": None, "oldest_index": None}, 0),
        ({"checkpoint": "under another name"}, 0),
    ],
)
def test_what_the_service_does_is_silent(change: dict[str, Any], missing: int) -> None:
    """Parked events, calls, a new day, streams made anew, what a stream has lost, a cut of everything, a renaming."""
    assert words(replace(GOOD, epoch=12, **change), missing=missing) == []


def test_the_first_stream_that_a_log_hears_of_is_its_own() -> None:
    unheard = replace(GOOD, stream_made_at=None)
    assert words(GOOD, unheard) == []
    assert words(replace(GOOD, epoch=10, stream_sequence=0), unheard) == []
    assert words(replace(GOOD, epoch=10, stream_sequence=900), unheard) == ["HEAD_CHANGED head"]


def test_a_head_that_is_seen_for_the_first_time_is_compared_with_its_days_only() -> None:
    assert words(replace(GOOD, stream_sequence=1 << 62), None) == []
    assert words(replace(GOOD, day=TOMORROW), None) == ["HEAD_CHANGED head"]


def test_evidence_follows_no_stream() -> None:
    quiet = replace(GOOD, stream_sequence=0, stream_made_at=None)
    assert words(quiet, None, log=Log.EVIDENCE) == []
    assert words(replace(quiet, stream_sequence=1), None, log=Log.EVIDENCE) == ["HEAD_CHANGED head"]
    assert words(replace(quiet, stream_made_at=START), None, log=Log.EVIDENCE) == ["HEAD_CHANGED head"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["commit", "nothing new", "parked", "lost", "anew", "cut", "look"]),
        st.integers(1, 5),
        st.integers(0, 9),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_history_of_a_service_is_told(steps: list[tuple[str, int, int]]) -> None:
    """However commits, lost events, new streams and cuts follow each other, and whenever the monitor looks."""
    row, before, missing = GOOD, Stand.of(GOOD), 0
    for at, (step, events, more) in enumerate(steps):
        row = replace(row, epoch=row.epoch + 1)
        position = row.stream_sequence + events
        if step == "commit":
            row = replace(row, stream_sequence=position, size=row.size + events + more)
        elif step == "parked":
            row = replace(row, stream_sequence=position, parked=row.parked + events)
        elif step == "lost":
            missing += events + more
            row = replace(row, stream_sequence=position + 1, size=row.size + 1)
        elif step == "anew":
            row = replace(row, stream_sequence=0, stream_made_at=START + timedelta(seconds=at + 1))
        elif step == "cut":
            row = replace(row, minimum_index=row.size, newest_day=None, oldest_index=None)
        if row.size > row.minimum_index:
            row = replace(row, newest_day=row.day, oldest_index=row.minimum_index)
        if step == "look":
            assert list(check_stand(Log.ACCESS, row, before, missing, date(2026, 3, 2))) == []
            before = Stand.of(row)


async def test_a_place_in_the_stream_that_was_moved_is_named_until_it_is_right_again(calls: World) -> None:
    assert await calls.places() == []
    calls.position = 3
    calls.grow(3)
    assert await calls.places(whole=False) == []
    good = calls.row
    calls.row = replace(good, stream_sequence=1_000)
    for whole in (False, True, False):
        assert await calls.places(whole=whole) == ["HEAD_CHANGED head"]
    calls.row = good
    assert await calls.places(whole=False) == []


async def test_bytes_at_the_end_of_a_tile_are_named_in_a_whole_look(world: World) -> None:
    world.shapeless = [(0, 1), (1, 0)]
    assert await world.places(whole=False) == []
    assert await world.places() == ["TILE_CHANGED tile/0/001", "TILE_CHANGED tile/1/000"]
    world.row = replace(world.row, root=b"x" * 32)
    assert await world.places() == ["HEAD_CHANGED head"]
