"""The form of policy section 11, without a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.declarations import DECLARATIONS as GATEWAY
from igstats_gateway.doors import language, words
from igstats_gateway.doors.entry import CORRECTIONS, Entry
from igstats_gateway.doors.model import Correction, Identifier, Kind, Regime, Right
from igstats_stats.tables import DECLARATIONS as STATS

ENGLISH = language.of("en")
KEY = {"key": "k" * 32}
GOOD = {**KEY, "right": "ERASURE", "email": "ann@example.com"}


def fields(values: dict[str, str]) -> list[str]:
    return [one.field for one in Entry(values).mistakes(ENGLISH)]


def test_a_good_entry_becomes_a_wish() -> None:
    entry = Entry(GOOD | {"username": "@ann.demo", "instagram_user_id": "17841400", "regime": "CCPA", "language": "es"})
    assert entry.mistakes(ENGLISH) == ()
    wish = entry.wish()
    assert (wish.door, wish.right, wish.regime, wish.language) == ("web", Right.ERASURE, Regime.CCPA, "es")
    assert set(wish.identifiers) == {
        Identifier(Kind.EMAIL, "ann@example.com"),
        Identifier(Kind.USERNAME, "ann.demo"),
        Identifier(Kind.INSTAGRAM_USER_ID, "17841400"),
    }
    assert wish.reply_address == "ann@example.com"
    assert wish.identity_proof == "", "what is typed proves nothing"


def test_answers_go_where_the_person_says() -> None:
    assert Entry(GOOD | {"reply": "elsewhere@example.com"}).wish().reply_address == "elsewhere@example.com"
    assert Entry({**KEY, "right": "ACCESS", "username": "ann"}).wish().reply_address == ""


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"right": ""}, "right"),
        ({"right": "PREVIEW"}, "right"),
        ({"email": ""}, "email"),
        ({"email": "ann"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": "b@[.x"}, "email"),
        ({"reply": ":@;.x"}, "reply"),
        ({"email": "a" * 250 + "@example.com"}, "email"),
        ({"username": "ann demo"}, "username"),
        ({"instagram_user_id": "ann"}, "instagram_user_id"),
        ({"account_id": "acc_1"}, "account_id"),
        ({"reply": "nowhere"}, "reply"),
        ({"language": "fr"}, "language"),
        ({"regime": "LGPD"}, "regime"),
        ({"right": "CORRECTION"}, "field_1"),
        ({"right": "CORRECTION", "value_2": "Ann"}, "field_2"),
        ({"right": "CORRECTION", "field_1": "accounts.account_id", "value_1": "x"}, "field_1"),
        ({"right": "CORRECTION", "field_1": "contacts.name", "value_1": "x" * 2001}, "value_1"),
        ({"key": ""}, ""),
        ({"key": "short"}, ""),
    ],
)
def test_each_mistake_is_named_at_its_field(changed: dict[str, str], field: str) -> None:
    assert field in fields(GOOD | changed)


def test_corrections_go_with_the_right_to_correct_only() -> None:
    wrong = {"field_1": "contacts.name", "value_1": "Ann", "field_3": "profiles.website", "value_3": ""}
    assert Entry(GOOD | wrong | {"right": "CORRECTION"}).wish().corrections == (
        Correction("contacts.name", "Ann"),
        Correction("profiles.website", ""),
    )
    assert Entry(GOOD | wrong).wish().corrections == ()


def test_sent_again_it_is_the_same_request_and_changed_another() -> None:
    assert Entry(GOOD).wish() == Entry(dict(reversed(GOOD.items()))).wish()
    keys = {Entry(GOOD | change).wish().idempotency_key for change in ({}, {"email": "a@b.example"}, {"key": "x" * 32})}
    assert len(keys) == 3


def test_the_form_names_exactly_the_fields_that_are_declared_as_correctable() -> None:
    declared = {
        f"{table.name}.{column.name}"
        for declarations in (GATEWAY, STATS)
        for table in declarations.tables.values()
        for column in table.columns
        if column.info["data"].correctable
    }
    assert set(CORRECTIONS) == declared


def test_every_right_of_a_door_is_on_the_form_and_has_its_words() -> None:
    assert sorted(words.RIGHTS) == sorted(Right), "each once"


NAMES = (*GOOD, "username", "reply", "field_1", "value_1", "regime", "language")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=20), max_size=4))
def test_whatever_is_typed_is_answered_and_what_is_right_becomes_a_wish(values: dict[str, str]) -> None:
    entry = Entry(GOOD | values)
    if not entry.mistakes(ENGLISH):
        wish = entry.wish()
        assert wish.identifiers
        assert 8 <= len(wish.idempotency_key) <= 200
