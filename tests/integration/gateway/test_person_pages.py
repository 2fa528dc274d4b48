"""The public pages at a running gateway, as a browser without JavaScript uses them."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from igstats.holder.v1.identifier_pb2 import IdentifierKind
from igstats.holder.v1.task_pb2 import Right
from igstats.privacy.v1.request_pb2 import RequestState
from igstats.privacy.v1.status_service_pb2 import Justification
from igstats_gateway.model import Contact

NAMED = {"right": "ERASURE", "email": "ann@example.com", "username": "@Ann.Demo", "regime": "CCPA", "language": "de"}


async def blank(gateway: Any) -> dict[str, str]:
    """The hidden fields of a fresh form."""
    text = (await gateway.ask("GET", "/privacy")).text
    found = re.search(r'name="key" value="([^"]+)"', text)
    assert found is not None
    return {"key": found[1]}


async def send(gateway: Any, fields: dict[str, str], **headers: str) -> Any:
    return await gateway.ask("POST", "/privacy", data=fields, headers=headers, allow_redirects=False)


async def opened(gateway: Any, **changed: str) -> str:
    """A fresh request; its status page."""
    answer = await send(gateway, await blank(gateway) | NAMED | changed)
    assert answer.status == 303, answer.text
    return str(answer.headers["location"]).partition("?")[0]


async def test_a_form_opens_a_request_and_leads_to_its_page(gateway: Any) -> None:
    where = await opened(gateway)
    (sent,) = gateway.others.doorkeeper.openings
    assert {(IdentifierKind.Name(one.kind)[16:], one.value) for one in sent.identifiers} == {
        ("EMAIL", "ann@example.com"),
        ("USERNAME", "Ann.Demo"),
    }
    assert (sent.door, sent.right, sent.reply_address, sent.language) == (
        "web",
        Right.RIGHT_ERASURE,
        "ann@example.com",
        "de",
    )
    assert sent.identity_proof == ""
    page = await gateway.ask("GET", where)
    text = page.text
    assert page.status == 200
    assert "7K2Q-M4TD" in text
    assert "31 July 2026" in text
    assert "ann" not in text.lower().replace("cannot", "")


async def test_the_same_form_sent_twice_is_one_request_and_a_changed_one_another(gateway: Any) -> None:
    fields = await blank(gateway) | NAMED
    first, again = [(await send(gateway, fields)).headers["location"] for _ in range(2)]
    changed = (await send(gateway, fields | {"right": "ACCESS"})).headers["location"]
    assert first == again != changed


async def test_a_mistake_is_named_at_its_field_and_nothing_that_was_typed_is_lost(gateway: Any) -> None:
    fields = await blank(gateway) | NAMED | {"email": "ann@", "right": "CORRECTION", "value_2": 'a "quoted" <b>value'}
    answer = await send(gateway, fields)
    text = answer.text
    assert answer.status == 400
    assert "<title>Error: " in text
    assert '<a href="#email">Enter an e-mail address like name@example.com</a>' in text
    assert 'value="ann@"' in text
    assert "a &#34;quoted&#34; &lt;b&gt;value" in text
    assert '<option value="CCPA" selected>' in text
    assert f'value="{fields["key"]}"' in text
    assert gateway.others.doorkeeper.openings == []


async def test_while_privacy_is_down_the_form_comes_back_as_it_was(gateway: Any) -> None:
    gateway.others.doorkeeper.down = True
    answer = await send(gateway, await blank(gateway) | NAMED)
    text = answer.text
    assert answer.status == 503
    assert 'value="ann@example.com"' in text
    assert 'value="ERASURE" checked' in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_form_of_a_foreign_page_is_refused(gateway: Any, headers: dict[str, str]) -> None:
    answer = await send(gateway, await blank(gateway) | NAMED, **headers)
    assert answer.status == 400
    assert gateway.others.doorkeeper.openings == []


async def test_our_own_form_is_taken_whichever_way_the_browser_says_so(gateway: Any) -> None:
    own = f"https://{gateway.config.public_http_listen}"
    for headers in ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Origin": own}):
        assert (await send(gateway, await blank(gateway) | NAMED, **headers)).status == 303


async def test_pages_let_nothing_in_and_set_no_cookie(gateway: Any) -> None:
    where = await opened(gateway)
    for path in ("/privacy", "/privacy/categories", where, f"{where}/withdraw", "/privacy/requests/unknown"):
        answer = await gateway.ask("GET", path)
        text = answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
        assert "set-cookie" not in answer.headers
        assert not re.search(r"<script|style=|src=|@import|onclick", text)
        assert not re.findall(r'<link rel="stylesheet" href="(?!/privacy/style.css)', text)


async def test_every_field_has_a_label(gateway: Any) -> None:
    where = await opened(gateway)
    for path in ("/privacy", f"{where}/mail-code", f"{where}/points", f"{where}/account"):
        text = (await gateway.ask("GET", path)).text
        ids = re.findall(r'<(?:input|select)[^>]*? id="([^"]+)"', text)
        assert ids
        assert [one for one in ids if f'<label for="{one}">' not in text] == []
        assert len(re.findall("<h1>", text)) == 1


@pytest.mark.parametrize(
    ("wanted", "language", "words"),
    [
        ("de-AT,de;q=0.9", "de", "Ihre Datenschutzrechte"),
        ("es", "es", "Sus derechos"),
        ("fr", "en", "Your privacy rights"),
    ],
)
async def test_pages_speak_the_language_that_the_browser_wants(
    gateway: Any, wanted: str, language: str, words: str
) -> None:
    headers = {"Accept-Language": wanted}
    answer = await gateway.ask("GET", "/privacy", headers=headers)
    assert (answer.headers["content-language"], words in answer.text) == (language, True)
    assert answer.headers["vary"] == "Sec-GPC, Accept-Language"
    assert f'<html lang="{language}">' in answer.text
    assert f'<option value="{language}" selected>' in answer.text
    wrong = await send(gateway, await blank(gateway) | NAMED | {"email": "ann@"}, **headers)
    assert (wrong.status, wrong.headers["content-language"]) == (400, language)
    unknown = await gateway.ask("GET", f"/privacy/requests/{'0' * 52}", headers=headers)
    assert (unknown.status, unknown.headers["content-language"]) == (404, language)


async def test_an_unknown_code_is_a_readable_page(gateway: Any) -> None:
    answer = await gateway.ask("GET", f"/privacy/requests/{'0' * 52}")
    text = answer.text
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "STATUS_CODE_UNKNOWN" in text
    assert answer.headers["request-id"] in text


async def test_a_request_is_taken_back_after_a_second_thought(gateway: Any) -> None:
    where = await opened(gateway)
    assert "Take the request back?" in (await gateway.ask("GET", f"{where}/withdraw")).text
    text = (await gateway.ask("POST", f"{where}/withdraw")).text
    assert "Taken back" in text
    assert "/withdraw" not in text


async def test_what_cannot_be_taken_back_says_so(gateway: Any) -> None:
    where = await opened(gateway)
    gateway.others.doorkeeper.requests[where.rpartition("/")[2]].state = RequestState.REQUEST_STATE_EXECUTING
    answer = await gateway.ask("POST", f"{where}/withdraw")
    assert answer.status == 409
    assert "TRANSITION_NOT_ALLOWED" in answer.text


async def test_a_page_names_what_stays_and_why_and_gives_the_evidence(gateway: Any) -> None:
    where = await opened(gateway)
    request = gateway.others.doorkeeper.requests[where.rpartition("/")[2]]
    assert (await gateway.ask("GET", f"{where}/evidence")).status == 409
    request.state = RequestState.REQUEST_STATE_FULFILLED_IN_PART
    request.closed_time.FromDatetime(gateway.others.doorkeeper.received_at)
    gateway.others.doorkeeper.justifications.append(
        Justification(about="invoices (gateway)", ground="legal_obligation", explanation="The law obliges us.")
    )
    text = (await gateway.ask("GET", where)).text
    assert "invoices (gateway)" in text
    assert "It stays because the law obliges us to keep it (GDPR article 17(3)(b))." in text
    evidence = await gateway.ask("GET", f"{where}/evidence")
    assert (evidence.status, evidence.headers["content-type"]) == (200, "application/zip")
    assert evidence.headers["content-disposition"] == 'attachment; filename="evidence-7K2Q-M4TD.zip"'
    assert (evidence.body).startswith(b"PK")


async def test_a_mail_code_is_sent_and_checked(gateway: Any) -> None:
    gateway.others.doorkeeper.proof_methods += ["mail_code", "points", "login", "account", "officer"]
    where = await opened(gateway)
    assert ((await gateway.ask("GET", where)).text).count("button plain") >= 3
    page = await gateway.ask("POST", f"{where}/mail-code")
    assert "Type the code" in page.text
    assert len(gateway.others.doorkeeper.asked) == 1
    wrong = await gateway.ask("POST", f"{where}/mail-code/check", data={"code": "999999"})
    text = wrong.text
    assert wrong.status == 400
    assert "Tries left: 2." in text
    assert 'value="999999"' in text
    odd = await gateway.ask("POST", f"{where}/mail-code/check", data={"code": "abc"})
    assert odd.status == 400
    right = await gateway.ask("POST", f"{where}/mail-code/check", data={"code": "123456"}, allow_redirects=False)
    assert (right.status, right.headers["location"]) == (303, where)


async def test_stated_facts_are_compared_and_the_page_never_says_which_fitted(gateway: Any) -> None:
    where = await opened(gateway)
    none = await gateway.ask("POST", f"{where}/points", data={"declared": "yes"})
    assert none.status == 400
    stated = {"company": "Ann's", "vat_number": "", "declared": "yes", "other": "x"}
    answer = await gateway.ask("POST", f"{where}/points", data=stated, allow_redirects=False)
    assert (answer.status, answer.headers["location"]) == (303, where)
    (asked,) = gateway.others.doorkeeper.asked
    assert ([(one.name, one.value) for one in asked.points], asked.declared) == ([("company", "Ann's")], True)


async def test_a_key_proves_its_account_and_is_never_shown_again(gateway: Any) -> None:
    where = await opened(gateway)
    key = gateway.account.key
    wrong = await gateway.ask(
        "POST", f"{where}/account", data={"api_key": key[:-1] + ("y" if key.endswith("x") else "x")}
    )
    assert wrong.status in (400, 401)
    assert key[:-1] not in wrong.text
    answer = await gateway.ask("POST", f"{where}/account", data={"api_key": key}, allow_redirects=False)
    assert (answer.status, answer.headers["location"]) == (303, where)
    assert gateway.others.doorkeeper.accounts == [gateway.account.account_id]


async def test_a_key_that_may_not_open_a_request_proves_nothing(gateway: Any) -> None:
    where = await opened(gateway)
    scopes = ("stats:read", "privacy:read")
    reader = await gateway.registration.create("Eve's", Contact("", "eve@example.com", "Eve"), scopes)
    answer = await gateway.ask("POST", f"{where}/account", data={"api_key": reader.key}, allow_redirects=False)
    assert answer.status == 403
    assert "lacks the scope" in answer.text
    assert reader.key not in answer.text
    assert gateway.others.doorkeeper.accounts == []


async def leaving(gateway: Any, where: str) -> tuple[dict[str, str], str]:
    """Begins a sign-in: what the browser sends from now on when it comes back, and the page that leads away."""
    page = await gateway.ask("POST", f"{where}/login")
    return {"Cookie": page.headers["set-cookie"].partition(";")[0]}, page.text


async def test_a_sign_in_counts_only_in_the_browser_that_began_it_and_another_does_not_use_it_up(gateway: Any) -> None:
    attackers, other = await opened(gateway), await opened(gateway)
    mine, _ = await leaving(gateway, attackers)
    back = {"state": attackers.rpartition("/")[2], "code": "AQ1"}
    theirs, _ = await leaving(gateway, other)
    for headers in ({}, theirs, {"Cookie": "__Secure-igstats-login="}):
        answer = await gateway.ask("GET", "/privacy/login", params=back, headers=headers, allow_redirects=False)
        assert (answer.status, "was not begun in this browser" in answer.text) == (409, True)
    assert gateway.others.doorkeeper.asked == [], "nothing was proved"
    answer = await gateway.ask("GET", "/privacy/login", params=back, headers=mine, allow_redirects=False)
    assert (answer.status, answer.headers["location"]) == (303, attackers)


async def test_a_person_signs_in_with_instagram_and_comes_back(gateway: Any) -> None:
    where = await opened(gateway)
    code = where.rpartition("/")[2]
    browser, leave = await leaving(gateway, where)
    assert f'href="https://instagram.test/?a=1&amp;state={code}" rel="noreferrer"' in leave
    back = {"state": code, "code": "AQ1"}
    ahead = await gateway.ask("HEAD", "/privacy/login", params=back)
    assert (ahead.status, gateway.others.doorkeeper.asked) == (409, [])
    answer = await gateway.ask("GET", "/privacy/login", params=back, headers=browser, allow_redirects=False)
    assert (answer.status, answer.headers["location"]) == (303, where)
    assert 'igstats-login="";' in answer.headers["set-cookie"]
    again = await gateway.ask("GET", "/privacy/login", params=back, headers=browser)
    assert again.status == 409
    declined = await gateway.ask("GET", "/privacy/login", params={"error": "access_denied", "state": code})
    assert (declined.status, "LOGIN_STATE_INVALID" in declined.text) == (409, True)


async def test_what_we_hold_is_the_same_page_for_everybody(gateway: Any) -> None:
    text = (await gateway.ask("GET", "/privacy/categories")).text
    assert "<h2>Identifiers</h2>" in text
    assert "user.contact.email" in text


async def done(gateway: Any, right: str) -> str:
    """A request that has ended well; its status page."""
    where = await opened(gateway, right=right)
    request = gateway.others.doorkeeper.requests[where.rpartition("/")[2]]
    request.state = RequestState.REQUEST_STATE_FULFILLED
    request.closed_time.FromDatetime(gateway.others.doorkeeper.received_at)
    return where


@pytest.mark.parametrize(("right", "told"), [("ACCESS", True), ("PORTABILITY", True), ("ERASURE", False)])
async def test_the_page_of_a_request_that_has_brought_a_package_says_how_it_is_fetched(
    gateway: Any, right: str, *, told: bool
) -> None:
    text = (await gateway.ask("GET", await done(gateway, right))).text
    assert ("our letter to that address has a link" in text) is told


async def test_who_can_sign_in_for_the_package_is_led_to_its_link_and_needs_no_letter(gateway: Any) -> None:
    doors = gateway.others.doorkeeper
    doors.package_methods, doors.letters, doors.link_secret = ["login"], False, "ab12"
    where = await done(gateway, "ACCESS")
    text = (await gateway.ask("GET", where)).text
    assert f'<form method="post" action="{where}/login">' in text
    code = where.rpartition("/")[2]
    browser, _ = await leaving(gateway, where)
    path = f"/privacy/login?state={code}&code=good"
    elsewhere = await gateway.ask("GET", path, allow_redirects=False)
    assert (elsewhere.status, "ab12" in elsewhere.text) == (409, False)
    back = await gateway.ask("GET", path, headers=browser, allow_redirects=False)
    assert (back.status, back.headers["location"]) == (303, f"/privacy/packages/{code}.ab12")


async def test_where_no_letter_leaves_no_page_promises_one(gateway: Any) -> None:
    gateway.others.doorkeeper.letters = False
    where = await done(gateway, "ACCESS")
    assert "letter" not in (await gateway.ask("GET", where)).text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("Extended on", "1 July 2026, until 1 October 2026.", "Why it takes longer")),
        ("de", ("Verlängert am", "1. Juli 2026, bis zum 1. Oktober 2026.", "Warum es länger dauert")),
        ("es", ("Prorrogada el", "1 de julio de 2026, hasta el 1 de octubre de 2026.", "Por qué tarda más")),
    ],
)
async def test_who_gets_no_letters_reads_until_when_the_time_was_extended_and_why(
    gateway: Any, language: str, said: tuple[str, ...]
) -> None:
    gateway.others.doorkeeper.letters = False
    where = await opened(gateway, right="ACCESS")
    extended = gateway.others.doorkeeper.requests[where.rpartition("/")[2]]
    before = (await gateway.ask("GET", where, headers={"Accept-Language": language})).text
    assert said[0] not in before
    assert said[2] not in before
    extended.extended_time.FromDatetime(gateway.others.doorkeeper.received_at)
    extended.due_time.FromDatetime(datetime(2026, 10, 1, tzinfo=UTC))
    extended.extension_reasons = "Your data is spread over <many> profiles."
    text = (await gateway.ask("GET", where, headers={"Accept-Language": language})).text
    for words in (*said, "Your data is spread over &lt;many&gt; profiles."):
        assert words in text


async def test_following_the_link_of_a_letter_uses_nothing_up_and_the_button_gives_the_package_once(
    gateway: Any,
) -> None:
    gateway.others.doorkeeper.links.append("ab.12")
    for _ in range(2):
        page = await gateway.ask("GET", "/privacy/packages/ab.12")
        assert (page.status, page.headers["cache-control"]) == (200, "no-store")
        assert '<form method="post" action="/privacy/packages/ab.12">' in page.text
    foreign = await gateway.ask("POST", "/privacy/packages/ab.12", headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status == 400
    fetched = await gateway.ask("POST", "/privacy/packages/ab.12")
    assert (fetched.status, fetched.headers["content-type"], fetched.body) == (200, "application/zip", b"PKdata")
    assert fetched.headers["content-disposition"] == 'attachment; filename="your-data.zip"'
    assert fetched.headers["cache-control"] == "no-store"
    again = await gateway.ask("POST", "/privacy/packages/ab.12")
    assert (again.status, again.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "PACKAGE_LINK_INVALID" in again.text
    assert 'href="/privacy"' in again.text
    for broken in ("ab", "ab.", ".12"):
        assert "PACKAGE_LINK_INVALID" in (await gateway.ask("POST", f"/privacy/packages/{broken}")).text


async def test_the_page_of_a_link_looks_the_same_whatever_the_link_is_and_lets_nothing_in(gateway: Any) -> None:
    gateway.others.doorkeeper.links.append("ab.12")
    real, wrong = [(await gateway.ask("GET", f"/privacy/packages/{link}")).text for link in ("ab.12", "cd.34")]
    assert real == wrong.replace("cd.34", "ab.12")
    odd = await gateway.ask("GET", "/privacy/packages/%22%3E%3Cscript%3E")
    assert "<script" not in odd.text
