"""The rules of the Global Privacy Control specification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_kit.interceptors import gpc


@pytest.mark.parametrize(
    "fields",
    [
        [("sec-gpc", "1")],
        [("sec-gpc", b"1")],
        [("sec-gpc", "0"), ("sec-gpc", "1")],
        [("sec-gpc", "1"), ("sec-gpc", "x")],
    ],
)
def test_an_exact_one_among_the_values_is_the_signal(fields: list[tuple[str, str | bytes]]) -> None:
    assert gpc.is_signal(fields)


@given(st.text() | st.binary())
def test_nothing_else_is(value: str | bytes) -> None:
    assert gpc.is_signal([("sec-gpc", value), ("gpc", "1")]) == (value in ("1", b"1"))


def test_what_was_heard_is_what_the_next_hop_is_sent() -> None:
    gpc.hear(signal=True)
    assert gpc.metadata() == (("sec-gpc", "1"),)
    gpc.hear(signal=False)
    assert gpc.metadata() == ()
