"""Which browser a sign-in belongs to, without a page."""

from http.cookies import SimpleCookie

from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.sign_in import COOKIE, LIFE, SignIns
from igstats_privacy.proofs.logins import STATE_LIFE
from starlette.responses import Response

OURS = SignIns(b"p" * 32)


def begun(state: str, *, sign_ins: SignIns = OURS) -> dict[str, str]:
    """The cookies of a browser that has begun a sign-in."""
    page = Response()
    sign_ins.begin(page, f"https://instagram.example/oauth/authorize?client_id=1&state={state}&scope=a%2Cb")
    return {name: one.value for name, one in SimpleCookie(page.headers["set-cookie"]).items()}


def test_the_cookie_is_for_the_way_back_alone_and_out_of_reach_of_scripts() -> None:
    page = Response()
    OURS.begin(page, "https://instagram.example/?state=s1")
    cookie = SimpleCookie(page.headers["set-cookie"])[COOKIE]
    assert (cookie["path"], cookie["samesite"], cookie["secure"], cookie["httponly"]) == (
        "/privacy/login",
        "lax",
        True,
        True,
    )
    assert cookie["max-age"] == str(int(STATE_LIFE.total_seconds()))
    assert LIFE == STATE_LIFE
    assert cookie["domain"] == "", "no other host gets it"
    assert COOKIE.startswith("__Secure-"), "no page without TLS can set it"


def test_the_browser_that_began_a_sign_in_is_known_and_its_cookie_is_taken_back() -> None:
    assert OURS.is_own(begun("s1"), "s1")
    assert SignIns(b"p" * 32).is_own(begun("s1"), "s1"), "by every replica"
    page = Response()
    OURS.end(page)
    assert SimpleCookie(page.headers["set-cookie"])[COOKIE]["max-age"] == "0"


@given(st.text(max_size=80), st.text(max_size=20))
def test_no_other_browser_is(value: str, state: str) -> None:
    assert not OURS.is_own({}, state)
    assert not OURS.is_own({COOKIE: value}, state)
    assert not OURS.is_own(begun("s1"), f"s1{state}x")
    assert not OURS.is_own(begun("s1", sign_ins=SignIns(b"q" * 32)), "s1")
