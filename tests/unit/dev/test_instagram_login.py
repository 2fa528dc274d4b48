import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from igstats_dev.instagram.oauth import CODE_LIFE, TOKEN_LIFE, App
from igstats_dev.instagram.people import People, Person
from igstats_dev.instagram.server import Emulator
from igstats_kit.testing.clock import FakeClock
from yarl import URL

NOW = datetime(2026, 11, 4, 18, 30, tzinfo=UTC)
BACK = "https://igstats.example/privacy/login"
ASKED = {
    "client_id": "4711",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "instagram_business_basic",
    "state": "st&te",
}


class Browser:
    """A person at the emulator's consent page, and the app behind it."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator, clock: FakeClock) -> None:
        self.session = session
        self.emulator = emulator
        self.clock = clock

    async def choose(self, username: str, **changes: str) -> URL:
        form = ASKED | {"username": username} | changes
        url = f"{self.emulator.url}/oauth/authorize"
        async with self.session.post(url, data=form, allow_redirects=False) as response:
            assert response.status == 302
            return URL(response.headers["Location"])

    async def exchange(self, code: str, **changes: str) -> tuple[int, Any]:
        form = {"client_id": "4711", "client_secret": "hush", "grant_type": "authorization_code"}
        form |= {"redirect_uri": BACK, "code": code} | changes
        async with self.session.post(f"{self.emulator.url}/oauth/access_token", data=form) as response:
            return response.status, await response.json()

    async def me(self, token: str) -> tuple[int, Any]:
        query = {"fields": "id,user_id,username", "access_token": token}
        async with self.session.get(f"{self.emulator.url}/v25.0/me", params=query) as response:
            return response.status, await response.json()

    async def fault(self, **settings: object) -> None:
        async with self.session.post(f"{self.emulator.url}/_faults", json=settings) as response:
            assert response.status == 201


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    clock = FakeClock(NOW)
    emulator = Emulator(People(3, seed=3), clock, [App.parse("4711:hush")])
    async with emulator.listening(), aiohttp.ClientSession() as session:
        yield Browser(session, emulator, clock)


@pytest.fixture
def person(browser: Browser) -> Person:
    return browser.emulator.people.all[1]


async def test_a_person_signs_in_and_the_token_opens_that_profile(browser: Browser, person: Person) -> None:
    back = await browser.choose(person.username)
    assert (str(back.with_query(None)), back.query["state"], back.fragment) == (f"{BACK}#_", "st&te", "_")
    status, given = await browser.exchange(back.query["code"])
    assert (status, given["user_id"]) == (200, int(person.scoped_id))
    assert await browser.me(given["access_token"]) == (
        200,
        {"id": person.scoped_id, "user_id": person.user_id, "username": person.username},
    )


async def test_a_person_who_declines_is_sent_back_without_a_code(browser: Browser) -> None:
    back = await browser.choose("")
    assert (back.query["error"], back.query["state"]) == ("access_denied", "st&te")
    assert "code" not in back.query


async def test_the_page_offers_every_profile_and_keeps_what_the_app_asked(browser: Browser) -> None:
    async with browser.session.get(f"{browser.emulator.url}/oauth/authorize", params=ASKED) as response:
        page = await response.text()
    assert {*re.findall(r'name="username" value="(\w+)"', page)} == {
        one.username for one in browser.emulator.people.all
    }
    assert 'name="state" value="st&amp;te"' in page


@pytest.mark.parametrize(
    "wrong",
    [{"client_id": "1"}, {"response_type": "token"}, {"scope": "everything"}, {"redirect_uri": "javascript:alert(1)"}],
)
async def test_a_wish_that_is_not_valid_gets_no_page(browser: Browser, wrong: dict[str, str]) -> None:
    for call in (browser.session.get, browser.session.post):
        sent = {"params" if call == browser.session.get else "data": ASKED | wrong}
        async with call(f"{browser.emulator.url}/oauth/authorize", **sent) as response:  # type: ignore[arg-type]  # data or params
            assert (response.status, (await response.json())["error_type"]) == (400, "OAuthException")


async def test_a_code_works_once(browser: Browser, person: Person) -> None:
    code = (await browser.choose(person.username)).query["code"]
    assert (await browser.exchange(code))[0] == 200
    assert await browser.exchange(code) == (
        400,
        {"error_type": "OAuthException", "code": 400, "error_message": "Invalid authorization code"},
    )


@pytest.mark.parametrize(
    "wrong", [{"client_secret": "guess"}, {"client_id": "1"}, {"redirect_uri": "https://x"}, {"grant_type": "password"}]
)
async def test_a_code_needs_the_app_that_asked_for_it(browser: Browser, person: Person, wrong: dict[str, str]) -> None:
    code = (await browser.choose(person.username)).query["code"]
    assert (await browser.exchange(code, **wrong))[0] == 400


async def test_codes_and_tokens_end(browser: Browser, person: Person) -> None:
    code = (await browser.choose(person.username)).query["code"]
    browser.clock.advance(CODE_LIFE)
    assert (await browser.exchange(code))[0] == 400
    _, given = await browser.exchange((await browser.choose(person.username)).query["code"])
    browser.clock.advance(TOKEN_LIFE - timedelta(seconds=1))
    assert (await browser.me(given["access_token"]))[0] == 200
    browser.clock.advance(timedelta(seconds=1))
    assert (await browser.me(given["access_token"]))[0] == 400


async def test_bad_days_of_the_exchange_come_on_command(browser: Browser, person: Person) -> None:
    await browser.fault(kind="wrapped", path="/oauth/access_token", times=1)
    _, given = await browser.exchange((await browser.choose(person.username)).query["code"])
    assert given["data"][0]["user_id"] == int(person.scoped_id)
    await browser.fault(kind="bad_code", path="/oauth/access_token", times=1)
    assert (await browser.exchange((await browser.choose(person.username)).query["code"]))[0] == 400
    await browser.fault(kind="server_error", path="/oauth/access_token", times=1)
    form = {"client_id": "4711"}
    async with browser.session.post(f"{browser.emulator.url}/oauth/access_token", data=form) as response:
        assert response.status == 500


def test_an_app_without_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="id:secret"):
        App.parse("4711")
