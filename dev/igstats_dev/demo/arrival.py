"""First half: a profile is connected, synchronised from the emulator, and read by the customer."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import ClientSession
from igstats.api.v1.connection_service_pb2 import (
    Connection,
    CreateConnectionResponse,
    GetConnectionRequest,
)
from igstats.api.v1.stats_service_pb2 import (
    GetProfileRequest,
    GetProfileResponse,
    ListMediaResponse,
    QueryTimeSeriesResponse,
)

from igstats_dev.demo.narrator import StoryError
from igstats_dev.demo.scene import Person, Scene, until


async def connect(scene: Scene) -> tuple[Person, Connection]:
    """Connects the first profile that is not erased yet."""
    scene.say.chapter("A customer connects the Instagram account of a person")
    return await _connect(scene)


async def remain(scene: Scene) -> str:
    """Connects one profile more, for whoever looks around afterwards; its username."""
    scene.say.chapter("One more profile is connected, and stays for you to look at")
    person, connection = await _connect(scene)
    await ingest(scene, connection)
    return person.username


async def _connect(scene: Scene) -> tuple[Person, Connection]:
    for person in await _people(scene.customer.access.instagram):
        answer = await scene.customer.post("/v1/connections", {"accessToken": person.access_token})
        if answer.status == HTTPStatus.OK:
            connection = answer.read(CreateConnectionResponse()).connection
            scene.say.check(connection.connection_id, f"{person.username} is connected")
            return person, connection
        if answer.body.get("reason") != "SUBJECT_ERASED":
            raise StoryError(f"the connection was refused: {answer.text[:500]}")
        scene.say.answer(f"{person.username} was erased before and stays erased; the next one")
    raise StoryError("every profile of the emulator has been erased; remove the data folder to begin again")


async def ingest(scene: Scene, connection: Connection) -> None:
    """Waits until the first synchronisation is stored."""
    wanted = GetConnectionRequest(connection_id=connection.connection_id)

    async def look() -> Connection:
        return (await scene.customer.connections.GetConnection(wanted)).connection

    done = await until(look, lambda found: found.HasField("synced_time"), "the first synchronisation")
    scene.say.check(
        not done.problem, "stats has fetched profile, media, days and audience from Instagram", done.problem
    )


async def read(scene: Scene, person: Person) -> None:
    """Reads the statistics over HTTP and gRPC; both must agree."""
    scene.say.chapter("The customer reads statistics, by curl and by gRPC, through TLS and an API key")
    answer = await scene.customer.get(f"/v1/profiles/{person.username}")
    by_http = answer.read(GetProfileResponse()).profile
    scene.say.command(f'grpc StatsService.GetProfile {{"profile": "{person.username}"}}')
    by_grpc = (await scene.customer.stats.GetProfile(GetProfileRequest(profile=person.username))).profile
    if by_http.observed_time != by_grpc.observed_time:  # connected before, it was fetched again between the two
        answer = await scene.customer.get(f"/v1/profiles/{person.username}")
        by_http = answer.read(GetProfileResponse()).profile
    scene.say.check(by_http == by_grpc, "HTTP and gRPC say the same", f"{by_http} and {by_grpc}")
    scene.say.check(by_http.followers.value > 0, f"{by_http.followers.value} followers", str(by_http))
    media = (await scene.customer.get(f"/v1/profiles/{person.username}/media", pageSize="3")).read(ListMediaResponse())
    scene.say.check(media.media, f"media come newest first, {len(media.media)} on this page")
    await _read_series(scene, person)
    stranger = await scene.customer.anonymous().get(f"/v1/profiles/{person.username}")
    scene.say.check(stranger.status == HTTPStatus.UNAUTHORIZED, "without a key nobody reads anything", stranger.text)


async def _read_series(scene: Scene, person: Person) -> None:
    today = datetime.now(UTC).date()
    days = {"startDay": str(today - timedelta(days=8)), "endDay": str(today - timedelta(days=2))}
    answer = await scene.customer.get(f"/v1/profiles/{person.username}/series", metrics="reach", **days)
    series = answer.read(QueryTimeSeriesResponse()).series[0]
    values = [point.count.value for point in series.points if not point.count.missing_reason]
    scene.say.check(values, f"reach on {len(values)} of {len(series.points)} days: {values}", str(series))


async def calls(emulator: str, person: Person) -> int:
    """How often Instagram was asked about the person."""
    made: dict[str, int] = (await _ask(f"{emulator}/_calls"))["calls"]
    return sum(count for call, count in made.items() if call.startswith(f"{person.username} "))


async def _people(emulator: str) -> list[Person]:
    return [Person(**profile) for profile in (await _ask(f"{emulator}/_profiles"))["profiles"]]


async def _ask(url: str) -> dict[str, Any]:
    async with ClientSession() as session, session.get(url) as answer:
        found: dict[str, Any] = await answer.json()
        return found
