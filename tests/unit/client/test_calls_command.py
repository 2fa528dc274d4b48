"""`igstats calls` against a gateway that is only played."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from igstats.api.v1 import account_service_pb2 as pb
from igstats.api.v1.account_service_pb2_grpc import AccountServiceServicer, add_AccountServiceServicer_to_server
from igstats.audit.v1 import audit_service_pb2 as audit_pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer, add_AuditServiceServicer_to_server
from igstats_kit.testing.certificates import Authority

Run = Callable[..., Any]
"""Runs the command: the fixture of conftest.py."""

HOSTILE = "\x9b2J\u202e\x7f"
"""Signs that steer a terminal, and may stand in JSON as they are."""


@dataclass
class PlayedGateway(AccountServiceServicer):
    """Has 1,200 calls, in pages; an export breaks off when it is asked for UNAVAILABLE ones."""

    unreadable: frozenset[int] = frozenset()
    listed: list[pb.ListCallsRequest] = field(default_factory=list)
    exported: list[pb.ExportCallsRequest] = field(default_factory=list)

    def ListCalls(self, request: pb.ListCallsRequest, context: Any) -> Any:
        kept = pb.ListCallsRequest()
        kept.CopyFrom(request)
        self.listed.append(kept)
        first = int(request.page_token or 0)
        after = min(first + request.page_size, 1200)
        calls = [_call(number) for number in range(first, after) if number not in self.unreadable]
        return pb.ListCallsResponse(calls=calls, next_page_token=str(after) if after < 1200 else "")

    def ExportCalls(self, request: pb.ExportCallsRequest, context: Any) -> Iterator[Any]:
        self.exported.append(request)
        agent = HOSTILE if request.status == 3 else "\u00fc"
        yield pb.ExportCallsResponse(lines=f'{{"callId":"req_2","userAgent":"{agent}"}}\n'.encode())
        if request.status == 14:
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        yield pb.ExportCallsResponse(lines=b'{"callId":"req_1"}\n')


def _call(number: int) -> pb.ApiCall:
    made = pb.ApiCall(call_id=f"req_{number}", key_id="k1", method="/igstats.api.v1.StatsService/GetProfile")
    made.protocol, made.status, made.latency_us, made.ip_address = "http", 5, 1500, "192.0.2.7"
    made.called_time.FromDatetime(datetime(2026, 11, 23, 12, tzinfo=UTC))
    return made


@pytest.fixture
def gateway(run: Run, certificates: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedGateway]:
    del run  # it clears the environment that is set here
    played = PlayedGateway()  # type: ignore[abstract]  # the other methods are not asked for
    server = grpc.server(ThreadPoolExecutor(4))
    add_AccountServiceServicer_to_server(played, server)
    issued = certificates.issue("gateway")
    pair = (issued.key.read_bytes(), issued.certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    monkeypatch.setenv("IGSTATS_URL", f"https://127.0.0.1:{port}")
    monkeypatch.setenv("IGSTATS_KEY", "igs_live_made_up")
    monkeypatch.setenv("IGSTATS_CA", str(certificates.certificate))
    yield played
    server.stop(None).wait()


def test_calls_are_listed_with_what_was_asked_for(run: Run, gateway: PlayedGateway) -> None:
    ran = run("calls", "list", "--status", "not_found", "--since", "2026-11-01", "--until", "1h", "--limit", "1")
    assert ran.code == 0, ran.error
    (wanted,) = gateway.listed
    assert (wanted.status, wanted.page_size, wanted.call_id) == (5, 1, "")
    assert wanted.start_time.ToDatetime(UTC) == datetime(2026, 11, 1, tzinfo=UTC)
    assert datetime.now(UTC) - wanted.end_time.ToDatetime(UTC) >= timedelta(hours=1)
    for words in ("2026-11-23T12:00:00Z", "StatsService/GetProfile", "http", "NOT_FOUND", "1.5", "192.0.2.7", "req_0"):
        assert words in ran.out


def test_a_long_list_takes_the_pages_that_it_needs(run: Run, gateway: PlayedGateway) -> None:
    ran = run("calls", "list", "--limit", "700", "-o", "json")
    assert [json.loads(line)["call_id"] for line in ran.out.splitlines()] == [f"req_{n}" for n in range(700)]
    assert [(one.page_size, one.page_token) for one in gateway.listed] == [(500, ""), (200, "500")]
    assert len(run("calls", "list", "--limit", "5000", "-o", "json").out.splitlines()) == 1200


def test_a_page_that_lacks_calls_shortens_no_list(run: Run, gateway: PlayedGateway) -> None:
    gateway.unreadable = frozenset(range(2, 21))
    ran = run("calls", "list", "--limit", "10", "-o", "json")
    assert [json.loads(line)["call_id"] for line in ran.out.splitlines()] == [
        f"req_{n}" for n in (0, 1, *range(21, 29))
    ]


def test_one_call_is_found_by_its_id(run: Run, gateway: PlayedGateway) -> None:
    assert run("calls", "list", "--id", "req_7").code == 0
    assert gateway.listed[0].call_id == "req_7"
    assert not gateway.listed[0].HasField("status")


def test_an_export_goes_to_standard_output_or_into_a_file(run: Run, gateway: PlayedGateway) -> None:
    lines = '{"callId":"req_2","userAgent":"\u00fc"}\n{"callId":"req_1"}\n'
    assert run("calls", "export", "--status", "0").out == lines
    assert run("calls", "export", "-o", "calls.ndjson").code == 0
    assert Path("calls.ndjson").read_text(encoding="utf-8") == lines
    assert [one.HasField("status") for one in gateway.exported] == [True, False]


@pytest.mark.usefixtures("gateway")
def test_what_a_caller_named_itself_steers_no_terminal(run: Run) -> None:
    first = run("calls", "export", "--status", "3").out.splitlines()[0]
    assert first.isprintable()
    assert json.loads(first)["userAgent"] == HOSTILE


@pytest.mark.usefixtures("gateway")
def test_an_export_that_breaks_off_leaves_no_file(run: Run) -> None:
    assert run("calls", "export", "--status", "UNAVAILABLE", "-o", "calls.ndjson").code == 1
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("gateway")
def test_what_cannot_be_read_is_told_in_words(run: Run) -> None:
    assert "no gRPC status code" in run("calls", "list", "--status", "BROKEN").error
    assert "is no time" in run("calls", "export", "--since", "yesterday").error
    assert "is no time" in run("calls", "list", "--since", "999999d").error


@dataclass
class PlayedAudit(AuditServiceServicer):
    """Knows one call, and who asks."""

    asked: list[audit_pb.SearchCallsRequest] = field(default_factory=list)
    askers: list[Any] = field(default_factory=list)

    def SearchCalls(self, request: audit_pb.SearchCallsRequest, context: Any) -> Any:
        self.asked.append(request)
        self.askers += context.auth_context()["peer_spiffe_id"]
        if request.call_id == "none":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "The calling service may not use this method.")
        return audit_pb.SearchCallsResponse(calls=[audit_pb.Call(call_id="req_1", account_id="acc_1", reason="GONE")])


@pytest.fixture
def audit(serve: Callable[..., None]) -> PlayedAudit:
    played = PlayedAudit()  # type: ignore[abstract]  # the other methods are not asked for
    serve("audit", lambda server: add_AuditServiceServicer_to_server(played, server))
    return played


def test_an_officer_reads_the_calls_of_all(run: Run, audit: PlayedAudit) -> None:
    ran = run("audit", "calls", "--status", "16", "--account", "acc_1")
    assert ran.code == 0, ran.error
    assert audit.askers == [b"spiffe://igstats/operator"]
    assert audit.asked == [audit_pb.SearchCallsRequest(account_id="acc_1", status=16, page_size=50)]
    assert ran.out.splitlines()[0].split()[-2:] == ["call", "account"]
    assert ran.out.splitlines()[1].split()[-3:] == ["0.0", "req_1", "acc_1"]
    assert json.loads(run("audit", "calls", "-o", "json").out)["account_id"] == "acc_1"
    assert "PERMISSION_DENIED" in run("audit", "calls", "--id", "none").error


def test_an_officer_without_certificate_is_told_what_to_set(run: Run) -> None:
    assert "IGSTATS_OFFICER_CERT" in run("audit", "calls").error
