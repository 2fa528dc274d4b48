"""What an officer keeps and shows: ledger, metrics, register of processing, alerts, breaches."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from igstats.privacy.v1 import record_service_pb2 as pb

from igstats_client import officer_views as views
from igstats_client.desk import Desk
from igstats_client.officer_requests import moment
from igstats_client.screen import Screen

_MISSED = 100


@dataclass(frozen=True)
class Report:
    """A breach as typed."""

    text: str
    discovered: str
    categories: tuple[str, ...]
    person_count: int
    consequences: str


def ledger(desk: Desk, since: str, until: str, limit: int) -> None:
    """Prints the request ledger, newest first."""
    wanted = pb.ListLedgerRequest(
        start_time=moment(since) if since else None, end_time=moment(until) if until else None
    )
    desk.show_all(list(desk.each("RecordService/ListLedger", wanted, "entries", limit)), views.ledger)


def metrics(desk: Desk, year: int) -> None:
    """Prints the numbers of a year."""
    asked = pb.GetMetricsRequest(year=year or datetime.now(UTC).year)
    desk.show_all(list(desk.ask("RecordService/GetMetrics", asked).rights), views.metrics)


def register(desk: Desk, form: str, file: Path | None) -> None:
    """Writes the register of processing, to standard output when there is no file."""
    content = desk.ask("RecordService/ExportRegister", pb.ExportRegisterRequest(format=form)).content
    if file is None:
        sys.stdout.write(content.decode())
        return
    file.write_bytes(content)
    Screen().print(f"{len(content)} bytes in {file}", markup=False)


def alerts(desk: Desk) -> bool:
    """Prints the clocks that need a look, the most urgent first; answers whether none was missed."""
    found = list(desk.ask("RecordService/ListAlerts", pb.ListAlertsRequest()).alerts)
    desk.show_all(found, views.alerts)
    return all(one.percent < _MISSED for one in found)


def opened(desk: Desk, report: Report) -> None:
    """Opens a breach."""
    said = pb.OpenBreachRequest(
        discovered_time=moment(report.discovered),
        text=report.text,
        categories=report.categories,
        person_count=report.person_count,
        consequences=report.consequences,
    )
    desk.show(desk.ask("RecordService/OpenBreach", said).breach, views.breach)


def amended(desk: Desk, breach_id: str, kind: str, text: str) -> None:
    """Adds what became known or was done."""
    said = pb.AmendBreachRequest(breach_id=breach_id, kind=kind, text=text)
    desk.show(desk.ask("RecordService/AmendBreach", said).breach, views.breach)


def breaches(desk: Desk, *, open_only: bool) -> None:
    """Prints breaches with their stories."""
    found = desk.ask("RecordService/ListBreaches", pb.ListBreachesRequest(open_only=open_only)).breaches
    desk.show_all(list(found), views.breaches)
