"""What is a mail address, and that whatever passes is one recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_kit.mail import mail_address


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ada@example.com", "ada@example.com"),
        (" Ada.Love+1@Example.COM\n", "Ada.Love+1@example.com"),
        ("o'hara_{x}@a-b.example", "o'hara_{x}@a-b.example"),
        ("jörg@müller.example", "jörg@xn--mller-kva.example"),
        ("ada\uff20example\uff0ecom", "ada@example.com"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_an_address_has_one_spelling_to_send_to(written: str, meant: str) -> None:
    assert mail_address(written) == meant
    assert mail_address(meant) == meant


@pytest.mark.parametrize(
    "written",
    [
        *("", "@", "ada", "ada@", "@example.com", "ada@example", "ada@example.com.", "ada@.example.com"),
        *("b@[.x", ":@;.x", "a@[127.0.0.1]", "a@127.0.0.1", "a@b.1", '"a b"@example.com', "a b@example.com"),
        *("a@b@example.com", "a,b@example.com", "<a@example.com>", "a(b)@example.com", "a\\b@example.com"),
        *(".a@example.com", "a.@example.com", "a..b@example.com", "a@-b.example", "a@b-.example", "a@b_c.example"),
        *("a\n@example.com", "a\x00@example.com", "a\u2028@example.com", "a@exam\nple.com", "=?utf-8?q?a?=@b.example"),
        *("a" * 65 + "@example.com", "a@" + "b" * 64 + ".example", "a@" + "b.c" * 84 + ".example"),
    ],
)
def test_what_is_no_address_is_none(written: str) -> None:
    assert mail_address(written) is None


@given(st.text(alphabet='ab@.:;[]<>()",\\ =?é\uff11\u200d-_', max_size=16))
def test_an_address_read_again_is_the_same(text: str) -> None:
    found = mail_address(text)
    assert found is None or (mail_address(found) == found and found.count("@") == 1)
