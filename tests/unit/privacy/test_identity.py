import pytest
from igstats_privacy.identity import ACCOUNT_PROOF, CONNECTION_PROOF, contact_belongs, merged, owns, proof
from igstats_privacy.model import Identifier

ULID = "01jd3zmg6m0000000000000000"
ACCOUNT = f"acc_{ULID}"
OWN = Identifier("ACCOUNT_ID", ACCOUNT)
CONTACT = Identifier("CONTACT_ID", f"con_{ULID}_2")
PROFILE = Identifier("INSTAGRAM_USER_ID", "17841400000000001")
EMAIL = Identifier("EMAIL", "ada@example.com")


@pytest.mark.parametrize(
    "contact",
    [
        "con_01jd3zmg6m0000000000000001_2",
        f"con_{ULID}",
        f"con_{ULID}_",
        f"con_{ULID}_2x",
        f"acc_{ULID}_2",
        f" con_{ULID}_2",
        "",
    ],
)
def test_a_contact_of_another_account_or_of_no_form_does_not_belong(contact: str) -> None:
    assert not contact_belongs(contact, ACCOUNT)


def test_a_contact_belongs_to_the_account_with_the_same_ulid() -> None:
    assert contact_belongs(CONTACT.value, ACCOUNT)


def test_nobody_owns_anything_without_an_account() -> None:
    assert not any(owns(identifier, "") for identifier in (OWN, CONTACT, PROFILE, EMAIL))


@pytest.mark.parametrize(
    ("identifiers", "connected", "tier"),
    [
        ([OWN], False, ACCOUNT_PROOF),
        ([OWN, CONTACT], False, ACCOUNT_PROOF),
        ([PROFILE], True, CONNECTION_PROOF),
        ([PROFILE], False, ""),
        ([OWN, PROFILE], True, CONNECTION_PROOF),
        ([OWN, PROFILE], False, ""),
        ([EMAIL], True, ""),
        ([PROFILE, EMAIL], True, ""),
        ([Identifier("ACCOUNT_ID", "acc_01jd3zmg6m0000000000000001")], True, ""),
    ],
)
def test_an_identity_is_proved_when_every_identifier_is(
    identifiers: list[Identifier],
    connected: bool,  # noqa: FBT001 - a row of the table above
    tier: str,
) -> None:
    assert proof(identifiers, ACCOUNT, connected=connected) == tier


def test_identifiers_are_merged_without_doubles() -> None:
    name = Identifier("USERNAME", "ada")
    assert merged([PROFILE], [PROFILE, name]) == (PROFILE, name)


def test_an_identifier_does_not_show_its_value_by_accident() -> None:
    assert "ada@example.com" not in repr(EMAIL)
