import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.keys import ALPHABET, SCANNING_PATTERN, ApiKey, Pepper, checksum, make, parse
from igstats_kit.errors import DomainError, Reason

base62 = st.text(alphabet=ALPHABET, min_size=1, max_size=1)


def _key_of(key_id: str, secret: str) -> str:
    stem = f"igs_live_{key_id}_{secret}"
    return stem + checksum(stem)


@given(st.text(ALPHABET, min_size=8, max_size=8), st.text(ALPHABET, min_size=32, max_size=32))
def test_every_well_formed_key_is_read_back(key_id: str, secret: str) -> None:
    text = _key_of(key_id, secret)
    assert parse(text) == ApiKey(key_id, text)


@given(st.integers(0, 54), base62)
def test_one_wrong_character_anywhere_is_noticed(position: int, character: str) -> None:
    text = make().text
    assert len(text) == 56
    changed = text[:position] + character + text[position + 1 :]
    if changed != text:
        with pytest.raises(DomainError) as caught:
            parse(changed)
        assert caught.value.reason is Reason.API_KEY_MALFORMED


@given(st.text(max_size=80))
def test_any_other_text_is_refused_and_never_crashes(text: str) -> None:
    with pytest.raises(DomainError):
        parse(text)


def test_made_keys_differ_parse_and_fit_the_scanning_pattern() -> None:
    keys = [make() for _ in range(50)]
    assert len({key.key_id for key in keys}) == len(keys)
    assert all(parse(key.text) == key for key in keys)
    assert all(re.fullmatch(SCANNING_PATTERN, key.text) for key in keys)


def test_the_checksum_is_crc32_in_base62() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926  # the check value of CRC-32
    assert sum(ALPHABET.index(digit) * 62**place for place, digit in enumerate(reversed(checksum("123456789")))) == (
        0xCBF43926
    )


def test_a_digest_fits_its_key_only_and_depends_on_the_pepper() -> None:
    key, other = make(), make()
    pepper = Pepper(b"p" * 32)
    digest = pepper.digest(key)
    assert pepper.fits(key, digest)
    assert not pepper.fits(other, digest)
    assert not Pepper(b"q" * 32).fits(key, digest)
    assert key.text.encode() not in digest


def test_a_key_does_not_show_its_secret_when_printed() -> None:
    key = make()
    assert key.text not in repr(key)
    assert key.key_id in repr(key)
