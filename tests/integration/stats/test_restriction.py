"""A restriction at stats, exhaustively: every RPC, every writer, every fact. Storage is all that goes on (GDPR 18)."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from igstats.api.v1 import connection_service_pb2 as connection_api
from igstats.api.v1 import stats_service_pb2 as stats_api
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.identity import Account
from igstats_kit.tables import outbox
from igstats_stats.access import ACCESS
from igstats_stats.servicer import ConnectionServicer, StatsServicer
from igstats_stats.tables import media, profiles

from tests.integration.stats.conftest import ACCOUNT, World

READER = Account(ACCOUNT, "key_1", frozenset(), "")
# The person's own acts: a request finds its person for privacy and nobody else; taking Meta's permission back destroys
# tokens and answers the gateway how many connections ended.
LAWFUL = {f"/igstats.stats.v1.SubjectService/{method}" for method in ("ResolveSubjects", "EndConnections")}
# An account may end its own connection: it deletes the token, and of the person's data it touches nothing.
ENDING = "/igstats.api.v1.ConnectionService/DeleteConnection"


class Public:
    """Every public RPC of stats about one person, by its full name."""

    def __init__(self, world: World, connection_id: str) -> None:
        person, stats = world.person(), StatsServicer(world.profiles, world.series)
        connected = ConnectionServicer(world.connections)
        name, one = person.username, {"connection_id": connection_id}
        series = stats_api.QueryTimeSeriesRequest(
            profile=name, metrics=["reach"], start_day="2026-07-01", end_day="2026-07-02"
        )
        orders: list[tuple[Any, Any]] = [
            (stats.GetProfile, stats_api.GetProfileRequest(profile=name)),
            (stats.ListProfiles, stats_api.ListProfilesRequest()),
            (stats.ListMedia, stats_api.ListMediaRequest(profile=name)),
            (stats.QueryTimeSeries, series),
            (stats.ListAudience, stats_api.ListAudienceRequest(profile=name)),
            (connected.CreateConnection, connection_api.CreateConnectionRequest(access_token=person.access_token)),
            (connected.ListConnections, connection_api.ListConnectionsRequest()),
            (connected.GetConnection, connection_api.GetConnectionRequest(**one)),
            (connected.SyncConnection, connection_api.SyncConnectionRequest(**one)),
            (connected.DeleteConnection, connection_api.DeleteConnectionRequest(**one)),
        ]
        self.calls: dict[str, Callable[[], Awaitable[Any]]] = {
            self._name(method): partial(method, order, None) for method, order in orders
        }

    @staticmethod
    def _name(method: Any) -> str:
        service = method.__self__.__class__.__name__.replace("Servicer", "Service")
        return f"/igstats.api.v1.{service}/{method.__name__}"


async def outcome(call: Callable[[], Awaitable[Any]]) -> object:
    """What a call answers, or its error."""
    try:
        return await call()
    except DomainError as error:
        return error


async def canaries(world: World) -> set[str]:
    """Everything about the one person in the database that is text."""
    (owner,) = await world.rows(profiles)
    posts = await world.rows(media)
    texts = {owner.instagram_user_id, owner.username, owner.name, owner.biography, owner.website}
    return {text for text in texts | {value for post in posts for value in (post.caption, post.permalink)} if text}


@pytest.fixture
async def public(world: World, monkeypatch: pytest.MonkeyPatch) -> Public:
    monkeypatch.setattr("igstats_stats.servicer.account", lambda: READER)
    return Public(world, (await world.connect_and_sync(world.person())).connection_id)


async def test_every_rpc_is_asked(public: Public) -> None:
    assert set(public.calls) | LAWFUL == set(ACCESS)


async def test_no_byte_of_a_restricted_owner_leaves_by_any_rpc_and_nothing_is_written(
    world: World, public: Public
) -> None:
    secret = await canaries(world)
    assert len(secret) > 10
    shown = str([await public.calls[name]() for name in sorted(public.calls) if name != ENDING])
    assert any(text in shown for text in secret)
    while await world.worker.run_once():
        pass
    await world.restrict(world.person())
    before, sent = await world.dump(), await world.count(outbox)
    refused: dict[str, DomainError] = {}
    for name in sorted(set(public.calls) - {ENDING}):
        answer = await outcome(public.calls[name])
        if isinstance(answer, DomainError):
            refused[name.rpartition("/")[2]] = answer
        assert not [text for text in secret if text in str(answer)]
    assert set(refused) == {
        *("GetProfile", "ListMedia", "QueryTimeSeries", "ListAudience", "CreateConnection", "SyncConnection")
    }
    assert {(one.reason, one.public.code) for one in refused.values()} == {
        (Reason.SUBJECT_RESTRICTED, "PERMISSION_DENIED")
    }
    assert not await world.worker.run_once()
    assert (await world.dump(), await world.count(outbox)) == (before, sent)


async def test_a_list_says_how_many_it_leaves_out(world: World, public: Public) -> None:
    await world.restrict(world.person())
    listed = await public.calls["/igstats.api.v1.StatsService/ListProfiles"]()
    assert (list(listed.profiles), listed.withheld_count) == ([], 1)
