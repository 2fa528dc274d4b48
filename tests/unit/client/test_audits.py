"""The report of a security audit: what proves it, and every way in which an answer can fail to."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceServicer, add_AuditServiceServicer_to_server
from igstats_audit.leaf import Leaf, commitment, encode
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.tree import Range, grow
from igstats_audit.tree import leaf_hash as hash_of
from igstats_client.audit_report import rendered, show
from igstats_client.audits import exit_code, prove
from igstats_client.errors import SettingsError
from igstats_client.screen import Screen
from igstats_client.settings import Office, office

MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SALT, OTHER = b"s" * 32, b"another leaf"
AUDIT = pb.SecurityAudit(
    audit_id="sec_1",
    finding_count=1,
    worst=pb.SEVERITY_LOW,
    checks=[
        pb.Check(name="keys.day", outcome=pb.CHECK_OUTCOME_PASSED, scope="1 key"),
        pb.Check(
            name="api_keys.unused",
            outcome=pb.CHECK_OUTCOME_FOUND,
            findings=[pb.CheckFinding(severity=pb.SEVERITY_LOW, place="k1", detail="old", evidence=["days=400"])],
        ),
    ],
)


def signer(seed: int = 1) -> NoteSigner:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return NoteSigner("t.example/evidence", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def key_of(one: NoteSigner) -> str:
    return one.verifier_keys[0]


def answer(
    audit: pb.SecurityAudit = AUDIT, kind: str = "security_audit.finished", producer: str = "audit"
) -> pb.GetSecurityAuditResponse:
    """What an honest audit service answers: the report is entry 1 of a log of two."""
    payload = audit.SerializeToString(deterministic=True)
    leaf = encode(Leaf(kind, producer, 0, MOMENT, commitment(SALT, payload)))
    tree = grow(Range(), [hash_of(OTHER), hash_of(leaf)]).after
    entry = pb.Entry(index=1, entry_id=audit.audit_id, kind=kind, leaf=leaf, salt=SALT, payload=payload)
    return pb.GetSecurityAuditResponse(
        audit=audit,
        entry=entry,
        acknowledgement=pb.Acknowledgement(entry_id=audit.audit_id, index=1, path=[hash_of(OTHER)]),
        checkpoint=signer().sign(Checkpoint("t.example/evidence", tree.size, tree.root).text),
        verifier_keys=[key_of(signer())],
    )


def test_an_honest_answer_proves_its_report() -> None:
    proved = prove(answer())
    assert (proved.origin, proved.index, proved.size, proved.pinned) == ("t.example/evidence", 1, 2, False)
    assert prove(answer(), key_of(signer())).pinned


BOTH_OUTSIDE = pb.GetSecurityAuditResponse(entry=pb.Entry(index=2), acknowledgement=pb.Acknowledgement(index=2))
FORGERIES: dict[str, Callable[[pb.GetSecurityAuditResponse], object]] = {
    "report": lambda given: given.audit.checks[0].__setattr__("scope", "2 keys"),
    "payload": lambda given: given.entry.__setattr__("payload", given.entry.payload + b"\x08\x01"),
    "salt": lambda given: given.entry.__setattr__("salt", b"x" * 32),
    "leaf": lambda given: given.entry.__setattr__("leaf", given.entry.leaf[:-1] + b"x"),
    "path": lambda given: given.acknowledgement.path.__setitem__(0, bytes(32)),
    "long path": lambda given: given.acknowledgement.path.append(bytes(32)),
    "index": lambda given: given.acknowledgement.__setattr__("index", 0),
    "both indexes": lambda given: given.MergeFrom(BOTH_OUTSIDE),
    "entry id": lambda given: given.entry.__setattr__("entry_id", "sec_2"),
    "checkpoint": lambda given: given.__setattr__("checkpoint", given.checkpoint.replace("\n2\n", "\n3\n")),
    "key": lambda given: given.verifier_keys.__setitem__(0, key_of(signer(2))),
    "no key": lambda given: given.verifier_keys.pop(),
    "no checkpoint": lambda given: given.ClearField("checkpoint"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_answer_is_refused(forgery: str) -> None:
    given = answer()
    FORGERIES[forgery](given)
    with pytest.raises(ValueError, match=r"."):
        prove(given)


def test_a_true_report_of_another_audit_than_the_one_asked_for_is_refused() -> None:
    assert prove(answer(), audit_id="sec_1").index == 1
    with pytest.raises(ValueError, match="the audit is sec_1, not sec_2"):
        prove(answer(), key_of(signer()), "sec_2")


@pytest.mark.parametrize("given", [answer(kind="receipt.issued"), answer(producer="stats")])
def test_an_entry_of_another_kind_or_producer_is_no_report(given: pb.GetSecurityAuditResponse) -> None:
    with pytest.raises(ValueError, match=r"kind|producer"):
        prove(given)


def test_a_log_of_another_key_than_the_trusted_one_is_refused() -> None:
    with pytest.raises(ValueError, match="trusted"):
        prove(answer(), key_of(signer(2)))


def audit_of(*severities: pb.Severity.ValueType, outcome: pb.CheckOutcome.ValueType) -> pb.SecurityAudit:
    findings = [pb.CheckFinding(severity=severity) for severity in severities]
    return pb.SecurityAudit(checks=[pb.Check(outcome=outcome, findings=findings)])


def _of_a_later_release(*numbers: int) -> list[Any]:
    return list(numbers)


@pytest.mark.parametrize(
    ("audit", "code"),
    [
        (audit_of(outcome=pb.CHECK_OUTCOME_PASSED), 0),
        (audit_of(outcome=pb.CHECK_OUTCOME_NOT_POSSIBLE), 3),
        (audit_of(pb.SEVERITY_LOW, outcome=pb.CHECK_OUTCOME_FOUND), 3),
        (audit_of(pb.SEVERITY_LOW, pb.SEVERITY_MEDIUM, outcome=pb.CHECK_OUTCOME_FOUND), 4),
        (audit_of(pb.SEVERITY_HIGH, pb.SEVERITY_LOW, outcome=pb.CHECK_OUTCOME_FOUND), 5),
        (audit_of(pb.SEVERITY_MEDIUM, outcome=pb.CHECK_OUTCOME_PASSED), 4),
        (audit_of(*_of_a_later_release(7, pb.SEVERITY_LOW), outcome=pb.CHECK_OUTCOME_FOUND), 5),
        (audit_of(*_of_a_later_release(-1), outcome=pb.CHECK_OUTCOME_FOUND), 5),
        (pb.SecurityAudit(), 3),
    ],
)
def test_the_command_ends_by_the_worst_finding(audit: pb.SecurityAudit, code: int) -> None:
    assert exit_code(audit) == code


def test_people_and_programs_read_the_same_report() -> None:
    said = StringIO()
    show(AUDIT, prove(answer()), Screen(said, 200))
    for words in ("sec_1", "PASSED  keys.day  1 key", "LOW  k1: old", "days=400", "--log-key"):
        assert words in said.getvalue()
    found = json.loads(rendered(AUDIT, prove(answer())))
    assert (found["verified"], found["log"]["index"], found["audit"]["audit_id"]) == (True, 1, "sec_1")


def test_an_officer_is_found_in_the_settings_or_in_the_development_stack(tmp_path: Path) -> None:
    given = ("audit:7443", "ca.pem", "me.pem", "me.key")
    assert office(*given, tmp_path) == Office("audit:7443", Path("ca.pem"), Path("me.pem"), Path("me.key"))
    with pytest.raises(SettingsError, match="IGSTATS_OFFICER_CERT"):
        office("audit:7443", "ca.pem", "", "", tmp_path)
    (tmp_path / ".igstats").mkdir()
    left = {"audit": "localhost:1", "ca": "c", "officer_cert": "o", "officer_key": "k"}
    (tmp_path / ".igstats" / "env").write_text(json.dumps(left))
    assert office("", "", "", "", tmp_path) == Office("localhost:1", Path("c"), Path("o"), Path("k"))


def ended_at(moment: datetime, audit_id: str = "sec_1") -> pb.SecurityAudit:
    made = pb.SecurityAudit()
    made.CopyFrom(AUDIT)
    made.audit_id = audit_id
    made.finished_time.FromDatetime(moment)
    return made


class PlayedAudit(AuditServiceServicer):
    """Runs one audit, unless another runs; has two findings, on two pages. May lie about which audit it ran and has."""

    busy = False

    def __init__(self) -> None:
        self.said = self.kept = ended_at(datetime.now(UTC))

    def RunSecurityAudit(self, request: pb.RunSecurityAuditRequest, context: Any) -> Any:
        if self.busy:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Another audit runs.")
        return pb.RunSecurityAuditResponse(audit=self.said)

    def GetSecurityAudit(self, request: pb.GetSecurityAuditRequest, context: Any) -> Any:
        return answer(self.kept)

    def ListSecurityAudits(self, request: pb.ListSecurityAuditsRequest, context: Any) -> Any:
        return pb.ListSecurityAuditsResponse(audits=[pb.SecurityAudit(audit_id="sec_1", worst=pb.SEVERITY_HIGH)])

    def ListFindings(self, request: pb.ListFindingsRequest, context: Any) -> Any:
        number = 2 if request.page_token else 1
        found = pb.Finding(finding_id=f"fnd_{number}", log=pb.LOG_ACCESS, kind=pb.FINDING_KIND_TILE_CHANGED)
        found.place, found.detail = "tile/0/000", "another hash [there]"
        return pb.ListFindingsResponse(findings=[found], next_page_token="" if request.page_token else "more")


@pytest.fixture
def played(serve: Callable[..., None]) -> PlayedAudit:
    made = PlayedAudit()  # type: ignore[abstract]  # the other methods are not asked for
    serve("audit", lambda server: add_AuditServiceServicer_to_server(made, server))
    return made


def test_an_officer_runs_an_audit_and_reads_its_proved_report(run: Callable[..., Any], played: PlayedAudit) -> None:
    ran = run("audit", "run", "--log-key", key_of(signer()))
    assert (ran.code, ran.error) == (3, "")
    assert "proved: entry 1 of t.example/evidence" in ran.out
    assert "trusted" in run("audit", "run", "--log-key", key_of(signer(2))).error
    played.busy = True
    refused = run("audit", "run")
    assert (refused.code, "Another audit runs." in refused.error) == (1, True)


def test_who_asks_for_a_report_gets_no_other(run: Callable[..., Any], played: PlayedAudit) -> None:
    assert run("audit", "report", "sec_1").code == 3
    played.kept = ended_at(MOMENT, "sec_0")
    for forged in (run("audit", "report", "sec_1"), run("audit", "run", "--log-key", key_of(signer()))):
        assert (forged.code, forged.out) == (1, "")
        assert "the audit is sec_0, not sec_1" in forged.error


def test_an_older_audit_is_not_the_one_that_was_run(run: Callable[..., Any], played: PlayedAudit) -> None:
    played.said = played.kept = ended_at(datetime.now(UTC) - timedelta(minutes=6))
    ran = run("audit", "run")
    assert (ran.code, ran.out, "had ended before" in ran.error) == (1, "", True)
    played.said = ended_at(MOMENT, "")
    assert "does not say which audit" in run("audit", "run").error


def test_how_old_the_newest_report_is_is_said_and_that_nothing_proves_it(
    run: Callable[..., Any], played: PlayedAudit
) -> None:
    played.kept = ended_at(datetime.now(UTC) - timedelta(days=3))
    assert "not proved: that it is the newest, as the service says; it ended 72 hours ago" in run("audit", "report").out
    assert "newest" not in run("audit", "report", "sec_1").out


@pytest.mark.usefixtures("played")
def test_an_officer_lists_audits_and_what_the_monitor_found(run: Callable[..., Any]) -> None:
    assert run("audit", "list").out.splitlines()[1].split() == ["sec_1", "0", "high"]
    found = run("audit", "findings").out.splitlines()
    assert [line.split()[:4] for line in found[1:3]] == [
        [f"fnd_{number}", "access", "TILE_CHANGED", "tile/0/000"] for number in (1, 2)
    ]
    assert found[3:] == [f"fnd_{number}: another hash [there]" for number in (1, 2)]
    assert json.loads(run("audit", "findings", "--limit", "1", "--json").out)["finding_id"] == "fnd_1"
