"""What the gateway publishes."""

from collections.abc import Iterable
from datetime import timedelta

from igstats.event.v1.events_pb2 import AccessRecord, AccessRecorded
from igstats_kit.declare import Store, days, expire
from igstats_kit.events import Stream

from igstats_gateway.model import CallRecord

SERVICE = "gateway"
ACCESS_SUBJECT = "igstats.gateway.v1.access.recorded"
ACCESS = Stream(
    name="ACCESS",
    subjects=(ACCESS_SUBJECT,),
    max_age=timedelta(days=1),
    data=Store((), "on the way to the API log, client addresses sealed", "legitimate_interest", days(1), expire()),
)


def _access_record(record: CallRecord) -> AccessRecord:
    made = AccessRecord(
        call_id=record.call_id,
        account_id=record.account_id,
        key_id=record.key_id,
        method=record.method,
        protocol=record.protocol,
        status=record.status,
        reason=record.reason,
        latency_us=record.latency_us,
        sealed_client=record.sealed_client,
    )
    made.called_time.FromDatetime(record.called_time)
    return made


def access_recorded(records: Iterable[CallRecord]) -> AccessRecorded:
    """The event for a batch of calls."""
    return AccessRecorded(records=map(_access_record, records))
