"""Every page in every language: the same keys, the same places, every state, and nothing that is not escaped."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors import entry, language, words
from igstats_gateway.doors.entry import Entry, Mistake
from igstats_gateway.doors.model import Category, Disclosure, Justification, Opened, Right, State, Status
from igstats_gateway.doors.proof_pages import POINTS
from igstats_gateway.doors.rendering import Contact, Pages
from igstats_kit.errors import CATALOGUE, DomainError, Reason, Violation

LANGUAGES = [name for name, _ in language.LANGUAGES]
CAME = datetime(2027, 3, 1, tzinfo=UTC)
CONTACT = Contact("Müller & Söhne", "privacy@mueller.example", "1 <Street>", "dpo@mueller.example", "+49 1")
OPENED = Opened("req_1", "7K2Q-M4TD", "ab12", Right.ACCESS, State.RECEIVED, "web", CAME, CAME)
BUSY = replace(
    *(OPENED,),
    overdue=True,
    extended_at=CAME,
    extension_reasons="Your data is spread over <many> profiles.",
    wait_until=CAME,
    closed_at=CAME,
    effective_at=CAME,
    duplicate_of="req_0",
    blocked=True,
)
_PLACE = re.compile(r"\{([a-z_]+)\}")


def rendered(name: str, chosen: str, **values: object) -> str:
    language.hear(chosen)
    answer = Pages(CONTACT).page(name, 200, None, **values)
    assert answer.headers["content-language"] == chosen
    assert "accept-language" in answer.headers["vary"].lower()
    text = bytes(answer.body).decode()
    assert f'<html lang="{chosen}">' in text
    assert "Müller &amp; Söhne" in text
    assert 'href="mailto:dpo@mueller.example"' in text
    assert not re.search(r"\{[a-z_]+\}|&lt;(a|code|strong)", text), "a place was left empty, or a mark was escaped"
    return text


@pytest.mark.parametrize("other", LANGUAGES)
def test_no_language_misses_a_text_or_a_place_in_one(other: str) -> None:
    english, texts = language.of("en").texts, language.of(other).texts
    assert set(english) == set(texts)
    assert {key: set(_PLACE.findall(text)) for key, text in english.items()} == {
        key: set(_PLACE.findall(text)) for key, text in texts.items()
    }
    assert len(texts["months"].split("|")) == 12
    if other != "en":
        same = {key for key in english if english[key] == texts[key]}
        assert same <= {"product", "frame.error", "regime.CCPA", "categories.no"}, "not translated"


def test_there_are_words_for_every_choice_and_errors_are_those_of_the_catalogue() -> None:
    texts = language.of("en").texts
    for key, text in texts.items():
        _, _, rest = key.partition("error.")
        name, _, part = rest.partition(".")
        if name in Reason.__members__:
            assert text == getattr(CATALOGUE[Reason(name)], part)
    assert {key.partition(".")[2] for key in texts if key.startswith("correction.")} == {"nothing", *entry.CORRECTIONS}
    assert {key.partition(".")[2] for key in texts if key.startswith("regime.")} == set(entry.REGIMES)
    assert {key.split(".")[1] for key in texts if key.startswith("right.")} == set(Right)
    assert {key.split(".")[1] for key in texts if key.startswith("state.")} == set(State)
    assert {key.split(".")[1] for key in texts if key.startswith("way.")} == set(words.WAYS)


@pytest.mark.parametrize("chosen", LANGUAGES)
@pytest.mark.parametrize("state", State)
def test_the_status_page_has_words_for_every_state_and_right(state: State, chosen: str) -> None:
    say = language.of(chosen)
    kept = (
        Justification("media (stats)", "legal_claims", "", CAME),
        Justification("x (y)", "unheard of", ""),
        Justification("all", "NO_MATCH", ""),
    )
    for right, (methods, letters) in itertools.product(Right, ((("login",), False), ((), True), ((), False))):
        request = replace(BUSY, right=right, state=state)
        status = Status(request, 1, 4, kept, tuple(words.WAYS), methods, letters)
        text = rendered(
            "status",
            chosen,
            request=request,
            standing=status,
            state=words.state(status, say),
            steps=words.steps(status, say),
            reasons=words.reasoned(status, say),
            methods=words.ways(status),
            withdrawable=True,
            evidence=True,
            packaged=words.packaged(status),
            fresh=True,
            here="/privacy/requests/ab12",
        )
        assert text.count("<h1>") == 1
        assert "7K2Q-M4TD" in text
        until = say("status.extended_until", date=say.day(CAME))
        assert f"<dd>{say.day(CAME)}, {until}.</dd>" in text, "until when"
        assert "<dd>Your data is spread over &lt;many&gt; profiles.</dd>" in text, "why"


@pytest.mark.parametrize("chosen", LANGUAGES)
def test_every_other_page_is_there_in_every_language(chosen: str) -> None:
    here, mistakes = "/privacy/requests/ab12", (Mistake("email", "<b>"), Mistake("", "?"))
    for name in ("mail_code", "points", "account", "withdraw", "package"):
        rendered(name, chosen, here=here, points=POINTS, errors=mistakes)
    rendered("elsewhere", chosen)
    rendered("login", chosen, here=here, url="https://instagram.test/?a=1&b=2")
    category = Category("usage data", ("user.telemetry",), ("you",), ("serve",), (), ("30 days",), sold=False)
    text = rendered("categories", chosen, disclosure=Disclosure((category, replace(category, category="odd")), CAME))
    assert "Odd" in text
    form = {"rights": words.RIGHTS, "regimes": entry.REGIMES, "languages": language.LANGUAGES, "key": "k"}
    text = rendered("form", chosen, corrections=entry.CORRECTIONS, places=entry.PLACES, errors=mistakes, **form)
    assert "1 &lt;Street&gt;" in text
    assert "&lt;b&gt;" in text
    for error in map(DomainError, (Reason.PROOF_CODE_INVALID, Reason.KEY_NOT_FOUND)):
        title, fix = words.failure(error, language.of(chosen))
        shown = {
            "reason": error.reason,
            "call_id": "req_1",
            "back": "/privacy",
            "back_text": "x",
            "typed": [("a", "b")],
        }
        rendered("problem", chosen, title=title, text=fix, **shown)


def test_what_a_service_says_in_english_is_shown_to_those_who_read_english() -> None:
    error = DomainError(Reason.FIELD_INVALID, violations=[Violation("reply_to", "is wrong")])
    assert words.details(error, language.of("en")) == "reply to: is wrong."
    assert words.details(error, language.of("de")) == ""


@pytest.mark.parametrize("chosen", LANGUAGES)
def test_every_mistake_of_the_form_has_words(chosen: str) -> None:
    wrong = {
        "email": "a",
        "username": "a b",
        "instagram_user_id": "x",
        "account_id": "x",
        "reply": "x",
        "language": "x",
    }
    wrong |= {"field_1": "x", "value_2": "x" * 2001, "right": "CORRECTION"}
    assert all(one.text for values in ({}, wrong) for one in Entry(values).mistakes(language.of(chosen)))


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "en"),
        ("*", "en"),
        ("fr-CH, fr;q=0.9", "en"),
        ("fr-CH, fr;q=0.9, de;q=0.7, en;q=0.3", "de"),
        ("en;q=0.2, es-MX", "es"),
        ("DE-at", "de"),
        ("de;q=0, es;q=0.1", "es"),
        ("de;q=x, en", "en"),
        ("es, de", "es"),
    ],
)
def test_the_language_that_a_browser_wants_most_is_taken(accepted: str, chosen: str) -> None:
    assert language.wanted(accepted) == chosen


@given(st.text(max_size=60))
def test_whatever_a_browser_accepts_it_gets_one_of_ours(accepted: str) -> None:
    assert language.wanted(accepted) in LANGUAGES


def test_dates_are_written_as_people_write_them_and_values_are_escaped() -> None:
    assert [language.of(one).day(CAME) for one in LANGUAGES] == ["1 March 2027", "1. März 2027", "1 de marzo de 2027"]
    assert "&lt;i&gt;" in language.of("en")("problem.reason", reason="<i>", call="x")
