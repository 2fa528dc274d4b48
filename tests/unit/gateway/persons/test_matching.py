"""How many stated facts fit one person on file."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.persons.rules import OnFile, matched

ADA = OnFile(
    account_id="acc_1",
    contact_id="con_1_1",
    email="ada@example.com",
    contact_name="Ada Lovelace",
    company="Analytical Engines",
    billing_address="12 St James's Square, London",
    vat_number="GB 123 4567 82",
    key_ids=("key1", "key2"),
    created_at=datetime(2026, 3, 9, tzinfo=UTC),
    tokens=(b"account", b"id", b"mail", b"hash"),
)
BOB = replace(ADA, contact_id="con_1_2", contact_name="Bob", tokens=(b"account", b"bob", b"bobmail", b"bobhash"))
POINTS = ["company", "contact_name", "billing_address", "vat_number", "key_id", "created_month"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("company", "analytical  ENGINES"),
        ("contact_name", "ada lovelace"),
        ("billing_address", "12 st james's square London"),
        ("vat_number", "gb123456782"),
        ("key_id", "key2"),
        ("created_month", "2026-03"),
    ],
)
def test_a_fact_fits_as_people_write_it(name: str, value: str) -> None:
    assert matched({name: value}, {b"mail"}, [ADA]) == 1


def test_facts_of_two_persons_do_not_add_up() -> None:
    stated = {"contact_name": "Ada Lovelace", "company": "Analytical Engines"}
    assert matched(stated, {b"account"}, [ADA, BOB]) == 2
    assert matched({**stated, "contact_name": "Bob"}, {b"mail"}, [ADA, BOB]) == 1, "Bob is not who was named"


def test_who_does_not_bear_all_the_names_is_somebody_else() -> None:
    assert matched({"company": "Analytical Engines"}, {b"mail", b"bobmail"}, [ADA, BOB]) == 0


@given(st.dictionaries(st.sampled_from([*POINTS, "shoe_size"]), st.text(max_size=3)))
def test_what_is_not_on_file_never_fits(stated: dict[str, str]) -> None:
    nothing = replace(ADA, contact_name="", company="", billing_address="", vat_number="", key_ids=())
    assert matched(stated, {b"mail"}, [nothing]) == 0
    assert matched(stated, {b"mail"}, []) == 0
