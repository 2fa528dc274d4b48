"""What a deep sweep searches for and what its findings mean."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_kit.deep_sweep.model import REMAINS, Erased, Kind, Needles, Place, judge, searchable

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ANYWHERE = [Place(kind, "people") for kind in Kind]


def erased(*values: str, last: bool = False, kept: frozenset[str] = frozenset()) -> Erased:
    return Erased("req_1", values, NOON, last=last, kept=kept)


@pytest.mark.parametrize("value", ["anna", "", "acc_01jd3zmg6m0000000000000000", "con_01jd3zmg6m0000000000000000"])
def test_short_values_and_ids_of_ours_say_nothing(value: str) -> None:
    assert not searchable(value)
    needles = Needles([erased(value)])
    assert needles.sought() == []
    assert needles.unsearched["req_1"] == 1


@given(st.text(min_size=6), st.binary(), st.binary())
def test_a_value_is_found_wherever_it_stands_among_bytes(value: str, before: bytes, after: bytes) -> None:
    if searchable(value) and value.isprintable():
        assert Needles([erased(value)]).within(before + b"\0" + value.encode() + b"\0" + after) == {"req_1"}


def test_a_value_is_found_as_json_writes_it_and_in_lower_case() -> None:
    needles = Needles([erased("Jörg@Example.org")])
    assert needles.within(b'{"email": "J\\u00f6rg@Example.org"}') == {"req_1"}
    assert needles.within("jörg@example.org".encode()) == {"req_1"}
    assert needles.within(b"somebody else") == set()


def test_bytes_that_postgresql_keeps_are_no_finding_before_the_last_search() -> None:
    early, late = (judge(erased("x", last=last), ANYWHERE, frozenset()) for last in (False, True))
    assert {place.kind for place in early.remains} == REMAINS
    assert early.outcome == late.outcome == "FOUND"
    assert late.remains == ()
    assert judge(erased("x"), [Place(Kind.WAL, "1")], frozenset()).outcome == "REMAINS"
    assert judge(erased("x"), [], frozenset()).outcome == "CLEAN"


def test_what_stays_by_law_or_by_a_hold_is_no_finding_in_its_store_and_is_one_elsewhere() -> None:
    places = [Place(Kind.TABLE, "invoices"), Place(Kind.TABLE, "people"), Place(Kind.WAL, "1")]
    by_hold = judge(erased("x", last=True, kept=frozenset({"invoices"})), places, frozenset())
    by_law = judge(erased("x", last=True), places, frozenset({"invoices"}))
    assert by_hold == by_law
    assert [str(place) for place in by_hold.findings] == ["table:people"]
    assert [str(place) for place in by_hold.staying] == ["table:invoices"]
    assert [str(place) for place in by_hold.remains] == ["wal:1"], "the log of changes mixes what stays and what went"
