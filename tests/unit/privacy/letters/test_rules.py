"""Every letter in every language for everything that can have happened, and which letters are owed when."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import aiosmtplib.email
import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_kit.mail import mail_address
from igstats_privacy.letters.relay import message
from igstats_privacy.letters.rendering import LANGUAGES, day, language_of, render
from igstats_privacy.letters.rules import Letter, is_over, owed
from igstats_privacy.lifecycle import FINAL
from igstats_privacy.model import Regime, Request, Right, State, Wait
from igstats_privacy.status.words import GROUNDS

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
REQUEST = Request("req_1", "7K2Q-M4TD", Right.ERASURE, State.RECEIVED, b"", "web", "", NOW, NOW, None, None, False, "")
VALUES = {
    "reference": "7K2Q-M4TD",
    "right": "ERASURE",
    "state": "FULFILLED",
    "regime": "GDPR",
    "received": "1 March 2027",
    "due": "1 April 2027",
    "reason": "<b>too much</b>",
    "ground": "MANIFESTLY_UNFOUNDED",
    "proved": False,
    "effective": "",
    "wait_until": "",
    "link": "https://stats.example/privacy/requests/abc?x=1&y=2",
    "package": "https://stats.example/privacy/packages/0a",
    "until": "8 March 2027",
    "code": "1234 5678",
    "minutes": "15",
    "kept": False,
    "grounds": [],
    "resumed": False,
    "checked": False,
}


@pytest.mark.parametrize(("letter", "language"), list(itertools.product(Letter, LANGUAGES)))
def test_every_letter_exists_in_every_language_for_every_right_and_end(letter: Letter, language: str) -> None:
    for right, state, regime, proved in itertools.product(Right, FINAL, Regime, (False, True)):
        said = VALUES | {"right": right.value, "state": state.value, "regime": regime.value, "proved": proved}
        rendered = render(letter, language, said)
        assert "7K2Q-M4TD" in rendered.subject
        assert "\n" not in rendered.subject
        assert "{" not in rendered.text
        assert len(rendered.text.split("\n\n")) > 1
        assert "()" not in rendered.text, "the right has no words"


def test_the_html_form_says_the_same_with_its_addresses_as_links_and_nothing_unescaped() -> None:
    rendered = render(Letter.REFUSAL, "en", VALUES)
    assert "&lt;b&gt;too much&lt;/b&gt;" in rendered.html
    assert 'href="https://stats.example/privacy/requests/abc?x=1&amp;y=2"' in rendered.html
    assert rendered.html.count("<p>") == rendered.text.count("\n\n") + 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_letter_of_a_package_says_where_it_is_or_that_there_is_no_link(language: str) -> None:
    with_link = render(Letter.PACKAGE, language, VALUES)
    assert "https://stats.example/privacy/packages/0a" in with_link.text
    assert "8 March 2027" in with_link.text
    without = render(Letter.PACKAGE, language, VALUES | {"package": "", "until": ""})
    assert "/privacy/packages/" not in without.text
    assert without.subject != with_link.subject


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_ground_on_which_something_can_stay_has_words_of_its_own(language: str) -> None:
    grounds = sorted(GROUNDS)
    told = {
        one: render(Letter.RESULT, language, VALUES | {"state": "FULFILLED_IN_PART", "grounds": [one]}).text
        for one in (*grounds, "a ground that nobody knows")
    }
    assert len(set(told.values())) == len(told)
    assert not any(one in text for one, text in told.items()), "plain words, never the name"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_hold_has_kept_is_promised_a_letter_and_gets_one_of_its_own(language: str) -> None:
    kept = VALUES | {"state": "FULFILLED_IN_PART", "kept": True}
    assert len(render(Letter.RESULT, language, kept).text) > len(
        render(Letter.RESULT, language, kept | {"kept": False}).text
    )
    done, last = (render(Letter.RESULT, language, VALUES | {"resumed": resumed}) for resumed in (False, True))
    assert done.subject != last.subject
    assert done.text != last.text


@pytest.mark.parametrize(
    ("wanted", "given"), [("de-AT", "de"), ("es_MX", "es"), ("EN-us", "en"), ("fr", "en"), ("", "en")]
)
def test_the_nearest_language_of_ours_is_taken(wanted: str, given: str) -> None:
    assert language_of(wanted) == given


def test_dates_are_written_as_people_write_them() -> None:
    assert [day(NOW, language) for language in LANGUAGES] == ["March 1, 2027", "1. März 2027", "1 de marzo de 2027"]
    assert day(None, "en") == ""


def test_a_letter_is_owed_until_it_is_written_and_once() -> None:
    assert owed(REQUEST, ()) == [Letter.RECEIPT]
    assert owed(REQUEST, ["receipt"]) == []
    extended = replace(REQUEST, extended_at=NOW)
    assert owed(extended, ["receipt"]) == [Letter.EXTENSION]


def test_nobody_is_sent_a_receipt_for_what_they_did_not_open() -> None:
    assert owed(replace(REQUEST, parent_id="req_0"), ()) == []


@pytest.mark.parametrize(
    ("right", "state", "last"),
    [
        (Right.ERASURE, State.FULFILLED, Letter.RESULT),
        (Right.ACCESS, State.FULFILLED, Letter.PACKAGE),
        (Right.PORTABILITY, State.FULFILLED_IN_PART, Letter.PACKAGE),
        (Right.ACCESS, State.EXPIRED, Letter.RESULT),
        (Right.ACCESS, State.DENIED, Letter.REFUSAL),
    ],
)
def test_every_end_has_its_letter(right: Right, state: State, last: Letter) -> None:
    ended = replace(REQUEST, right=right, state=state)
    assert owed(ended, ["receipt"]) == [last]
    assert is_over(ended, held=False)
    assert not is_over(ended, held=True), "the end of what a hold keeps back is still to be told"


def test_a_person_hears_that_a_restriction_is_about_to_be_lifted_before_it_is() -> None:
    lifting = replace(REQUEST, right=Right.LIFTING)
    assert owed(lifting, ()) == [Letter.RECEIPT], "nobody knows yet from when on"
    assert owed(replace(lifting, state=State.TRIAGE, wait=Wait.WINDOW), ["receipt"]) == [Letter.LIFTING]
    assert owed(replace(lifting, state=State.EXECUTING), ["receipt"]) == [Letter.LIFTING]
    assert owed(replace(lifting, state=State.FULFILLED), ("receipt", "lifting")) == [Letter.RESULT]


def test_a_repeat_of_a_letter_has_the_same_message_id_and_no_robot_answers_it() -> None:
    rendered = render(Letter.CODE, "de", VALUES)
    first, again = (message("igstats <privacy@stats.example>", "mal_1", "a@b.example", rendered, NOW) for _ in "12")
    assert first["Message-ID"] == again["Message-ID"] == "<mal_1@stats.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in first.iter_parts()] == ["text/plain", "text/html"]


@given(st.text(alphabet="ab!'=?.é\u200d", min_size=1, max_size=12), st.sampled_from(["b.example", "müller.example"]))
def test_a_letter_has_one_recipient_whatever_the_address_is_made_of(local: str, domain: str) -> None:
    address = mail_address(f"{local}@{domain}")
    if address is None:
        return
    made = message("igstats <privacy@stats.example>", "mal_1", address, render(Letter.CODE, "en", VALUES), NOW)
    assert [one.addr_spec for one in made["To"].addresses] == [address]
    assert aiosmtplib.email.extract_recipients(made) == [address]
