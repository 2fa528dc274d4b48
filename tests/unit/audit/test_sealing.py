"""What a data key seals: it opens again, and with nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit.keyring import WrappedKey
from igstats_audit.keys import DataKeys
from igstats_audit.model import DataKey, Log, Subject
from igstats_kit.seal import SealError

SALT = bytes(range(32))
KEY, OTHER = DataKey("key_1", b"k" * 32), DataKey("key_2", b"o" * 32)


@given(st.binary(max_size=2_000), st.text(max_size=50), st.binary(min_size=32, max_size=32))
def test_what_is_sealed_opens_again(payload: bytes, context: str, salt: bytes) -> None:
    assert DataKeys.open(KEY, DataKeys.seal(KEY, salt, payload, context), context) == (salt, payload)


@given(st.binary(max_size=200), st.data())
def test_nothing_opens_with_another_key_or_context_or_when_a_bit_is_changed(
    payload: bytes, data: st.DataObject
) -> None:
    sealed = DataKeys.seal(KEY, SALT, payload, "access:key_1")
    place, bit = data.draw(st.integers(0, len(sealed) - 1)), data.draw(st.integers(0, 7))
    changed = sealed[:place] + bytes([sealed[place] ^ 1 << bit]) + sealed[place + 1 :]
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for key, given_bytes, context in (
        (OTHER, sealed, "access:key_1"),
        (KEY, sealed, "evidence:key_1"),
        (KEY, changed, "access:key_1"),
        (KEY, cut, "access:key_1"),
    ):
        with pytest.raises(SealError):
            DataKeys.open(key, given_bytes, context)


def test_the_same_payload_never_looks_the_same_twice() -> None:
    assert len({DataKeys.seal(KEY, SALT, b"payload", "c") for _ in range(100)}) == 100


@pytest.mark.parametrize("salt", [b"", SALT[:-1], SALT + b"x"])
def test_a_salt_of_another_size_is_refused(salt: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DataKeys.seal(KEY, salt, b"payload", "c")


def test_no_key_shows_its_secret() -> None:
    row = WrappedKey("key_1", Log.ACCESS, Subject("s"), "kek_1", b"wrapped")
    assert "kkkk" not in repr(KEY)
    assert "wrapped" not in repr(row)
