import asyncio
import math
import re
import signal
import statistics
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from igstats_dev.instagram import insights, la_days
from igstats_dev.instagram.people import People, Person
from igstats_dev.instagram.server import Emulator
from igstats_kit.testing.clock import FakeClock

NOW = datetime(2026, 11, 4, 18, 30, tzinfo=UTC)  # three days after the clocks went back


class Caller:
    """Calls the emulator as somebody."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator, person: Person) -> None:
        self.session = session
        self.emulator = emulator
        self.person = person

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        query.setdefault("access_token", self.person.access_token)
        async with self.session.get(f"{self.emulator.url}/{path}", params=query) as response:
            return response.status, await response.json()

    async def insights(self, metric: str, **query: str) -> tuple[int, Any]:
        return await self.get(f"v25.0/{self.person.user_id}/insights", metric=metric, **query)

    async def fault(self, **settings: object) -> int:
        async with self.session.post(f"{self.emulator.url}/_faults", json=settings) as response:
            return response.status


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    running = Emulator(People(40, seed=3), FakeClock(NOW))
    async with running.listening():
        yield running


@pytest.fixture
def person(emulator: Emulator) -> Person:
    return next(each for each in emulator.people.all if each.base_followers > 1000)


@pytest.fixture
async def caller(emulator: Emulator, person: Person) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session, emulator, person)


def unix(day: date) -> str:
    return str(int(la_days.midnight(day).timestamp()))


async def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    first, again, other = (People(5, seed=seed).all for seed in (1, 1, 2))
    assert [person.followers(date(2026, 1, 1)) for person in first] == [p.followers(date(2026, 1, 1)) for p in again]
    assert [person.user_id for person in first] != [person.user_id for person in other]


def test_ids_tokens_and_usernames_are_unique() -> None:
    people = People(2000, seed=1).all
    for values in ({p.user_id for p in people}, {p.access_token for p in people}, {p.username for p in people}):
        assert len(values) == 2000


def test_followers_are_spread_like_those_of_real_profiles() -> None:
    logs = [math.log(person.base_followers) for person in People(2000, seed=1).all]
    assert statistics.mean(logs) == pytest.approx(math.log(2500), abs=0.15)
    assert 1.3 < statistics.stdev(logs) < 1.7


async def test_every_profile_says_that_it_is_synthetic(caller: Caller) -> None:
    _, body = await caller.get("me", fields="name,biography,user_id")
    assert "synthetic" in body["name"].lower()
    assert "synthetic" in body["biography"].lower()
    assert body["user_id"] != body["id"]


async def test_only_the_fields_asked_for_are_sent(caller: Caller) -> None:
    assert set((await caller.get("v25.0/me"))[1]) == {"id"}
    status, body = await caller.get("me", fields="id,age")
    assert (status, body["error"]["code"]) == (400, 100)


async def test_a_token_opens_its_own_profile_only(caller: Caller, emulator: Emulator) -> None:
    other = next(each for each in emulator.people.all if each is not caller.person)
    status, body = await caller.get(f"{other.user_id}/media")
    assert (status, body["error"]["code"], body["error"]["error_subcode"]) == (400, 100, 33)
    status, body = await caller.get("me", access_token="IGtest-nobody")
    assert (status, body["error"]["code"]) == (400, 190)


async def test_media_pages_join_without_gap_or_overlap(caller: Caller) -> None:
    ids: list[str] = []
    after: dict[str, str] = {}
    while True:
        _, page = await caller.get(f"{caller.person.user_id}/media", limit="9", fields="id,timestamp", **after)
        ids += [item["id"] for item in page["data"]]
        if "next" not in page["paging"]:
            break
        assert caller.person.access_token in page["paging"]["next"]
        after = {"after": page["paging"]["cursors"]["after"]}
    assert ids == [post.media_id for post in caller.person.posts(NOW)]


async def test_both_forms_of_a_last_page_occur(emulator: Emulator, caller: Caller) -> None:
    forms = set()
    for person in emulator.people.all[:12]:
        _, page = await Caller(caller.session, emulator, person).get("me/media", limit="100")
        forms.add(frozenset(page["paging"]["cursors"]))
    assert forms == {frozenset({"before"}), frozenset({"before", "after"})}


async def test_series_end_at_midnight_in_los_angeles_in_both_halves_of_the_year(caller: Caller) -> None:
    window = {"since": unix(date(2026, 10, 30)), "until": unix(date(2026, 11, 3))}
    _, body = await caller.insights("reach", period="day", **window)
    ends = [sample["end_time"] for sample in body["data"][0]["values"]]
    assert ends == [
        "2026-10-31T07:00:00+0000",
        "2026-11-01T07:00:00+0000",
        "2026-11-02T08:00:00+0000",
        "2026-11-03T08:00:00+0000",
        "2026-11-04T08:00:00+0000",
    ]


async def test_numbers_rise_until_they_settle_and_then_stay(caller: Caller) -> None:
    day = date(2026, 10, 1)
    end = la_days.midnight(la_days.next_day(day))
    seen = []
    for hours in (1, 25, 49, 500):
        caller.emulator._clock = FakeClock(end + timedelta(hours=hours))
        _, body = await caller.insights(
            "views", period="day", metric_type="total_value", since=unix(day), until=str(int(end.timestamp()) - 1)
        )
        seen.append(body["data"][0]["total_value"]["value"])
    assert seen[0] < seen[1] <= seen[2] == seen[3]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"metric": "views", "period": "day"}, "should be specified with parameter metric_type=total_value"),
        ({"metric": "impressions", "period": "day"}, "must be one of the following values"),
        ({"metric": "reach", "period": "week"}, "does not support the period"),
        ({"metric": "reach", "period": "day", "since": "0", "until": "2592001"}, "more than 30 days (2592000 s)"),
        ({"metric": ""}, "metric is required"),
    ],
)
async def test_bad_parameters_are_refused_in_the_words_of_instagram(
    caller: Caller, query: dict[str, str], text: str
) -> None:
    status, body = await caller.insights(**query)
    assert (status, body["error"]["code"]) == (400, 100)
    assert text in body["error"]["message"]


async def test_a_total_metric_asked_as_a_series_answers_an_empty_set(caller: Caller) -> None:
    assert (await caller.insights("views", period="day", metric_type="time_series"))[1] == {"data": []}


async def test_small_profiles_have_no_demographics_and_no_new_followers() -> None:
    small = Person(1, "small")
    object.__setattr__(small, "base_followers", 40.0)
    query = {"metric": "follower_demographics", "period": "lifetime", "metric_type": "total_value"}
    body = insights.of_user(small, {**query, "breakdown": "country"}, NOW)
    assert body["data"][0]["total_value"]["breakdowns"] == [{"dimension_keys": ["country"]}]
    assert insights.of_user(small, {"metric": "follower_count", "period": "day"}, NOW) == {"data": []}


async def test_one_metric_that_the_product_type_lacks_fails_the_whole_call(caller: Caller, person: Person) -> None:
    reel = next(post for post in person.posts(NOW) if post.product == "REELS")
    status, body = await caller.get(f"{reel.media_id}/insights", metric="reach,navigation")
    assert status == 400
    assert "does not support the navigation metric" in body["error"]["message"]
    status, _ = await caller.get(f"{reel.media_id}/insights", metric=",".join(insights.MEDIA_METRICS["REELS"]))
    assert status == 200


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "throttle"}, 403, 80002),
        ({"kind": "dead_token", "subcode": 460}, 400, 190),
        ({"kind": "transient"}, 500, 2),
    ],
)
async def test_faults_come_on_command_and_end(caller: Caller, fault: dict[str, object], status: int, code: int) -> None:
    assert await caller.fault(**fault, times=1) == 201
    answered, body = await caller.get("me")
    assert (answered, body["error"]["code"]) == (status, code)
    assert (await caller.get("me"))[0] == 200


async def test_a_fault_hits_only_whom_it_names(caller: Caller, emulator: Emulator) -> None:
    other = next(each for each in emulator.people.all if each is not caller.person)
    await caller.fault(kind="transient", username=other.username)
    assert (await caller.get("me"))[0] == 200
    assert (await Caller(caller.session, emulator, other).get("me"))[0] == 500


async def test_throttling_carries_both_usage_headers(caller: Caller) -> None:
    await caller.fault(kind="throttle", regain_minutes=7)
    query = {"access_token": caller.person.access_token}
    async with caller.session.get(f"{caller.emulator.url}/me", params=query) as response:
        assert '"estimated_time_to_regain_access": 7' in response.headers["X-Business-Use-Case-Usage"]
        assert "call_count" in response.headers["X-App-Usage"]


async def test_a_held_call_goes_on_when_the_faults_are_cleared(caller: Caller, emulator: Emulator) -> None:
    await caller.fault(kind="hold", times=1)
    held = asyncio.create_task(caller.get("me"))
    await emulator.faults.holding.wait()
    assert (await caller.get("_faults"))[1]["held"] == 1
    async with caller.session.delete(f"{emulator.url}/_faults") as response:
        assert response.status == 200
    assert (await held)[0] == 200


async def test_an_unknown_fault_is_refused_with_the_known_ones(caller: Caller) -> None:
    assert await caller.fault(kind="earthquake") == 400
    assert await caller.fault(kind="lag", seconds=3) == 400


async def test_it_runs_as_a_process_and_ends_on_sigterm() -> None:
    command = (sys.executable, "-m", "igstats_dev.instagram", "--profiles", "3")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    found = re.search(r"http://[\d.]+:\d+", (await process.stdout.readline()).decode())
    assert found
    async with aiohttp.ClientSession() as session, session.get(f"{found[0]}/_profiles") as response:
        assert len((await response.json())["profiles"]) == 3
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
