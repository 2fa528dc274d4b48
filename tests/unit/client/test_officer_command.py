"""`igstats officer` against a privacy service that is only played."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.receipt_pb2 import Outcome, Retained, StoreCount
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats.privacy.v1 import decision_service_pb2 as decisions
from igstats.privacy.v1 import privacy_service_pb2 as requests
from igstats.privacy.v1 import record_service_pb2 as records
from igstats.privacy.v1 import status_service_pb2 as statuses
from igstats.privacy.v1.request_pb2 import Holder, Regime, Request, RequestState, TaskState, TaskStatus, Wait
from igstats_client.officer_decisions import groups
from igstats_client.officer_requests import number, persons

Run = Callable[..., Any]
"""Runs the command: the fixture of conftest.py."""

SERVICES = {"PrivacyService": requests, "DecisionService": decisions, "RecordService": records}
SERVICES |= {"StatusService": statuses}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def stamp(moment: datetime = NOON) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def a_request(number: int = 1, **fields: Any) -> Request:
    request = Request(request_id=f"req_{number}", reference="7K2Q-M4TD", right=Right.RIGHT_ERASURE, door="web")
    request.state, request.regime = RequestState.REQUEST_STATE_EXECUTING, Regime.REGIME_CCPA
    request.received_time.CopyFrom(stamp())
    request.due_time.CopyFrom(stamp())
    request.MergeFrom(Request(**fields))
    return request


@dataclass
class PlayedPrivacy:
    """Answers what a test has put down for a method, a list when it streams; keeps what it was asked and by whom."""

    answers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    torn: set[str] = field(default_factory=set)
    asked: list[Any] = field(default_factory=list)
    askers: set[bytes] = field(default_factory=set)

    def put(self, method: str, answer: Message | list[Any] | Callable[[Any], Message]) -> None:
        self.answers[method] = answer if callable(answer) else lambda _request: answer

    def handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        for name, module in SERVICES.items():
            service = module.DESCRIPTOR.services_by_name[name]
            methods = {method.name: self._handler(module, method) for method in service.methods}
            yield grpc.method_handlers_generic_handler(service.full_name, methods)

    def _handler(self, module: Any, method: Any) -> Any:
        name = method.name

        def answer(request: Any, context: Any) -> Any:
            self.askers |= set(context.auth_context()["peer_spiffe_id"])
            self.asked.append(request)
            if name not in self.answers:
                context.abort(grpc.StatusCode.NOT_FOUND, "There is no such thing.")
            return self.answers[name](request)

        def pieces(request: Any, context: Any) -> Iterator[Message]:
            yield from answer(request, context)
            if name in self.torn:
                context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

        kind = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        return kind(
            pieces if method.server_streaming else answer,
            request_deserializer=getattr(module, f"{name}Request").FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


@pytest.fixture
def privacy(serve: Callable[..., None]) -> PlayedPrivacy:
    played = PlayedPrivacy()
    serve("privacy", lambda server: server.add_generic_rpc_handlers(tuple(played.handlers())))
    return played


def test_the_queue_says_what_each_request_needs(run: Run, privacy: PlayedPrivacy) -> None:
    listed = [
        a_request(1, blocked=True, overdue=True),
        a_request(2, state=RequestState.REQUEST_STATE_IDENTITY_PENDING),
        a_request(3, state=RequestState.REQUEST_STATE_TRIAGE, wait=Wait.WAIT_SECOND_APPROVAL),
        a_request(4),
    ]
    privacy.put("ListRequests", requests.ListRequestsResponse(requests=listed))
    ran = run("officer", "request", "list", "--state", "executing", "--blocked")
    assert ran.code == 0, ran.error
    assert privacy.askers == {b"spiffe://igstats/operator"}
    assert privacy.asked == [
        requests.ListRequestsRequest(page_size=50, state=RequestState.REQUEST_STATE_EXECUTING, blocked_only=True)
    ]
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines] == ["request", "req_1", "req_2", "req_3", "req_4"]
    assert lines[1].endswith("OVERDUE, BLOCKED")
    assert lines[2].endswith("identity")
    assert lines[3].endswith("waits for second approval")
    assert lines[4].endswith("2026-11-23")
    assert "erasure" in lines[1]
    assert "ccpa" in lines[1]


def test_overdue_requests_are_found_on_whatever_page_they_are(run: Run, privacy: PlayedPrivacy) -> None:
    def answer(request: requests.ListRequestsRequest) -> requests.ListRequestsResponse:
        page = int(request.page_token or 0)
        found = [a_request(page * 2 + place, overdue=page * 2 + place in {3, 6, 7}) for place in range(2)]
        return requests.ListRequestsResponse(requests=found, next_page_token=str(page + 1) if page < 5 else "")

    privacy.put("ListRequests", answer)
    ran = run("officer", "request", "list", "--overdue", "--limit", "2", "--json")
    assert [json.loads(line)["request_id"] for line in ran.out.splitlines()] == ["req_3", "req_6"]
    everything = run("officer", "request", "list", "--overdue", "--json").out.splitlines()
    assert len(everything) == 3


def test_a_request_is_shown_with_its_tasks_and_why_one_needs_a_person(run: Run, privacy: PlayedPrivacy) -> None:
    task = TaskStatus(holder="stats", phase=Phase.PHASE_ERASE, state=TaskState.TASK_STATE_BLOCKED, attempts=3)
    task.outcome, task.explanation = Outcome.OUTCOME_NEEDS_HUMAN, "data is still in [samples]"
    task.counts.append(StoreCount(store="samples", count=7))
    shown = a_request(blocked=True, tasks=[task], status_code="abc123", parent_id="req_0", automatic=True)
    privacy.put("GetRequest", requests.GetRequestResponse(request=shown))
    ran = run("officer", "request", "show", "req_1")
    for words in ("7K2Q-M4TD", "BLOCKED", "needs human", "samples 7", "abc123", "by itself"):
        assert words in ran.out
    assert ran.out.splitlines()[-1] == "stats erase: data is still in [samples]"
    assert json.loads(run("officer", "request", "show", "req_1", "--json").out)["tasks"][0]["attempts"] == 3


def test_an_officer_reads_until_when_a_request_was_extended_and_why(run: Run, privacy: PlayedPrivacy) -> None:
    shown = a_request(extended_time=stamp(), extension_reasons="It is spread over [many] profiles.")
    privacy.put("GetRequest", requests.GetRequestResponse(request=shown))
    lines = [line.split(maxsplit=1) for line in run("officer", "request", "show", "req_1").out.splitlines()]
    assert ["extended", "2026-11-23T12:00:00Z"] in lines
    assert ["why", "extended  It is spread over [many] profiles."] in lines


def test_what_officers_do_to_requests_reaches_the_service(run: Run, privacy: PlayedPrivacy) -> None:
    for name in ("OpenRequest", "ConfirmIdentity", "RetryTask", "WithdrawRequest"):
        privacy.put(name, getattr(requests, f"{name}Response")(request=a_request()))
    who = ("--who", "instagram_user_id=17841", "--who", "email=ada@example.com")
    more = ("--regime", "ccpa", "--reply", "ada@example.com", "--language", "de", "--received", "2026-11-23T12:00Z")
    for arguments in (
        ("open", "--right", "opt-out", "--key", "letter-4711", *who, *more),
        ("prove", "req_1", "--how", "passport seen"),
        ("retry", "req_1", "--holder", "stats", "--phase", "erase"),
        ("withdraw", "req_1"),
    ):
        ran = run("officer", "request", *arguments)
        assert (ran.code, ran.error) == (0, "")
        assert "req_1" in ran.out
    assert privacy.asked == [
        requests.OpenRequestRequest(
            idempotency_key="letter-4711",
            right=Right.RIGHT_OPT_OUT,
            identifiers=[
                Identifier(kind=IdentifierKind.IDENTIFIER_KIND_INSTAGRAM_USER_ID, value="17841"),
                Identifier(kind=IdentifierKind.IDENTIFIER_KIND_EMAIL, value="ada@example.com"),
            ],
            door="officer",
            regime=Regime.REGIME_CCPA,
            reply_address="ada@example.com",
            language="de",
            received_time=stamp(),
        ),
        requests.ConfirmIdentityRequest(request_id="req_1", identity_proof="passport seen"),
        requests.RetryTaskRequest(request_id="req_1", holder="stats", phase=Phase.PHASE_ERASE),
        requests.WithdrawRequestRequest(request_id="req_1"),
    ]


def test_decisions_reach_the_service(run: Run, privacy: PlayedPrivacy) -> None:
    for name in ("ApproveRequest", "DenyRequest", "ExtendRequest"):
        privacy.put(name, getattr(decisions, f"{name}Response")(request=a_request()))
    for arguments in (
        ("approve", "req_1"),
        ("deny", "req_1", "--reason", "manifestly_unfounded", "--explanation", "It is the tenth."),
        ("extend", "req_1", "--reasons", "There are many profiles."),
    ):
        assert run("officer", "request", *arguments).code == 0
    assert privacy.asked == [
        decisions.ApproveRequestRequest(request_id="req_1"),
        decisions.DenyRequestRequest(
            request_id="req_1",
            reason=decisions.DENIAL_REASON_MANIFESTLY_UNFOUNDED,
            explanation="It is the tenth.",
        ),
        decisions.ExtendRequestRequest(request_id="req_1", reasons="There are many profiles."),
    ]


def test_a_preview_ends_well_only_when_all_holders_have_answered(run: Run, privacy: PlayedPrivacy) -> None:
    goes, stays = StoreCount(store="samples", count=7), Retained(store="invoices", ground="tax", until_time=stamp())
    stats = decisions.HolderPreview(holder="stats", answered=True, goes=[goes], stays=[stays])
    found = decisions.GetPreviewResponse(preview_id="req_9", row_count=7, holders=[stats])
    found.holders.add(holder="gateway")
    privacy.put("PreviewRequest", decisions.PreviewRequestResponse(preview_id="req_9"))
    privacy.put("GetPreview", found)
    ran = run("officer", "request", "preview", "req_1", "--ask")
    assert ran.code == 1
    for words in (
        "req_9",
        "7 rows",
        "samples 7",
        "invoices (tax, until 2026-11-23)",
        "no answer yet",
        "still answering",
    ):
        assert words in ran.out
    assert [type(one).__name__ for one in privacy.asked] == ["PreviewRequestRequest", "GetPreviewRequest"]
    found.complete = True
    assert run("officer", "request", "preview", "req_1").code == 0
    assert type(privacy.asked[-2]).__name__ == "GetPreviewRequest"


def test_holds_are_placed_released_and_listed(run: Run, privacy: PlayedPrivacy) -> None:
    kept = decisions.HeldGroup(holder="gateway", stores=["invoices", "accounts"])
    hold = decisions.Hold(hold_id="hld_1", groups=[kept], ground="legal_claims", placed_by="ada", until_time=stamp())
    hold.resumed_request_ids.append("req_7")
    privacy.put("PlaceHold", decisions.PlaceHoldResponse(hold=hold))
    privacy.put("ReleaseHold", decisions.ReleaseHoldResponse(hold=hold))
    privacy.put("ListHolds", decisions.ListHoldsResponse(holds=[hold]))
    keeping = ("--keep", "gateway:invoices, accounts", "--ground", "legal_claims", "--reason", "case 12")
    placed = run("officer", "hold", "place", "--request", "req_1", *keeping, "--until", "2027-11-23")
    assert placed.code == 0, placed.error
    assert "gateway: invoices, accounts" in placed.out
    assert "req_7" in run("officer", "hold", "release", "hld_1").out
    assert "ada" in run("officer", "hold", "list", "--all", "--due").out
    end = stamp(datetime(2027, 11, 23, tzinfo=UTC))
    assert privacy.asked == [
        decisions.PlaceHoldRequest(
            request_id="req_1",
            groups=[kept],
            ground="legal_claims",
            reason="case 12",
            until_time=end,
            review_time=end,
        ),
        decisions.ReleaseHoldRequest(hold_id="hld_1"),
        decisions.ListHoldsRequest(with_released=True, review_due=True),
    ]


def test_holders_are_listed_and_switched(run: Run, privacy: PlayedPrivacy) -> None:
    off, on = Holder(holder="stats", store_count=9, seen_time=stamp()), Holder(holder="audit", enabled=True)
    privacy.put("ListHolders", requests.ListHoldersResponse(holders=[off, on]))
    privacy.put("SetHolderEnabled", requests.SetHolderEnabledResponse(holder=on))
    lines = run("officer", "holder", "list").out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["stats", "OFF", "9"], ["audit", "on", "0"]]
    assert run("officer", "holder", "off", "stats").code == run("officer", "holder", "on", "stats").code == 0
    assert privacy.asked[1:] == [
        requests.SetHolderEnabledRequest(holder="stats", enabled=False),
        requests.SetHolderEnabledRequest(holder="stats", enabled=True),
    ]


def test_evidence_is_read_by_the_status_code_of_the_request(run: Run, privacy: PlayedPrivacy) -> None:
    privacy.put("GetRequest", requests.GetRequestResponse(request=a_request(status_code="abc123")))
    privacy.put("ReadEvidence", [statuses.ReadEvidenceResponse(chunk=part) for part in (b"PK", b"rest")])
    ran = run("officer", "request", "evidence", "req_1")
    assert (ran.code, ran.error) == (0, "")
    assert Path("evidence-req_1.zip").read_bytes() == b"PKrest"
    assert privacy.asked[1] == statuses.ReadEvidenceRequest(status_code="abc123")
    privacy.put("GetRequest", requests.GetRequestResponse(request=a_request()))
    assert "no status code" in run("officer", "request", "evidence", "req_1").error


def test_an_excerpt_is_opened_with_its_ground_and_read_into_a_file(run: Run, privacy: PlayedPrivacy) -> None:
    privacy.put("OpenExcerpt", requests.OpenExcerptResponse(request=a_request(door="excerpt")))
    privacy.put("ReadExcerpt", [requests.ReadExcerptResponse(chunk=b"PK")])
    why = ("--ground", "legal_claims", "--reason", "case 4711")
    opened = run("officer", "excerpt", "open", "--key", "case-4711", "--who", "email=ada@example.com", *why)
    assert "req_1" in opened.out, opened.error
    assert "2 bytes in x.zip" in run("officer", "excerpt", "read", "req_1", "-o", "x.zip").out
    assert Path("x.zip").read_bytes() == b"PK"
    wanted = requests.OpenExcerptRequest(idempotency_key="case-4711", reason="case 4711")
    wanted.identifiers.add(kind=IdentifierKind.IDENTIFIER_KIND_EMAIL, value="ada@example.com")
    wanted.ground = requests.EXCERPT_GROUND_LEGAL_CLAIMS
    assert privacy.asked == [wanted, requests.ReadExcerptRequest(request_id="req_1")]


def test_a_download_that_breaks_off_leaves_no_file(run: Run, privacy: PlayedPrivacy) -> None:
    privacy.put("ReadExcerpt", [requests.ReadExcerptResponse(chunk=b"PK")])
    privacy.torn.add("ReadExcerpt")
    ran = run("officer", "excerpt", "read", "req_1")
    assert ran.code == 1
    assert "UNAVAILABLE" in ran.error
    assert list(Path().iterdir()) == []


def test_a_missed_clock_is_seen_by_people_and_by_programs(run: Run, privacy: PlayedPrivacy) -> None:
    soon = records.Alert(request_id="req_1", clock="answer", percent=75, due_time=stamp())
    privacy.put("ListAlerts", records.ListAlertsResponse(alerts=[soon]))
    assert run("officer", "alerts").code == 0
    missed = records.Alert(breach_id="brc_1", clock="authority", percent=100, due_time=stamp())
    privacy.put("ListAlerts", records.ListAlertsResponse(alerts=[missed, soon]))
    ran = run("officer", "alerts")
    assert ran.code == 5
    assert [line.split() for line in ran.out.splitlines()[1:]] == [
        ["MISSED", "authority", "2026-11-23T12:00:00Z", "brc_1"],
        ["75", "%", "answer", "2026-11-23T12:00:00Z", "req_1"],
    ]
    privacy.put("ListAlerts", records.ListAlertsResponse())
    assert run("officer", "alerts").out == "nothing\n"


def test_ledger_and_metrics_are_tables_or_json(run: Run, privacy: PlayedPrivacy) -> None:
    entry = records.LedgerEntry(
        request_id="req_1", subject_token="ab" * 32, right="ERASURE", door="web", regime="CCPA", answer="DENIED",
        ground="NO_MATCH", missed=True, received_time=stamp(), due_time=stamp(),
    )  # fmt: skip
    privacy.put("ListLedger", records.ListLedgerResponse(entries=[entry]))
    numbers = records.RightMetrics(right="ERASURE", received=9, met=7, refused=1, open=1, median_days=2.25)
    privacy.put("GetMetrics", records.GetMetricsResponse(rights=[numbers]))
    ran = run("officer", "ledger", "--since", "2026-01-01", "--until", "2026-12-31")
    for words in ("erasure", "denied", "NO_MATCH", "MISSED", "abababababab"):
        assert words in ran.out
    assert privacy.asked[0].start_time == stamp(datetime(2026, 1, 1, tzinfo=UTC))
    assert run("officer", "metrics", "2026").out.splitlines()[1].split() == [
        *("erasure", "9", "7", "0", "1", "1", "0", "2.2"),
    ]
    assert json.loads(run("officer", "metrics", "2026", "--json").out)["met"] == "7"
    assert privacy.asked[1] == records.GetMetricsRequest(year=2026)


def test_the_register_goes_to_standard_output_or_into_a_file(run: Run, privacy: PlayedPrivacy) -> None:
    privacy.put("ExportRegister", lambda asked: records.ExportRegisterResponse(content=f"<{asked.format} ü>".encode()))
    assert run("officer", "register").out == "<json ü>"
    ran = run("officer", "register", "--format", "html", "-o", "register.html")
    assert Path("register.html").read_text(encoding="utf-8") == "<html ü>"
    assert "register.html" in ran.out


def test_a_breach_is_opened_amended_and_listed_with_its_story(run: Run, privacy: PlayedPrivacy) -> None:
    event = records.BreachEvent(officer="ada", written_time=stamp(), kind="discovered", text="A [laptop] was lost.")
    breach = records.Breach(breach_id="brc_1", missed=True, person_count=12, events=[event])
    breach.discovered_time.CopyFrom(stamp())
    breach.authority_due_time.CopyFrom(stamp())
    for name in ("OpenBreach", "AmendBreach"):
        privacy.put(name, getattr(records, f"{name}Response")(breach=breach))
    privacy.put("ListBreaches", records.ListBreachesResponse(breaches=[breach, breach]))
    told = ("--text", "A laptop was lost.", "--discovered", "2026-11-23T12:00Z", "--category", "user.name")
    ran = run("officer", "breach", "open", *told, "--persons", "12", "--consequences", "spam")
    for words in ("brc_1", "MISSED", "NOT YET", "about 12", "ada  discovered: A [laptop] was lost."):
        assert words in ran.out
    assert run("officer", "breach", "amend", "brc_1", "--kind", "mended", "--text", "Wiped.").code == 0
    assert run("officer", "breach", "list", "--open").out.count("brc_1") == 2
    assert privacy.asked == [
        records.OpenBreachRequest(
            discovered_time=stamp(),
            text="A laptop was lost.",
            categories=["user.name"],
            person_count=12,
            consequences="spam",
        ),
        records.AmendBreachRequest(breach_id="brc_1", kind="mended", text="Wiped."),
        records.ListBreachesRequest(open_only=True),
    ]


@pytest.mark.usefixtures("privacy")
def test_what_goes_wrong_is_told_in_words(run: Run) -> None:
    missing = run("officer", "request", "show", "req_none")
    assert (missing.code, missing.error) == (1, "igstats: NOT_FOUND: There is no such thing.\n")
    assert "is none of: fence" in run("officer", "request", "retry", "r", "--holder", "h", "--phase", "burn").error
    assert "is no time" in run("officer", "ledger", "--since", "yesterday").error


def test_what_is_typed_wrong_is_refused_before_anybody_is_asked() -> None:
    for wrong in ("gateway", "gateway:", ":invoices", "gateway: ,"):
        with pytest.raises(ValueError, match="HOLDER:STORE"):
            groups([wrong])
    for name in ("ada@example.com", "email="):
        with pytest.raises(ValueError, match="KIND=VALUE"):
            persons([name])
    with pytest.raises(ValueError, match="none of"):
        persons(["telephone=1"])
    assert number(RequestState, "REQUEST_STATE", "") == 0


def test_an_officer_without_certificate_is_told_what_to_set(run: Run) -> None:
    told = run("officer", "alerts").error
    assert "IGSTATS_PRIVACY_ADDRESS" in told
    assert "IGSTATS_OFFICER_CERT" in told
