"""Audit records: facts that must be provable later, sent through the outbox to the evidence log."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.event.v1.events_pb2 import AuditRecord, RecordMade
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.outbox import enqueue


async def record(
    connection: AsyncConnection,
    service: str,
    kind: str,
    payload: Mapping[str, Any],
    *,
    now: datetime,
    request_id: str = "",
) -> None:
    """Writes an audit record into the outbox of the running transaction. `payload` holds no personal value."""
    occurred = Timestamp()
    occurred.FromDatetime(now)
    body = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    entry = AuditRecord(kind=kind, request_id=request_id, payload_json=body, occurred_time=occurred)
    await enqueue(connection, f"igstats.{service}.v1.record.made", RecordMade(records=[entry]))
