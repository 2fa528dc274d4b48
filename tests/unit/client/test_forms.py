"""Every thing has one spelling."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_client.forms import Edge, FormError, decimal, is_name, read_hash, text_of, unbase64


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_numbers_read_back(number: int) -> None:
    assert decimal(str(number)) == number


@given(st.text(alphabet="0123456789+-_ .\n\u0661\uff11", max_size=22))
def test_a_number_that_is_read_would_be_written_alike(text: str) -> None:
    try:
        number = decimal(text)
    except FormError:
        return
    assert str(number) == text


@given(st.binary(max_size=80))
def test_base64_reads_back(raw: bytes) -> None:
    assert unbase64(base64.b64encode(raw).decode()) == raw


@given(st.text(alphabet="ABQgw/+-_= \n\u0410", max_size=12))
def test_base64_that_is_read_would_be_written_alike(text: str) -> None:
    try:
        raw = unbase64(text)
    except FormError:
        return
    assert base64.b64encode(raw).decode() == text


@pytest.mark.parametrize(
    ("read", "text", "edge"),
    [
        (decimal, "", Edge.DECIMAL),
        (decimal, "00", Edge.DECIMAL),
        (decimal, "01", Edge.DECIMAL),
        (decimal, "+1", Edge.DECIMAL),
        (decimal, "-1", Edge.DECIMAL),
        (decimal, " 1", Edge.DECIMAL),
        (decimal, "1 ", Edge.DECIMAL),
        (decimal, "1\n", Edge.DECIMAL),
        (decimal, "1_0", Edge.DECIMAL),
        (decimal, "0x1", Edge.DECIMAL),
        (decimal, "\u0661", Edge.DECIMAL),
        (decimal, "\uff11", Edge.DECIMAL),
        (decimal, "1" * 5000, Edge.DECIMAL),
        (decimal, str(2**63), Edge.NUMBER_RANGE),
        (unbase64, "QQ", Edge.BASE64),
        (unbase64, "QQ=", Edge.BASE64),
        (unbase64, "QQ==\n", Edge.BASE64),
        (unbase64, "Q Q==", Edge.BASE64),
        (unbase64, "QQ-_", Edge.BASE64),
        (unbase64, "\u0410QQQ", Edge.BASE64),
        (unbase64, "QR==", Edge.BASE64_CANONICAL),
        (read_hash, "QQ==", Edge.HASH_LENGTH),
        (read_hash, base64.b64encode(bytes(33)).decode(), Edge.HASH_LENGTH),
    ],
)
def test_other_spellings_are_refused(read: Callable[[str], object], text: str, edge: Edge) -> None:
    with pytest.raises(FormError) as refused:
        read(text)
    assert refused.value.edge == edge


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\n", "wide\u2003space", "zero\u200bwidth", "\ud800"])
def test_what_a_key_cannot_be_called(name: str) -> None:
    assert not is_name(name)


def test_text_is_utf8() -> None:
    assert text_of("— log".encode()) == "— log"
    with pytest.raises(FormError, match="UTF-8"):
        text_of(b"\xff")
