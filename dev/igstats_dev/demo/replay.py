"""Sends an old event once more: the same bytes under a new message id, which JetStream cannot recognise."""

import asyncio
import secrets
from collections.abc import AsyncIterator

from igstats.event.v1.events_pb2 import SyncRequested
from igstats_kit.testing.certificates import Certificate
from igstats_kit.testing.nats import Nats
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

STREAM, DURABLE = "SYNC", "stats-sync"
_PATIENCE = 30.0


async def replay_sync(nats: Nats, operator: Certificate, connection_id: str) -> str:
    """Repeats the connection's last sync event and waits until stats has handled it. Returns the new message id.

    Raises:
        LookupError: The stream has no such event.
        TimeoutError: stats did not handle it.
    """
    async with nats.operator(operator) as client:
        jetstream = client.jetstream()
        old = [message async for message in _messages(jetstream) if _of(message) == connection_id]
        if not old:
            raise LookupError(f"the stream {STREAM} holds no event of {connection_id}")
        fresh = f"replay-{secrets.token_hex(8)}"
        headers = (old[-1].headers or {}) | {"Nats-Msg-Id": fresh, "ce-id": fresh}
        stored = await jetstream.publish(str(old[-1].subject), old[-1].data or b"", headers=headers)
        async with asyncio.timeout(_PATIENCE):
            await _handled(jetstream, stored.seq)
        return fresh


async def _messages(jetstream: JetStreamContext) -> AsyncIterator[RawStreamMsg]:
    state = (await jetstream.stream_info(STREAM)).state
    for sequence in range(state.first_seq, state.last_seq + 1):
        yield await jetstream.get_msg(STREAM, sequence)


def _of(message: RawStreamMsg) -> str:
    return SyncRequested.FromString(message.data or b"").connection_id


async def _handled(jetstream: JetStreamContext, sequence: int) -> None:
    """Acknowledged up to the sequence means: the effect is committed."""
    while True:
        info = await jetstream.consumer_info(STREAM, DURABLE)
        if info.ack_floor and (info.ack_floor.stream_seq or 0) >= sequence:
            return
        await asyncio.sleep(0.05)
