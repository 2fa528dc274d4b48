from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from igstats_kit.config import ServiceConfig
from igstats_kit.events import Bus, Event, Stream
from igstats_kit.sql import Database
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.postgres import Postgres
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]
MakeConfig = Callable[[str], Awaitable[ServiceConfig]]


def event(subject: str, event_id: str = "e1") -> Event:
    return Event(event_id, subject, "igstats.event.v1.TasksOffered", datetime.now(UTC), b"data")


def stream(name: str, subject: str) -> Stream:
    return Stream(name, (subject,), timedelta(days=1), data=None)  # type: ignore[arg-type]  # not read here


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_gets_an_empty_migrated_database(database: MakeDatabase, turn: int) -> None:
    db = await database("kit")
    async with db.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM inbox"))).scalar() == 0, f"turn {turn}"
        await connection.execute(text("INSERT INTO inbox (consumer, event_id) VALUES ('a', 'b')"))


async def test_a_service_cannot_enter_the_database_of_another(database: MakeDatabase, postgres: Postgres) -> None:
    db = await database("kit")
    async with db.read() as connection:
        name = (await connection.execute(text("SELECT current_database()"))).scalar()
    await postgres.ensure_role("stranger", "secret")
    url = postgres.url("stranger", "secret", str(name))
    intruder = Database(url)
    with pytest.raises(ProgrammingError, match="permission denied for database"):
        async with intruder.read():
            pass
    await intruder.close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_gets_a_server_without_streams(bus: MakeBus, turn: int) -> None:
    privacy = await bus("privacy")
    await privacy.ensure(stream("TASKS", "igstats.privacy.v1.task.*"))
    await privacy.publish(event("igstats.privacy.v1.task.stats"))
    info = await privacy.jetstream.stream_info("TASKS")
    assert info.state.messages == 1, f"turn {turn}"


async def test_an_acknowledged_message_is_on_disk(nats: Nats) -> None:
    assert nats.config()["jetstream"]["sync_interval"] == "always"  # type: ignore[index]  # a plain dict


async def test_a_service_cannot_publish_the_receipt_of_another(bus: MakeBus) -> None:
    privacy, stats = await bus("privacy"), await bus("stats")
    await privacy.ensure(stream("RECEIPTS", "igstats.*.v1.receipt.issued"))
    await stats.publish(event("igstats.stats.v1.receipt.issued"))
    with pytest.raises(NatsTimeout):
        await stats.jetstream.publish("igstats.audit.v1.receipt.issued", b"forged", timeout=0.2)
    assert stats.denied.is_set()
    assert (await privacy.jetstream.stream_info("RECEIPTS")).state.messages == 1


async def test_a_service_cannot_read_the_tasks_of_another(bus: MakeBus) -> None:
    privacy, stats = await bus("privacy"), await bus("stats")
    await privacy.ensure(stream("TASKS", "igstats.privacy.v1.task.*"))
    with pytest.raises(NatsTimeout):
        await stats.client.request("$JS.API.CONSUMER.CREATE.TASKS.audit-tasks", b"{}", timeout=0.2)
    spied = await stats.client.request(
        "$JS.API.CONSUMER.CREATE.TASKS.stats-tasks.igstats.privacy.v1.task.stats",
        b'{"stream_name":"TASKS","config":{"name":"stats-tasks","durable_name":"stats-tasks","ack_policy":"explicit",'
        b'"filter_subject":"igstats.privacy.v1.task.>"}}',
    )
    assert b"error" in spied.data


async def test_a_client_without_a_known_certificate_is_refused(nats: Nats, certificates: Authority) -> None:
    context = nats.context(certificates.issue("mallory"))
    with pytest.raises(NatsError, match="Authorization Violation"):
        await Client().connect(nats.url, tls=context, tls_hostname="nats", allow_reconnect=False)


async def test_settings_are_complete_for_a_service(config: MakeConfig) -> None:
    settings = await config("kit")
    assert settings.service == "kit"
    assert settings.seal_key.stat().st_mode & 0o077 == 0
    assert settings.tls_key.stat().st_mode & 0o077 == 0
