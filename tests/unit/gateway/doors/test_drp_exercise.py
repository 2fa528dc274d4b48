"""What an agent may ask for, and what its word proves."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.drp import exercise
from igstats_gateway.doors.model import Identifier, Kind, Regime, Right, Wish
from igstats_kit.errors import DomainError, Reason

CLAIMS: dict[str, Any] = {
    "exercise": "deletion",
    "regime": "ccpa",
    "email": "ann@example.com",
    "email_verified": True,
    "name": "Ann",
    "phone_number": "+15550123",
}


def read(verifies: bool = True, **change: Any) -> Wish:  # noqa: FBT001, FBT002 - a test's shorthand
    return exercise.wish(CLAIMS | change, "CR_AGENT", verifies=verifies)


def test_a_deletion_is_read_and_the_agents_word_proves_the_address() -> None:
    wish = read()
    assert (wish.door, wish.right, wish.regime) == ("drp", Right.ERASURE, Regime.CCPA)
    assert wish.identifiers == (Identifier(Kind.EMAIL, "ann@example.com"),)
    assert wish.identity_proof == "DRP agent CR_AGENT: mail address verified"


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("access", Right.ACCESS),
        ("access:specific", Right.ACCESS),
        ("access:categories", Right.CATEGORIES),
        ("sale:opt-out", Right.OPT_OUT),
        ("sale:opt_out", Right.OPT_OUT),
        ("sale:opt-in", Right.OPT_IN),
        ("sale:opt_in", Right.OPT_IN),
    ],
)
def test_every_right_of_the_protocol_has_one_here(asked: str, right: Right) -> None:
    assert read(exercise=asked).right is right


@pytest.mark.parametrize("regime", [None, "voluntary"])
def test_a_request_without_regime_is_voluntary(regime: str | None) -> None:
    assert read(regime=regime).regime is Regime.VOLUNTARY


@pytest.mark.parametrize("word", [False, None, "true", 1, [True]])
def test_only_a_plain_true_says_that_an_address_was_verified(word: object) -> None:
    assert read(email_verified=word).identity_proof == ""


def test_an_agent_that_verifies_nothing_proves_nothing() -> None:
    assert read(verifies=False).identity_proof == ""


@pytest.mark.parametrize("asked", ["access", "access:specific"])
@pytest.mark.parametrize("regime", ["ccpa", None])
def test_a_verified_address_alone_opens_no_copy_of_the_data(asked: str, regime: str | None) -> None:
    assert read(exercise=asked, regime=regime).identity_proof == ""


@pytest.mark.parametrize(
    "change",
    [
        {"exercise": ["deletion"]},
        {"exercise": "erase"},
        {"exercise": None},
        {"regime": "gdpr"},
        {"regime": ""},
        {"email": None},
        {"email": ""},
        {"email": "ann"},
        {"email": "@example.com"},
        {"email": "ann@"},
        {"email": "ann smith@example.com"},
        {"email": ["ann@example.com"]},
        {"email": "a" * 320 + "@example.com"},
    ],
)
def test_what_breaks_a_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DomainError) as refused:
        read(**change)
    assert refused.value.reason is Reason.FIELD_INVALID


VALUES = st.none() | st.booleans() | st.integers() | st.text("ab@. \n", max_size=20)


@given(st.dictionaries(st.sampled_from(sorted(CLAIMS)), VALUES))
def test_arbitrary_claims_are_read_or_refused_and_never_prove_by_accident(change: dict[str, Any]) -> None:
    proofs = []
    with contextlib.suppress(DomainError):
        proofs.append(read(**change).identity_proof)
    assert proofs in ([], [""]) or (CLAIMS | change)["email_verified"] is True


def test_a_refusal_never_repeats_the_address() -> None:
    with pytest.raises(DomainError) as refused:
        read(email="ann smith@example.com")
    assert "ann" not in str(refused.value) + str(refused.value.violations)
