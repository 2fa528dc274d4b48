import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta

import pytest
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats_audit import audit_messages
from igstats_audit.audits import FINISHED, Audits
from igstats_audit.checks.catalogue import CHECKS
from igstats_audit.checks.history import Signed, StoredAudit
from igstats_audit.checks.report import Finding, Look, Looked, NotPossibleError, Outcome, Severity
from igstats_audit.model import Acknowledgement, Appended, Entry, NewEntry
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock

LOGS = {"evidence": Signed(3, b"r" * 32)}
FOUND = Finding(Severity.MEDIUM, "k1", "is unused: revoke it", ("last_used=never",))


async def passes() -> Looked:
    return Looked("everything")


async def finds() -> Looked:
    return Looked("keys", [FOUND])


async def sees_half() -> Looked:
    return Looked("half", blind=["the other half"])


async def cannot() -> Looked:
    raise NotPossibleError("nobody set the setting")


async def waits() -> Looked:
    raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="gateway")


async def crashes() -> Looked:
    raise RuntimeError("ann@example.com")


class World:
    """Audits on a log and a list in memory."""

    def __init__(self, **looks: Look) -> None:
        self.clock = FakeClock()
        self.entries: list[NewEntry] = []
        self.stored: list[StoredAudit] = []
        self.busy = False
        self.seen: Mapping[str, Signed] = LOGS
        self.kept: list[str] = []
        named = {name.replace("__", "."): look for name, look in looks.items()}
        self.audits = self.made(dict.fromkeys(CHECKS, passes) | named)

    def made(self, looks: Mapping[str, Look]) -> Audits:
        day = timedelta(days=1)
        write = audit_messages.write
        return Audits(looks, self, self.append, self, write, self, self.clock, interval=day)

    async def append(self, entries: Sequence[NewEntry]) -> Appended:
        first = len(self.entries)
        self.entries += entries
        return Appended([Acknowledgement(one.entry_id, first + n, []) for n, one in enumerate(entries)], "")

    async def inclusion(self, index: int, _size: int) -> tuple[Sequence[bytes], int, str]:
        return [bytes([index])], len(self.entries), "checkpoint"

    async def entry(self, index: int) -> Entry:
        new = self.entries[index]
        ids = (new.entry_id, new.kind, new.request_id, new.producer)
        return Entry(index, date.min, *ids, new.sequence, b"leaf", b"salt", new.payload, new.occurred_at)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        yield not self.busy

    async def add(self, audit: StoredAudit) -> None:
        self.stored.insert(0, audit)

    async def find(self, audit_id: str) -> StoredAudit | None:
        return next((one for one in self.stored if audit_id in ("", one.audit_id)), None)

    async def logs(self) -> Mapping[str, Signed]:
        return next((one.logs for one in self.stored if one.logs), {})

    async def keep(self, audit_id: str) -> None:
        assert audit_id == self.stored[0].audit_id
        self.kept.append(audit_id)

    async def page(self, before: str, limit: int) -> Sequence[StoredAudit]:
        return [one for one in self.stored if not before or one.audit_id < before][:limit]


async def test_an_audit_runs_every_check_and_is_an_entry_of_the_evidence_log() -> None:
    world = World()
    report = await world.audits.audit()
    assert [check.name for check in report.checks] == sorted(CHECKS)
    (entry,) = world.entries
    assert (entry.entry_id, entry.kind, entry.producer) == (report.audit_id, FINISHED, "audit")
    assert pb.SecurityAudit.FromString(entry.payload) == audit_messages.message(report)
    assert world.stored[0].logs == LOGS


async def test_what_an_audit_saw_of_the_logs_is_kept_outside_of_the_list_too_when_the_list_has_it() -> None:
    world = World()
    report = await world.audits.audit()
    assert world.kept == [report.audit_id]


async def test_an_audit_that_could_not_look_at_the_logs_hands_on_what_the_last_one_saw() -> None:
    world = World()
    await world.audits.audit()
    world.seen = {}
    await world.audits.audit()
    assert [one.logs for one in world.stored] == [LOGS, LOGS]


@pytest.mark.parametrize(
    ("look", "outcome", "scope"),
    [
        (passes, Outcome.PASSED, "everything"),
        (finds, Outcome.FOUND, "keys"),
        (sees_half, Outcome.NOT_POSSIBLE, "half; not looked at: the other half"),
        (cannot, Outcome.NOT_POSSIBLE, "nobody set the setting"),
        (waits, Outcome.NOT_POSSIBLE, "DEPENDENCY_UNAVAILABLE gateway"),
        (crashes, Outcome.NOT_POSSIBLE, "failed with RuntimeError: see the log of audit"),
    ],
)
async def test_a_check_ends_by_itself_and_never_ends_the_audit(look: Look, outcome: Outcome, scope: str) -> None:
    report = await World(keys__age=look).audits.audit()
    (check,) = [check for check in report.checks if check.name == "keys.age"]
    assert (check.outcome, check.scope) == (outcome, scope)
    assert len(report.checks) == len(CHECKS)


async def test_a_check_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs() -> Looked:
        await asyncio.Event().wait()
        return Looked("never")

    monkeypatch.setattr("igstats_audit.audits._CHECK_SECONDS", 0.0)
    report = await World(keys__age=hangs).audits.audit()
    assert {check.scope for check in report.checks if check.name == "keys.age"} == {"took longer than 0 s"}


async def test_the_report_counts_what_was_found_and_names_the_worst() -> None:
    report = await World(keys__age=finds, log__findings=finds).audits.audit()
    assert (len(report.findings), report.worst) == (2, Severity.MEDIUM)
    message = audit_messages.message(report)
    assert (message.finding_count, message.worst) == (2, pb.SEVERITY_MEDIUM)
    (found,) = next(check for check in message.checks if check.name == "keys.age").findings
    assert (found.place, list(found.evidence)) == ("k1", ["last_used=never"])


def test_an_audit_without_one_of_the_checks_does_not_start() -> None:
    world = World()
    with pytest.raises(ValueError, match=r"keys\.age"):
        world.made({name: passes for name in CHECKS if name != "keys.age"})


async def test_the_next_audit_comes_when_the_last_is_a_day_old() -> None:
    world = World()
    assert await world.audits.audit_when_due() is not None
    assert await world.audits.audit_when_due() is None
    world.clock.advance(timedelta(hours=23))
    assert await world.audits.audit_when_due() is None
    world.clock.advance(timedelta(hours=1))
    assert await world.audits.audit_when_due() is not None


async def test_only_one_process_audits_at_a_time() -> None:
    world = World()
    world.busy = True
    assert await world.audits.audit_when_due() is None
    with pytest.raises(DomainError) as refused:
        await world.audits.audit()
    assert refused.value.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_a_report_is_found_again_with_its_proof() -> None:
    world = World()
    first, second = await world.audits.audit(), await world.audits.audit()
    newest, named = await world.audits.get(""), await world.audits.get(first.audit_id)
    assert (newest.entry.entry_id, named.entry.entry_id) == (second.audit_id, first.audit_id)
    assert (named.acknowledgement.index, named.acknowledgement.path, named.checkpoint) == (0, [b"\0"], "checkpoint")
    with pytest.raises(DomainError) as unknown:
        await world.audits.get("sec_x")
    assert unknown.value.reason is Reason.SECURITY_AUDIT_NOT_FOUND


async def test_audits_are_listed_in_pages_the_newest_first() -> None:
    world = World()
    made = sorted([(await world.audits.audit()).audit_id for _ in range(3)], reverse=True)
    world.stored.sort(key=lambda one: one.audit_id, reverse=True)
    page, token = await world.audits.page(2, "")
    rest, end = await world.audits.page(2, token)
    assert ([one.audit_id for one in (*page, *rest)], end) == (made, "")
    assert audit_messages.summary(page[0]).audit_id == made[0]
