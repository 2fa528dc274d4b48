"""The `igstats` command as people and programs use it: offline, and against a gateway that is only played."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from igstats.api.v1 import request_service_pb2 as pb
from igstats.api.v1.profile_pb2 import Count, MissingReason, Profile
from igstats.api.v1.request_service_pb2_grpc import (
    RequestServiceServicer,
    add_RequestServiceServicer_to_server,
)
from igstats.api.v1.stats_service_pb2 import GetProfileResponse
from igstats.api.v1.stats_service_pb2_grpc import StatsServiceServicer, add_StatsServiceServicer_to_server
from igstats_audit.archive import packed
from igstats_kit.testing.certificates import Authority

from tests.unit.audit.test_witness import NAME, VKEY, cosignature

Case = Any
"""The builder of conftest.py."""

KEY = "igs_live_made_up"
MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)


Run = Callable[..., Any]
"""Runs the command: the fixture of conftest.py."""


def test_true_evidence_ends_with_zero_and_says_what_it_proves(run: Run, case: Case) -> None:
    Path("evidence.zip").write_bytes(case.zipped())
    ran = run("receipt", "verify", "evidence.zip")
    assert ran.code == 0
    for words in ("VERIFIED", "This proves:", "This does not prove:", "audit, gateway, privacy, stats", "--log-key"):
        assert words in ran.out
    assert "\x1b" not in ran.out


def test_pinned_keys_are_not_named_as_a_gap(run: Run, case: Case) -> None:
    Path("evidence.zip").write_bytes(case.zipped())
    raw = {holder: key.public_key().public_bytes_raw() for holder, key in case.keys.items()}
    pins = [f"--holder-key={holder}={base64.b64encode(key).decode()}" for holder, key in raw.items()]
    log_keys = [f"--log-key={key}" for key in case.log.verifier_keys]
    ran = run("receipt", "verify", "evidence.zip", *log_keys, *pins)
    assert ran.code == 0
    assert "Whose keys these are" not in ran.out


def test_a_witness_is_named_by_its_key_and_missed_where_it_has_not_signed(run: Run, case: Case) -> None:
    Path("alone.zip").write_bytes(case.zipped())
    case.cosign = cosignature
    Path("evidence.zip").write_bytes(case.zipped())
    told = run("receipt", "verify", "evidence.zip")
    assert (told.code, f"That {NAME} signed" in told.out, "--witness-key" in told.out) == (0, True, True)
    seen = run("receipt", "verify", "evidence.zip", f"--witness-key={VKEY}")
    assert (seen.code, f"The witness {NAME} signed" in seen.out) == (0, True)
    assert "That everybody is shown the same log" not in seen.out
    verdict = json.loads(run("receipt", "verify", "--json", "evidence.zip", f"--witness-key={VKEY}").out)
    assert [one["name"] for one in verdict["log"]["witnesses"]] == [NAME]
    missed = run("receipt", "verify", "alone.zip", f"--witness-key={VKEY}")
    assert (missed.code, "WITNESS_MISSING" in missed.out) == (1, True)


def test_a_holder_whose_key_was_renewed_is_pinned_by_both(run: Run, case: Case) -> None:
    case.renewed["stats"] = Ed25519PrivateKey.generate()
    Path("evidence.zip").write_bytes(case.zipped())
    keys = [*case.keys.items(), *case.renewed.items()]
    pins = [
        f"--holder-key={holder}={base64.b64encode(key.public_key().public_bytes_raw()).decode()}"
        for holder, key in keys
    ]
    assert run("receipt", "verify", "evidence.zip", *pins).code == 0
    assert run("receipt", "verify", "evidence.zip", *reversed(pins)).code == 0
    for left_out in (pins[3], pins[4]):
        ran = run("receipt", "verify", "evidence.zip", *(pin for pin in pins if pin != left_out))
        assert (ran.code, "HOLDER_KEY_UNTRUSTED" in ran.out) == (1, True)


def test_bent_evidence_ends_with_one_and_names_what_is_wrong(run: Run, case: Case) -> None:
    files = case.archive()
    files["entries/01-receipt.issued.payload"] += b"x"
    Path("evidence.zip").write_bytes(packed(files, MOMENT))
    ran = run("receipt", "verify", "evidence.zip")
    assert ran.code == 1
    assert "NOT VERIFIED" in ran.out
    assert "COMMITMENT" in ran.out
    assert "This proves" not in ran.out


def test_the_verdict_comes_as_json_too(run: Run, case: Case) -> None:
    Path("evidence.zip").write_bytes(case.zipped())
    verdict = json.loads(run("receipt", "verify", "--json", "evidence.zip").out)
    assert verdict["verified"] is True
    assert [one["holder"] for one in verdict["holders"]] == ["audit", "gateway", "privacy", "stats"]
    assert verdict["holders"][0]["counts"] == {"profiles": 1}
    assert verdict["log"]["signed_with"] == ["Ed25519", "ML-DSA-44"]
    assert len(verdict["proves"]) == 5


def test_a_file_that_is_no_archive_is_not_verified(run: Run) -> None:
    Path("bad.zip").write_text("no zip")
    assert "ARCHIVE_MALFORMED" in run("receipt", "verify", "bad.zip").out
    ran = run("receipt", "verify", "bad.zip", "--json")
    verdict = json.loads(ran.out)
    assert (ran.code, verdict["verified"], verdict["proves"]) == (1, False, [])


@pytest.mark.parametrize(
    "arguments",
    [("none.zip",), ("bad.zip", "--holder-key=stats"), ("bad.zip", "--holder-key=stats=c2hvcnQ=")],
)
def test_what_cannot_be_read_is_told_in_words(run: Run, arguments: tuple[str, ...]) -> None:
    Path("bad.zip").write_text("no zip")
    ran = run("receipt", "verify", *arguments)
    assert ran.code == 1
    assert ran.error.startswith("igstats: ")
    assert "Traceback" not in ran.error


def test_without_settings_the_command_says_what_to_set(run: Run) -> None:
    ran = run("request", "show", "req_1")
    assert ran.code == 1
    assert "IGSTATS_URL" in ran.error


def test_methods_are_listed_without_asking_anybody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGSTATS_URL", "127.0.0.1:1")
    monkeypatch.setenv("IGSTATS_KEY", KEY)
    assert "RequestService/CreateRequest" in run("call").out.splitlines()
    assert "there is no method" in run("call", "Foo/Bar").error
    assert "no field named" in run("call", "StatsService/GetProfile", "-d", '{"profil": "x"}').error


def _abort(context: Any, code: grpc.StatusCode, text: str, *details: Any) -> None:
    packed = [Packed() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    context.abort_with_status(rpc_status.to_status(Status(code=code.value[0], message=text, details=packed)))


@dataclass
class PlayedGateway(RequestServiceServicer, StatsServiceServicer):
    """Answers as the gateway would. `evidence` is not ready for the first `waits` calls."""

    evidence: bytes
    waits: int = 0
    seen: dict[str, str] = field(default_factory=dict)
    orders: list[pb.CreateRequestRequest] = field(default_factory=list)

    def CreateRequest(self, request: pb.CreateRequestRequest, context: Any) -> Any:
        self.seen = dict(context.invocation_metadata())
        self.orders.append(request)
        return pb.CreateRequestResponse(request=_progress("RECEIVED"))

    def GetRequest(self, request: pb.GetRequestRequest, context: Any) -> Any:
        if request.request_id == "req_long":
            return pb.GetRequestResponse(request=_extended())
        if request.request_id != "req_1":
            context.send_initial_metadata((("request-id", "req_call"),))
            info = ErrorInfo(reason="REQUEST_NOT_FOUND", domain="igstats", metadata={"request_id": "req_2"})
            broken = BadRequest(field_violations=[BadRequest.FieldViolation(field="request_id", description="is odd")])
            _abort(context, grpc.StatusCode.NOT_FOUND, "The account has no such request.", info, broken)
        return pb.GetRequestResponse(request=_progress("EXECUTING", ERASE="SETTLED", SWEEP="OFFERED"))

    def WatchRequest(self, request: pb.WatchRequestRequest, context: Any) -> Iterator[Any]:
        if request.request_id == "req_long":
            yield pb.WatchRequestResponse(request=_progress("EXECUTING"))
            yield pb.WatchRequestResponse(request=_extended())
        yield pb.WatchRequestResponse(request=_progress("EXECUTING", ERASE="OFFERED"))
        yield pb.WatchRequestResponse(request=_progress("EXECUTING", ERASE="SETTLED"))
        yield pb.WatchRequestResponse(request=_progress("FULFILLED", ERASE="SETTLED", SWEEP="SETTLED"))

    def GetEvidenceArchive(self, request: pb.GetEvidenceArchiveRequest, context: Any) -> Iterator[Any]:
        if self.waits:
            self.waits -= 1
            retry = RetryInfo(retry_delay=Duration(nanos=1_000_000))
            info = ErrorInfo(reason="EVIDENCE_NOT_READY", domain="igstats")
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "Not yet.", info, retry)
        if request.request_id == "lost":
            info = ErrorInfo(reason="EVIDENCE_LOST", domain="igstats", metadata={"lost": "3", "entries": "17"})
            _abort(context, grpc.StatusCode.DATA_LOSS, "Evidence is lost.", info)
        half = len(self.evidence) // 2
        yield pb.GetEvidenceArchiveResponse(chunk=self.evidence[:half])
        if request.request_id == "broken":
            _abort(context, grpc.StatusCode.UNAVAILABLE, "Gone.", RetryInfo(retry_delay=Duration(nanos=1_000_000)))
        yield pb.GetEvidenceArchiveResponse(chunk=self.evidence[half:])

    def GetExport(self, request: pb.GetExportRequest, context: Any) -> Iterator[Any]:
        yield pb.GetExportResponse(chunk=b"PK")
        if request.request_id == "broken":
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        yield pb.GetExportResponse(chunk=b"rest")

    def GetProfile(self, request: Any, context: Any) -> Any:
        hidden = Count(missing_reason=MissingReason.MISSING_REASON_HIDDEN_BY_OWNER)
        found = Profile(profile_id=7, username=request.profile, followers=Count(value=12345), media=hidden)
        return GetProfileResponse(profile=found)


def _progress(state: str, **steps: str) -> pb.PrivacyRequest:
    made = [
        pb.Step(
            holder="stats",
            phase=phase,
            state=stage,
            outcome="ERASED" if stage == "SETTLED" else "",
            counts={"media": 3} if phase == "ERASE" else {},
        )
        for phase, stage in steps.items()
    ]
    kind = pb.RequestKind.REQUEST_KIND_ERASURE
    return pb.PrivacyRequest(request_id="req_1", reference="7K2Q-M4TD", kind=kind, state=state, steps=made)


def _extended() -> pb.PrivacyRequest:
    found = _progress("EXECUTING", ERASE="OFFERED")
    found.due_time.FromJsonString("2026-12-24T12:00:00Z")
    found.extended_time.FromJsonString("2026-10-20T12:00:00Z")
    found.extension_reasons = "It is [much]."
    return found


@pytest.fixture
def gateway(run: Run, case: Case, certificates: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedGateway]:
    del run  # it clears the environment that is set here
    played = PlayedGateway(case.zipped())  # type: ignore[abstract]  # the other methods are not asked for
    server = grpc.server(ThreadPoolExecutor(4))
    add_RequestServiceServicer_to_server(played, server)
    add_StatsServiceServicer_to_server(played, server)
    issued = certificates.issue("gateway")
    pair = (issued.key.read_bytes(), issued.certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    monkeypatch.setenv("IGSTATS_URL", f"https://127.0.0.1:{port}")
    monkeypatch.setenv("IGSTATS_KEY", KEY)
    monkeypatch.setenv("IGSTATS_CA", str(certificates.certificate))
    yield played
    server.stop(None).wait()


def test_a_request_is_opened_with_key_and_idempotency_key(run: Run, gateway: PlayedGateway) -> None:
    ran = run("request", "open", "--kind", "erasure", "--username", "jane.demo", "--key", "once")
    assert ran.code == 0, ran.error
    assert gateway.seen["authorization"] == f"Bearer {KEY}"
    subject = pb.Subject(username="jane.demo")
    erasure = pb.RequestKind.REQUEST_KIND_ERASURE
    assert gateway.orders == [pb.CreateRequestRequest(request_key="once", kind=erasure, subject=subject)]
    assert "7K2Q-M4TD" in ran.out


def test_a_correction_names_fields_and_their_right_values(run: Run, gateway: PlayedGateway) -> None:
    said = ("--set", "contacts.name=Jane = Doe", "--set", "accounts.company=")
    assert run("request", "open", "--kind", "correction", "--contact-id", "con_1", *said).code == 0
    right = [("contacts.name", "Jane = Doe"), ("accounts.company", "")]
    assert [(one.field, one.value) for one in gateway.orders[0].corrections] == right
    assert run("request", "open", "--kind", "correction", "--own-account", "--set", "nonsense").code != 0


@pytest.mark.usefixtures("gateway")
def test_a_request_is_shown_by_holder_and_phase(run: Run) -> None:
    ran = run("request", "show", "req_1")
    assert ran.out.splitlines()[-2].split() == ["holder", "ERASE", "SWEEP"]
    assert ran.out.splitlines()[-1].split() == ["stats", "ERASED", "offered"]
    assert json.loads(run("request", "show", "req_1", "-o", "json").out)["steps"][0]["holder"] == "stats"


@pytest.mark.usefixtures("gateway")
def test_a_watched_request_prints_each_change_once(run: Run) -> None:
    ran = run("request", "watch", "req_1")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()] == [
        ["state", "EXECUTING"],
        ["ERASE", "stats", "ERASED", "(media", "3)"],
        ["SWEEP", "stats", "ERASED"],
        ["state", "FULFILLED"],
    ]
    lines = run("request", "watch", "req_1", "-o", "json").out.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["EXECUTING", "EXECUTING", "FULFILLED"]


@pytest.mark.usefixtures("gateway")
def test_who_shows_or_watches_a_request_reads_until_when_it_was_extended_and_why(run: Run) -> None:
    facts = [line.rstrip().split(maxsplit=1) for line in run("request", "show", "req_long").out.splitlines()]
    assert ["due", "2026-12-24T12:00:00Z"] in facts
    assert ["extended", "2026-10-20T12:00:00Z"] in facts
    assert ["why", "extended  It is [much]."] in facts
    lines = run("request", "watch", "req_long").out.splitlines()
    assert [one for one in lines if "extended" in one] == ["extended until 2026-12-24T12:00:00Z It is [much]."]
    assert "extended" not in run("request", "show", "req_1").out


@pytest.mark.usefixtures("gateway")
def test_opening_and_watching_end_together(run: Run) -> None:
    ran = run("request", "open", "--kind", "access", "--own-account", "--watch")
    assert ran.code == 0
    assert "FULFILLED" in ran.out


def test_evidence_is_waited_for_saved_and_verified(run: Run, gateway: PlayedGateway) -> None:
    gateway.waits = 2
    assert run("receipt", "download", "req_1").code == 0
    assert run("receipt", "verify", "evidence-req_1.zip").code == 0
    assert run("receipt", "download", "req_1", "-o", "other.zip").code == 0
    assert Path("other.zip").read_bytes() == gateway.evidence


@pytest.mark.usefixtures("gateway")
def test_evidence_that_is_lost_is_not_waited_for(run: Run) -> None:
    ran = run("receipt", "download", "lost", "-o", "evidence.zip")
    assert ran.code == 1
    assert all(part in ran.error for part in ("EVIDENCE_LOST", "Evidence is lost.", "3", "17"))
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("gateway")
def test_a_download_that_broke_off_is_not_continued_with_another(run: Run) -> None:
    ran = run("receipt", "download", "broken", "-o", "evidence.zip")
    assert (ran.code, "Gone." in ran.error) == (1, True)
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("gateway")
def test_an_error_is_told_with_reason_details_and_call(run: Run) -> None:
    ran = run("request", "show", "req_2")
    assert ran.code == 1
    for words in ("REQUEST_NOT_FOUND: The account has no such request.", "request_id: req_2", "is odd", "req_call"):
        assert words in ran.error


@pytest.mark.usefixtures("gateway")
def test_a_package_is_saved_whole_or_not_at_all(run: Run) -> None:
    assert run("request", "export", "req_1", "-o", "export.zip").code == 0
    assert Path("export.zip").read_bytes() == b"PKrest"
    assert run("request", "export", "broken", "-o", "other.zip").code == 1
    assert sorted(path.name for path in Path().iterdir()) == ["export.zip"]


@pytest.mark.usefixtures("gateway")
def test_a_profile_shows_why_a_number_is_absent(run: Run) -> None:
    out = run("profile", "show", "jane.demo").out
    assert "12,345" in out
    assert "hidden by owner" in out
    assert json.loads(run("profile", "show", "jane.demo", "-o", "json").out)["profile_id"] == "7"


@pytest.mark.usefixtures("gateway")
def test_any_method_is_called_with_json(run: Run) -> None:
    ran = run("call", "/igstats.api.v1.StatsService/GetProfile", "-d", "-", stdin='{"profile": "jane"}')
    assert json.loads(ran.out)["profile"]["username"] == "jane"
    lines = run("call", "RequestService/WatchRequest", "-d", '{"requestId": "req_1"}').out.splitlines()
    assert len(lines) == 3
    assert all(json.loads(line) for line in lines)


def test_a_gateway_that_does_not_answer_is_told_in_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGSTATS_URL", "127.0.0.1:1")
    monkeypatch.setenv("IGSTATS_KEY", KEY)
    ran = run("profile", "show", "jane")
    assert ran.code == 1
    assert "UNAVAILABLE" in ran.error
