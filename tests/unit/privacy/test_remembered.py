"""What holders remember becomes entries of the ledger that every holder will read."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy.remembered import Memory, MemoryFormError, read

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


def holder(name: str, applied: int) -> str:
    return json.dumps({"holder": name, "applied": applied})


def erasure(request_id: str, *tokens: str, since: datetime = NOON) -> str:
    return json.dumps({"request_id": request_id, "tokens": list(tokens), "since": since.isoformat()})


def test_what_several_holders_remember_of_one_erasure_is_one_entry() -> None:
    later = NOON + timedelta(minutes=1)
    memory = read([holder("stats", 3), erasure("req_1", "aa", since=later), holder("audit", 7), erasure("req_1", "bb")])
    (one,) = memory.erasures
    assert (memory.applied, one.request_id, one.tokens, one.accepted_at) == (7, "req_1", (b"\xaa", b"\xbb"), NOON)


def test_lost_entries_get_numbers_that_no_holder_has_seen_in_the_order_of_their_fences() -> None:
    lines = [holder("stats", 9), *(erasure(f"req_{n}", "aa", since=NOON - timedelta(hours=n)) for n in range(4))]
    lost, head = read(lines).missing({"req_2"}, 5, ALWAYS)
    assert [(one.sequence, one.request_id) for one in lost] == [(10, "req_3"), (11, "req_1"), (12, "req_0")]
    assert head == 12


def test_what_is_older_than_the_ledger_keeps_is_not_brought_back() -> None:
    lost, head = read([holder("stats", 2), erasure("req_1", "aa")]).missing(set(), 5, NOON + timedelta(seconds=1))
    assert (lost, head) == ([], 5)


@given(
    applied=st.integers(0, 1000),
    head=st.integers(0, 1000),
    ids=st.sets(st.integers(0, 50), max_size=20),
    known=st.sets(st.integers(0, 50), max_size=20),
)
def test_afterwards_nothing_is_missing_and_nobody_is_ahead(
    applied: int, head: int, ids: set[int], known: set[int]
) -> None:
    memory = read([holder("stats", applied), *(erasure(f"req_{one}", "aa") for one in ids)])
    names = {f"req_{one}" for one in known}
    lost, last = memory.missing(names, head, ALWAYS)
    assert {one.request_id for one in lost} == {f"req_{one}" for one in ids} - names
    assert [one.sequence for one in lost] == list(range(max(applied, head) + 1, last + 1))
    assert memory.missing(names | {one.request_id for one in lost}, last, ALWAYS) == ([], last)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no json",
        "[]",
        "7",
        "{}",
        '{"holder": "stats"}',
        '{"holder": "stats", "applied": "many"}',
        erasure("", "aa"),
        erasure("req_1"),
        erasure("req_1", "no hex"),
        '{"request_id": "req_1", "tokens": ["aa"]}',
        '{"request_id": "req_1", "tokens": "aa", "since": "2026-11-28T12:00:00Z"}',
        '{"request_id": "req_1", "tokens": ["aa"], "since": "2026-11-28T12:00:00"}',
        '{"request_id": 7, "tokens": ["aa"], "since": "2026-11-28T12:00:00Z"}',
    ],
)
def test_what_is_no_memory_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(MemoryFormError, match="line 2"):
        read([holder("stats", 1), line])


def test_a_memory_without_any_holder_is_refused() -> None:
    with pytest.raises(MemoryFormError, match="how far"):
        read([erasure("req_1", "aa")])


def test_a_memory_without_erasures_only_moves_the_last_number() -> None:
    assert read([holder("stats", 9)]).missing(set(), 5, ALWAYS) == ([], 9)
    assert Memory(0, ()).missing(set(), 0, ALWAYS) == ([], 0)
