"""RecordService: proto in, proto out."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.privacy.v1 import record_service_pb2 as pb
from igstats.privacy.v1.record_service_pb2_grpc import RecordServiceServicer
from igstats_kit.clock import Clock
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import officer

from igstats_privacy.messages import description, read_time
from igstats_privacy.records import messages
from igstats_privacy.records.activities import Controller, register
from igstats_privacy.records.breach import Kind
from igstats_privacy.records.breaches import Breaches
from igstats_privacy.records.clock_watch import ClockWatch
from igstats_privacy.records.register_forms import FORMS
from igstats_privacy.records.request_ledger import RequestLedger
from igstats_privacy.registry import Registry


class RecordServicer(RecordServiceServicer):
    """What the data protection officer keeps and shows."""

    def __init__(
        self,
        ledger: RequestLedger,
        breaches: Breaches,
        watch: ClockWatch,
        registry: Registry,
        controller: Controller,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._breaches = breaches
        self._watch = watch
        self._registry = registry
        self._controller = controller
        self._clock = clock

    async def ListLedger(self, request: pb.ListLedgerRequest, _context: Context) -> pb.ListLedgerResponse:  # noqa: N802 - gRPC name
        """Lists the request ledger."""
        after = messages.read_place_token(request.page_token)
        start = _time(request.start_time, given=request.HasField("start_time"))
        end = _time(request.end_time, given=request.HasField("end_time"))
        found, more, now = await self._ledger.page(request.page_size, after, start, end)
        entries = [messages.entry(one, now) for one in found]
        return pb.ListLedgerResponse(entries=entries, next_page_token=messages.place_token(more))

    async def GetMetrics(self, request: pb.GetMetricsRequest, _context: Context) -> pb.GetMetricsResponse:  # noqa: N802 - gRPC name
        """Numbers of a year."""
        return pb.GetMetricsResponse(rights=map(messages.metrics, await self._ledger.metrics(request.year)))

    async def ExportRegister(  # noqa: N802 - gRPC name
        self, request: pb.ExportRegisterRequest, _context: Context
    ) -> pb.ExportRegisterResponse:
        """The register of processing."""
        personal, impersonal = messages.stored(map(description, await self._registry.holders()))
        made = register(personal, self._controller, self._clock.now(), impersonal)
        form, media_type = FORMS[request.format]
        return pb.ExportRegisterResponse(content=form(made), media_type=media_type)

    async def OpenBreach(self, request: pb.OpenBreachRequest, _context: Context) -> pb.OpenBreachResponse:  # noqa: N802 - gRPC name
        """Opens a breach."""
        opened, now = await self._breaches.open(
            read_time(request.discovered_time),
            request.text,
            request.categories,
            request.person_count,
            request.consequences,
            officer(),
        )
        return pb.OpenBreachResponse(breach=messages.breach(opened, now))

    async def AmendBreach(self, request: pb.AmendBreachRequest, _context: Context) -> pb.AmendBreachResponse:  # noqa: N802 - gRPC name
        """Adds an event to a breach."""
        amended, now = await self._breaches.amend(request.breach_id, Kind(request.kind), request.text, officer())
        return pb.AmendBreachResponse(breach=messages.breach(amended, now))

    async def ListBreaches(self, request: pb.ListBreachesRequest, _context: Context) -> pb.ListBreachesResponse:  # noqa: N802 - gRPC name
        """Lists breaches."""
        found, now = await self._breaches.listed(open_only=request.open_only)
        return pb.ListBreachesResponse(breaches=[messages.breach(one, now) for one in found])

    async def ListAlerts(self, _request: pb.ListAlertsRequest, _context: Context) -> pb.ListAlertsResponse:  # noqa: N802 - gRPC name
        """Lists clocks that need a look."""
        return pb.ListAlertsResponse(alerts=map(messages.alert, await self._watch.alerts()))


def _time(moment: Timestamp, *, given: bool) -> datetime | None:
    return read_time(moment) if given else None
