"""The leaf format, byte for byte and at its edges."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit import leaf
from igstats_audit.leaf import Leaf, commitment, decode, encode

SAMPLE = Leaf("receipt.issued", "stats", 7, datetime(2026, 11, 23, 19, 3, tzinfo=UTC), b"\xab" * 32)
NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=16)


def test_the_layout_is_fixed() -> None:
    raw = encode(SAMPLE)
    assert len(raw) == leaf.SIZE == 93
    minutes = int(SAMPLE.minute.timestamp()) // 60
    assert raw == (
        b"\x01"
        + b"receipt.issued".ljust(32, b"\0")
        + b"stats".ljust(16, b"\0")
        + (7).to_bytes(8, "big")
        + minutes.to_bytes(4, "big")
        + b"\xab" * 32
    )


def test_seconds_are_cut_off() -> None:
    late = replace(SAMPLE, minute=SAMPLE.minute + timedelta(seconds=59, microseconds=999))
    assert encode(late) == encode(SAMPLE)


@given(
    NAMES,
    NAMES,
    st.integers(min_value=0, max_value=2**64 - 1),
    st.integers(min_value=0, max_value=10**8),
    st.binary(min_size=32, max_size=32),
)
def test_what_is_written_is_read_again(kind: str, producer: str, sequence: int, minutes: int, committed: bytes) -> None:
    written = Leaf(kind, producer, sequence, datetime.fromtimestamp(minutes * 60, UTC), committed)
    assert decode(encode(written)) == written


@given(st.binary(min_size=leaf.SIZE, max_size=leaf.SIZE))
def test_reading_garbage_either_fails_or_is_exact(raw: bytes) -> None:
    try:
        read = decode(raw)
    except ValueError:
        return
    assert encode(read) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        encode(SAMPLE)[:-1],
        encode(SAMPLE) + b"\0",
        b"\x02" + encode(SAMPLE)[1:],
        b"\x01" + b"\0" * 32 + encode(SAMPLE)[33:],
        b"\x01" + b"a\0b".ljust(32, b"\0") + encode(SAMPLE)[33:],
        b"\x01" + "é".encode("latin-1").ljust(32, b"\0") + encode(SAMPLE)[33:],
        encode(SAMPLE)[:57] + b"\xff" * 4 + encode(SAMPLE)[61:],
    ],
)
def test_malformed_leaves_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"leaf|version|calendar|ascii"):
        decode(raw)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(SAMPLE, kind=""),
        replace(SAMPLE, kind="k" * 33),
        replace(SAMPLE, producer="p" * 17),
        replace(SAMPLE, producer="stäts"),
        replace(SAMPLE, sequence=-1),
        replace(SAMPLE, sequence=2**64),
        replace(SAMPLE, commitment=b"short"),
        replace(SAMPLE, minute=datetime(1969, 12, 31, tzinfo=UTC)),
    ],
)
def test_leaves_that_do_not_fit_are_refused(wrong: Leaf) -> None:
    with pytest.raises(ValueError, match="leaf"):
        encode(wrong)


def test_a_commitment_covers_domain_salt_and_payload() -> None:
    salt = b"s" * 32
    assert commitment(salt, b"payload") == hashlib.sha256(b"igstats/commitment/v1\n" + salt + b"payload").digest()


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="salt"):
        commitment(b"s" * 31, b"payload")
