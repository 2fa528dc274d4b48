"""Which proof covers whom, and how much a right asks for."""

import hashlib
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from igstats.api.v1 import request_service_pb2
from igstats.api.v1.access_pb2 import access
from igstats_gateway.doors import proof_pages
from igstats_privacy.model import Identifier, Regime, Right
from igstats_privacy.proofs import accounts, rules
from igstats_privacy.proofs.proof import Method, Proof, ProofState, Tier
from igstats_privacy.proofs.rules import Profile

NOW = datetime(2027, 3, 1, tzinfo=UTC)
MAIL = Identifier("EMAIL", "ada@example.com")
HASH = Identifier("EMAIL_SHA256", hashlib.sha256(b"ada@example.com").hexdigest())
HANDLE = Identifier("USERNAME", "ada")
ADA = Profile("17841400000000001", "Ada", "1234", "998877")


def proved(tier: Tier, *covers: bytes) -> Proof:
    return Proof("req_1", Method.MAIL_CODE, NOW, NOW, tier=tier, state=ProofState.PROVED, covers=covers)


def test_a_mail_code_proves_the_address_and_its_hash_and_never_a_profile() -> None:
    named = [MAIL, HASH, HANDLE, Identifier("EMAIL", "eve@example.com"), Identifier("ACCOUNT_ID", "acc_1")]
    assert set(rules.by_mail(named, " Ada@Example.com")) == {MAIL, HASH}


def test_a_sign_in_proves_the_names_of_its_profile_or_nothing() -> None:
    other_app = Identifier("APP_USER_ID", "77:1")
    assert rules.by_login([HANDLE, MAIL, other_app], ADA) == (HANDLE,)
    assert rules.by_login([HANDLE, Identifier("USERNAME", "eve")], ADA) == ()
    assert rules.by_login([Identifier("APP_USER_ID", "1234:1")], ADA) == ()
    assert rules.by_login([MAIL], ADA) == ()


def test_specific_pieces_need_more_in_california_and_opting_out_needs_nothing() -> None:
    assert rules.needed(Right.ACCESS, Regime.CCPA) is Tier.HIGH
    assert rules.needed(Right.ACCESS, Regime.GDPR) is Tier.REASONABLE
    assert rules.needed(Right.ERASURE, Regime.CCPA) is Tier.REASONABLE
    assert not rules.suffices(Tier.REASONABLE, Right.PORTABILITY, Regime.CCPA)
    for regime in Regime:
        assert rules.suffices(Tier.UNSPECIFIED, Right.OPT_OUT, regime)
        assert not rules.suffices(Tier.UNSPECIFIED, Right.ERASURE, regime)


def test_points_need_two_for_reasonable_and_three_with_a_declaration_for_high() -> None:
    assert rules.tier_of_points(1, mailed=False, declared=True) is Tier.UNSPECIFIED
    assert rules.tier_of_points(2, mailed=False, declared=True) is Tier.REASONABLE
    assert rules.tier_of_points(3, mailed=False, declared=False) is Tier.REASONABLE
    assert rules.tier_of_points(2, mailed=True, declared=True) is Tier.HIGH
    assert rules.tier_of_points(0, mailed=True, declared=True) is Tier.UNSPECIFIED


@given(st.sets(st.binary(min_size=1, max_size=4)), st.lists(st.sets(st.binary(min_size=1, max_size=4))))
def test_a_request_is_proved_exactly_when_each_of_its_names_is(tokens: set[bytes], covers: list[set[bytes]]) -> None:
    proofs = [proved(Tier.REASONABLE, *one) for one in covers]
    expected = tokens <= set().union(*covers)
    assert rules.is_proved(tokens, proofs, Right.ERASURE, Regime.GDPR) is expected


@given(st.sampled_from(list(Right)), st.sampled_from(list(Regime)))
def test_what_failed_or_is_too_weak_proves_nothing(right: Right, regime: Regime) -> None:
    failed = Proof("req_1", Method.LOGIN, NOW, NOW, tier=Tier.PLATFORM, state=ProofState.FAILED, covers=(b"t",))
    assert not rules.is_proved([b"t"], [failed], right, regime)
    weak = proved(Tier.REASONABLE, b"t")
    assert rules.is_proved([b"t"], [weak], right, regime) is rules.suffices(Tier.REASONABLE, right, regime)


def test_a_key_needs_as_much_to_prove_its_account_as_to_open_a_request_over_the_api() -> None:
    create = request_service_pb2.DESCRIPTOR.services_by_name["RequestService"].methods_by_name["CreateRequest"]
    assert accounts.SCOPE == proof_pages.SCOPE == create.GetOptions().Extensions[access].scope
