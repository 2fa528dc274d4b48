"""Shapes and rules of California's DROP."""

import base64
import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.drop import rules
from igstats_gateway.doors.drop.rules import LONGEST, DropFormatError, Outcome, Rhythm
from igstats_gateway.doors.model import FINAL, Right, State
from igstats_kit.tokens import email_sha256

JANE = "jIe0ic41zy4vOfgOKCyy6ASTKlaiE5g+7rQoQH1DtS0="
ITEMS = st.from_regex(r"[A-Za-z0-9]{12}", fullmatch=True)
HASHES = st.binary(min_size=32, max_size=32).map(lambda found: base64.b64encode(found).decode())


def archive(**files: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as written:
        for name, content in files.items():
            written.writestr(f"20260312_4821_{name}.csv", content)
    return made.getvalue()


@pytest.mark.parametrize("address", ["jane@example.com", " Jane@Example.COM\n", "jane @example.com"])
def test_an_address_is_hashed_as_the_platform_does(address: str) -> None:
    assert rules.drop_hash(address) == JANE


def test_the_hash_is_the_identifier_that_other_doors_send_in_hex() -> None:
    assert rules.hex_of(JANE) == email_sha256("Jane@example.com")


@given(st.text())
def test_whatever_is_no_digest_names_nobody(text: str) -> None:
    found = rules.hex_of(text)
    assert found is None or len(found) == 64


@given(st.dictionaries(ITEMS, HASHES, max_size=30))
def test_every_row_of_a_list_is_read_and_can_be_answered(rows: dict[str, str]) -> None:
    content = "ID,Hash\r\n" + "".join(f"{item},{hashed}\r\n" for item, hashed in rows.items())
    (listing,) = rules.read_archive(archive(Email=content))
    assert dict(listing.rows) == rows
    assert (listing.name, listing.kind, listing.malformed) == ("20260312_4821_Email.csv", "Email", 0)
    lines = rules.report([(item, Outcome.NOT_FOUND) for item, _ in listing.rows]).decode().split("\r\n")
    assert lines == ["Id,Status", *(f"{item},5" for item in rows), ""]


def test_rows_without_a_proper_id_are_counted_and_left() -> None:
    (listing,) = rules.read_archive(archive(Email=f"ID,Hash\nA7kP2xQ9Lm4R,{JANE}\n680,{JANE}\nA7kP2xQ9Lm4R\n"))
    assert (listing.rows, listing.malformed) == ((("A7kP2xQ9Lm4R", JANE),), 2)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a zip", archive(Email="Id,Hash\n"), archive(Secrets="ID,Hash\n"), archive(Email="ID,Hash\n\0")[:60]],
    ids=["empty", "no zip", "another header", "another list", "cut off"],  # archives say when they were made
)
def test_what_is_no_archive_of_lists_is_refused(content: bytes) -> None:
    with pytest.raises(DropFormatError):
        rules.read_archive(content)


@given(st.binary(max_size=200))
def test_no_noise_is_taken_for_an_archive(content: bytes) -> None:
    with pytest.raises(DropFormatError):
        rules.read_archive(b"PK\x03\x04" + content)


def test_several_persons_with_one_address_are_opted_out_and_one_is_deleted() -> None:
    assert rules.wish_for(["Jane Doe", "jane  doe"]) is Right.ERASURE
    assert rules.wish_for(["Jane Doe", "John Doe"]) is Right.OPT_OUT


@pytest.mark.parametrize("state", list(State))
def test_only_requests_that_ended_are_reported(state: State) -> None:
    found = {right: rules.outcome_of(right, state) for right in (Right.ERASURE, Right.OPT_OUT)}
    if state not in FINAL:
        assert set(found.values()) == {None}
    elif state in (State.FULFILLED, State.FULFILLED_IN_PART):
        assert found == {Right.ERASURE: Outcome.DELETED, Right.OPT_OUT: Outcome.OPTED_OUT}
    else:
        assert set(found.values()) == {Outcome.EXEMPTED}


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 7, 1, 8, 30, tzinfo=UTC), 1.5),  # 1:30 in summer
        (datetime(2026, 1, 1, 9, 0, tzinfo=UTC), 2),  # 1:00 in winter
        (datetime(2026, 1, 1, 11, 0, tzinfo=UTC), 0),  # 3:00
        (datetime(2026, 7, 1, 7, 59, tzinfo=UTC), 0),  # 0:59
    ],
)
def test_the_platform_is_closed_from_one_to_three_in_the_morning_in_california(now: datetime, hours: float) -> None:
    assert Rhythm(LONGEST).opens_in(now) == timedelta(hours=hours)


def test_it_may_never_be_closed() -> None:
    assert Rhythm(LONGEST, closed="never").opens_in(datetime(2026, 11, 29, 9, 30, tzinfo=UTC)) == timedelta()


@given(st.integers(0, 2 * 365 * 24 * 60))
def test_it_is_never_closed_for_more_than_three_hours(minutes: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    closed = Rhythm(LONGEST).opens_in(now)
    assert timedelta() <= closed <= timedelta(hours=3)
    assert not closed or Rhythm(LONGEST).opens_in(now + closed) == timedelta()


def test_the_same_amendment_has_the_same_name_and_fits_the_platform() -> None:
    name = rules.amendment_name("20260312_4821_Email.csv", b"Id,Status\r\n")
    assert name == rules.amendment_name("20260312_4821_Email.csv", b"Id,Status\r\n")
    assert len(name.removeprefix("20260312_4821_Email_").removesuffix(".csv")) <= 10
