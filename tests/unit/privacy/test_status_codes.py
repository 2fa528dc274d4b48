from hypothesis import given
from hypothesis import strategies as st
from igstats_privacy.status_codes import StatusCodes
from ulid import ULID

CODES = StatusCodes(b"one key")
REQUEST = "req_01jd3zmg6m0000000000000000"


@given(st.integers(0, 2**128 - 1))
def test_a_status_code_opens_its_request(number: int) -> None:
    request_id = f"req_{str(ULID.from_int(number)).lower()}"
    code = CODES.of(request_id)
    assert CODES.read(code) == CODES.read(f" {code.upper()}\n") == request_id
    assert code.isalnum()


@given(st.integers(0, 51), st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz"))
def test_a_changed_letter_opens_nothing(place: int, letter: str) -> None:
    code = CODES.of(REQUEST)
    changed = code[:place] + letter + code[place + 1 :]
    assert CODES.read(changed) == (REQUEST if changed == code else None)


def test_another_key_opens_nothing() -> None:
    assert StatusCodes(b"another").read(CODES.of(REQUEST)) is None


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    assert CODES.read(text) in {None, REQUEST}
