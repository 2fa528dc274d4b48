"""Meta's signed requests: the published vectors, what senders do differently, and what nobody may get through."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.signed_request import MetaApp, SignedRequestError, apps, read, verified

SECRET = MetaApp("1001", b"secret")
OTHER = MetaApp("2002", b"another")
# Meta's historic vector of its PHP SDK.
VECTOR_A = "vlXgu64BQGFSQrY0ZcJBZASMvYvTHu9GQ0YM9rjPSso.eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsIjAiOiJwYXlsb2FkIn0"
# The example payload of Meta's page about the data deletion callback, signed with `secret`.
VECTOR_B = (
    "-fwBSpSRt5D9U-ha4XKiZ9gMrcQ2raVsTIJ8JnSTzeM.eyJ1c2VyX2lkIjoiMjE4NDcxIiwiYWxnb3JpdGhtIjoiSE1BQy1TSEEyNTYiLCJpc3N1"
    "ZWRfYXQiOjEyOTE4MzY4MDAsImV4cGlyZXMiOjEyOTE4NDA0MDB9"
)
GOOD: dict[str, Any] = {"user_id": "218471", "algorithm": "HMAC-SHA256", "issued_at": 1291836800}


def signed(payload: object, secret: bytes = b"secret") -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(secret, encoded, hashlib.sha256)).rstrip(b"=")
    return f"{signature.decode()}.{encoded.decode()}"


def test_metas_historic_vector_is_verified_though_it_names_nobody() -> None:
    app, payload = verified(VECTOR_A, [SECRET])
    assert (app, payload) == (SECRET, {"algorithm": "HMAC-SHA256", "0": "payload"})
    with pytest.raises(SignedRequestError):
        read(VECTOR_A, [SECRET])


def test_the_documented_example_is_read() -> None:
    found = read(VECTOR_B, [SECRET])
    assert (found.person, found.issued_at) == ("1001:218471", 1291836800)


def test_the_pair_that_fits_tells_which_app_it_was() -> None:
    assert read(VECTOR_B, [OTHER, SECRET]).app_id == "1001"
    assert read(signed(GOOD, b"another"), [OTHER, SECRET]).app_id == "2002"


def test_padding_of_either_part_does_no_harm() -> None:
    signature, _, payload = VECTOR_B.partition(".")
    assert read(f"{signature}=.{payload}", [SECRET]) == read(VECTOR_B, [SECRET])


def test_a_user_id_may_be_a_number() -> None:
    assert read(signed(GOOD | {"user_id": 218471}), [SECRET]) == read(signed(GOOD), [SECRET])


def test_the_algorithm_is_compared_without_case() -> None:
    assert read(signed(GOOD | {"algorithm": "hmac-sha256"}), [SECRET]).user_id == "218471"


@pytest.mark.parametrize(
    "changed",
    [
        {"algorithm": "HMAC-SHA1"},
        {"algorithm": "none"},
        {"algorithm": None},
        {"user_id": ""},
        {"user_id": "1;2"},
        {"user_id": True},
        {"user_id": None},
        {"user_id": 1.5},
        {"user_id": ["218471"]},
        {"issued_at": None},
        {"issued_at": "1291836800"},
        {"issued_at": True},
        {"issued_at": -1},
        {"issued_at": 2**70},
    ],
)
def test_what_lacks_a_needed_field_is_refused_though_its_signature_fits(changed: dict[str, Any]) -> None:
    with pytest.raises(SignedRequestError):
        read(signed(GOOD | changed), [SECRET])


@pytest.mark.parametrize("payload", ["text", 1, None, [GOOD], {}])
def test_a_payload_that_is_no_object_of_ours_is_refused(payload: object) -> None:
    with pytest.raises(SignedRequestError):
        read(signed(payload), [SECRET])


@pytest.mark.parametrize("text", ["", ".", "a.b", VECTOR_B.replace(".", ""), f"{VECTOR_B}.x", "é.é", "x" * 9000 + ".y"])
def test_what_is_no_signed_request_is_refused(text: str) -> None:
    with pytest.raises(SignedRequestError):
        read(text, [SECRET])


def test_nothing_is_believed_while_no_app_is_set_up() -> None:
    with pytest.raises(SignedRequestError):
        read(VECTOR_B, [])


@given(st.integers(0, len(VECTOR_B) - 1), st.characters(codec="ascii"))
def test_no_change_of_a_single_character_gets_through(place: int, letter: str) -> None:
    changed = VECTOR_B[:place] + letter + VECTOR_B[place + 1 :]
    try:
        found = read(changed, [SECRET])
    except SignedRequestError:
        return
    # The last letter of a base64 part carries bits that mean nothing: then it is the same request still.
    assert found == read(VECTOR_B, [SECRET])


@given(st.text())
def test_no_text_is_accepted_and_none_does_harm(text: str) -> None:
    with pytest.raises(SignedRequestError):
        read(text, [SECRET, OTHER])


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())))
def test_no_payload_that_another_secret_signed_is_accepted(payload: dict[str, Any]) -> None:
    with pytest.raises(SignedRequestError):
        read(signed(GOOD | payload, b"forged"), [SECRET, OTHER])


def test_apps_are_read_from_lines_and_may_have_two_secrets() -> None:
    assert apps("# ours\n1001:secret\n\n2002:another\n1001:older\n") == (SECRET, OTHER, MetaApp("1001", b"older"))


@pytest.mark.parametrize("text", ["1001", "1001:", ":secret", "app:secret"])
def test_a_line_of_another_form_stops_the_start_and_tells_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="line 1 of the Meta apps") as refused:
        apps(text)
    assert "secret" not in str(refused.value).replace("id:secret", "")


def test_neither_secret_nor_user_is_shown_by_a_repr() -> None:
    assert "secret" not in repr(SECRET).replace("secret=", "")
    assert "218471" not in repr(read(VECTOR_B, [SECRET]))
