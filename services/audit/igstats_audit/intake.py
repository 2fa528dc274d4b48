"""What the gateway tells about API calls becomes entries of the access log, in the order of the stream."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from igstats_kit.events import Event
from igstats_kit.log import get_logger
from igstats_kit.seal import Sealer, SealError
from igstats_kit.tail import Placed
from igstats_kit.tokens import Tokens

from igstats_audit.model import CALL_ANSWERED, CallRecord, Delivery, LogStore, NewCall
from igstats_audit.sequencer import Sequencer
from igstats_audit.telemetry import CALLS_DROPPED, CALLS_KEPT

PRODUCER = "gateway"
_WAY_CONTEXT = "access"

_log = get_logger()

ReadCalls = Callable[[Event], Sequence[CallRecord]]


class CallIntake:
    """Appends calls; the head of the log keeps how far the stream has come. `way` opens what the gateway sealed."""

    def __init__(self, sequencer: Sequencer, store: LogStore, tokens: Tokens, way: Sealer, read: ReadCalls) -> None:
        self._sequencer = sequencer
        self._store = store
        self._tokens = tokens
        self._way = way
        self._read = read

    async def position(self) -> int:
        """Position of the last event that is in the log."""
        return (await self._store.head()).stream_sequence

    async def handle(self, events: Sequence[Placed]) -> None:
        """Appends the calls of events. Of those that are withheld only the leaf is kept; they are counted.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        calls = [self._entry(call, one.position) for one in events for call in self._read(one.event)]
        done = await self._sequencer.deliver(calls, Delivery(PRODUCER, [], events[-1].position))
        CALLS_KEPT.inc(len(done.indexes) - done.withheld.total())
        for why, count in done.withheld.items():
            CALLS_DROPPED.labels(reason=why).inc(count)

    async def skip(self, position: int) -> None:
        """Goes past an event that cannot be read."""
        await self._sequencer.deliver([], Delivery(PRODUCER, [], position))

    async def follows(self, made_at: datetime) -> bool:
        """Whether the position counts in the stream that was made then. The first one that it hears of is its own."""
        return await self._store.follows_stream(made_at)

    async def restart(self, made_at: datetime) -> None:
        """Goes back to position 0, in the stream that was made then."""
        await self._store.restart_stream(made_at)

    def _entry(self, call: CallRecord, position: int) -> NewCall:
        return NewCall(
            entry_id=call.call_id,
            kind=CALL_ANSWERED,
            request_id="",
            producer=PRODUCER,
            payload=payload(call, self._client(call)),
            occurred_at=call.called_at,
            sequence=call.sequence,
            status=call.status,
            token=self._tokens.of("ACCOUNT_ID", call.account_id) if call.account_id else None,
            position=position,
        )

    def _client(self, call: CallRecord) -> Mapping[str, Any]:
        if not call.sealed_client:
            return {}
        try:
            found: dict[str, Any] = json.loads(self._way.open(call.sealed_client, _WAY_CONTEXT))
        except SealError:
            _log.warning("client of a call does not open", call_id=call.call_id)
            return {}
        return found


def payload(call: CallRecord, client: Mapping[str, Any]) -> bytes:
    """The content of an entry: JSON in the one form that sorted keys and no spaces give."""
    values = {
        "call_id": call.call_id,
        "account_id": call.account_id,
        "key_id": call.key_id,
        "method": call.method,
        "protocol": call.protocol,
        "status": call.status,
        "reason": call.reason,
        "called_time": call.called_at.isoformat(),
        "latency_us": call.latency_us,
        "ip_address": client.get("ip_address", ""),
        "user_agent": client.get("user_agent", ""),
        "signed": call.signed,
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
