"""Privacy without its processes: real database, real use cases, made-up holders that sign like real ones."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest_asyncio
from google.protobuf.message import Message
from igstats.event.v1.events_pb2 import ReceiptsIssued, RequestClosed, RequestsChanged, RequestsClosed, TasksOffered
from igstats.holder.v1.description_pb2 import HolderDescription
from igstats.holder.v1.holder_tasks_service_pb2 import RegisterHolderRequest
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt, Retained, SignedReceipt
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Event
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tables import outbox
from igstats_kit.testing.clock import FakeClock
from igstats_kit.tokens import Tokens
from igstats_privacy import messages
from igstats_privacy.changes import Changes
from igstats_privacy.children import Children
from igstats_privacy.consumer import ReceiptConsumer
from igstats_privacy.decisions.holds import Holds
from igstats_privacy.decisions.messages import personal_stores
from igstats_privacy.drafts import Drafts
from igstats_privacy.exports import Exports
from igstats_privacy.fanout import Fanout
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.leases import Leases
from igstats_privacy.ledger import Ledger
from igstats_privacy.model import Identifier, Naming, NewRequest, Shown, State, Task
from igstats_privacy.model import Right as ModelRight
from igstats_privacy.officer_ids import OfficerIds
from igstats_privacy.packages import described
from igstats_privacy.packages.links import Links
from igstats_privacy.packages.packages import Packages
from igstats_privacy.policy import Policy
from igstats_privacy.proofs.fallback import ProofFallback
from igstats_privacy.receipts import Receipts
from igstats_privacy.recipients import Recipients
from igstats_privacy.reconciler import Reconciler
from igstats_privacy.registry import Registry
from igstats_privacy.requests import Requests
from igstats_privacy.shares import Shares
from igstats_privacy.status_codes import StatusCodes
from igstats_privacy.triage import Resolution, Triage
from sqlalchemy import delete, select
from ulid import ULID

from tests.integration.privacy import served

ULID_TEXT, ACCOUNT = served.ULID_TEXT, served.ACCOUNT
chosen, service, gateway = served.chosen, served.service, served.gateway
BACKUP_DAYS = 7
NOTICE = timedelta(days=7)

_OUTCOMES = {
    Phase.PHASE_FENCE: Outcome.OUTCOME_DONE,
    Phase.PHASE_ERASE: Outcome.OUTCOME_ERASED,
    Phase.PHASE_SWEEP: Outcome.OUTCOME_DONE,
    Phase.PHASE_EXPORT: Outcome.OUTCOME_EXPORTED,
    Phase.PHASE_CORRECT: Outcome.OUTCOME_CORRECTED,
    Phase.PHASE_RESTRICT: Outcome.OUTCOME_RESTRICTED,
    Phase.PHASE_LIFT: Outcome.OUTCOME_LIFTED,
    Phase.PHASE_OBJECT: Outcome.OUTCOME_OPTED_OUT,
    Phase.PHASE_RESUME: Outcome.OUTCOME_OPTED_IN,
}
_FINALS = {
    Right.RIGHT_ERASURE: Outcome.OUTCOME_ERASED,
    Right.RIGHT_ACCESS: Outcome.OUTCOME_EXPORTED,
    Right.RIGHT_PORTABILITY: Outcome.OUTCOME_EXPORTED,
    Right.RIGHT_CORRECTION: Outcome.OUTCOME_CORRECTED,
    Right.RIGHT_RESTRICTION: Outcome.OUTCOME_RESTRICTED,
    Right.RIGHT_LIFTING: Outcome.OUTCOME_LIFTED,
    Right.RIGHT_OPT_OUT: Outcome.OUTCOME_OPTED_OUT,
    Right.RIGHT_OPT_IN: Outcome.OUTCOME_OPTED_IN,
}


class FakeHolder:
    """Does nothing and signs everything."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.name = name
        self.signer = served.new_signer()
        self.clock = clock
        self.grounds: tuple[str, ...] = ()

    def receipt(self, task_id: str, right: Right.ValueType, outcome: Outcome.ValueType | None = None) -> Receipt:
        request_id, holder, phase = task_id.split("/")
        made = Receipt(task_id=task_id, request_id=request_id, holder=holder, right=right)
        made.phase = Phase.Value(f"PHASE_{phase}")
        made.outcome = outcome or _OUTCOMES.get(made.phase) or _FINALS[right]
        made.executed_time.FromDatetime(self.clock.now())
        if made.outcome == Outcome.OUTCOME_RETAINED:
            made.retained.extend(Retained(store="media", ground=ground, count=1) for ground in self.grounds)
        return made

    def event(self, signed: Iterable[SignedReceipt], *, publisher: str = "", event_id: str = "") -> Event:
        subject = f"igstats.{publisher or self.name}.v1.receipt.issued"
        data = ReceiptsIssued(receipts=signed).SerializeToString()
        return Event(event_id or str(ULID()), subject, "igstats.event.v1.ReceiptsIssued", self.clock.now(), data)

    def issue(
        self,
        task_ids: Iterable[str],
        right: Right.ValueType = Right.RIGHT_ERASURE,
        outcome: Outcome.ValueType | None = None,
    ) -> Event:
        return self.event([self.signer.sign(self.receipt(task_id, right, outcome)) for task_id in task_ids])


@dataclass
class FakeProfiles:
    """Stats, as triage sees it."""

    known: dict[str, Identifier] = field(default_factory=dict)
    connected: bool = True
    recipients: tuple[str, ...] = ()
    failure: Reason | None = None
    unreadable: str = ""
    asked: int = 0

    async def resolve(self, namings: Sequence[Naming]) -> list[Resolution]:
        self.asked += 1
        if self.failure is not None:
            raise DomainError(self.failure)
        if any(one.value == self.unreadable for naming in namings for one in naming.identifiers):
            raise DomainError(Reason.FIELD_INVALID)
        return [self._one(naming.identifiers) for naming in namings]

    def _one(self, identifiers: Sequence[Identifier]) -> Resolution:
        found = [self.known[one.value] for one in identifiers if one.value in self.known]
        return Resolution((*identifiers, *found), self.connected, self.recipients)


class Office:
    """Every use case of privacy, wired as in app, on a clock that tests move."""

    def __init__(self, database: Database, clock: FakeClock | None = None, policy: Policy | None = None) -> None:
        self.database = database
        self.clock = clock or FakeClock()
        self.profiles = FakeProfiles()
        sealer, self.tokens = Sealer(b"s" * 32), Tokens(b"t" * 32)
        self.identifiers = Identifiers(sealer, self.tokens)
        self.officer_ids = OfficerIds(sealer)
        self.changes = Changes()
        fanout = Fanout(self.clock, lambda: 0.0, messages.grounds)
        self.registry = Registry(database, fanout, self.changes, self.clock)
        self.shares = Shares(database, sealer, self.clock, 7)
        self.exports = Exports(database, sealer, self.identifiers, self.clock)
        self.packages = Packages(self.exports, described)
        self.links = Links(database, self.exports, self.packages, self.identifiers, self.clock)
        self.drafts = Drafts(self.identifiers, self.clock)
        self.children = Children(self.drafts, fanout, self.clock)
        self.recipients = Recipients(database, self.identifiers)
        self.triage = Triage(
            database,
            fanout,
            self.profiles,
            self.identifiers,
            self.recipients,
            self.changes,
            self.clock,
            children=self.children,
            policy=policy or Policy(notice=NOTICE),
        )
        self.codes = StatusCodes(bytes(32))
        self.requests = Requests(
            database,
            fanout,
            self.identifiers,
            self.changes,
            self.clock,
            self.triage.wake,
            self.codes,
            self.drafts,
            self.children,
        )
        self.leases = Leases(database, self.identifiers, self.changes, self.clock)
        self.ledger = Ledger(database, self.clock)
        self.receipts = Receipts(fanout, self.clock, BACKUP_DAYS)
        self.signer = served.new_signer()
        self.consumer = ReceiptConsumer(database, self.registry, self.receipts, self.changes, self.clock, self.signer)
        self.holds = self._holds()
        fallback = ProofFallback(self.drafts, self.identifiers, self.clock)
        self.reconciler = Reconciler(database, fanout, self.exports, self.changes, self.clock, fallback, self.holds)
        self.sealer, self.fanout = sealer, fanout
        self.holders: dict[str, FakeHolder] = {}

    def _holds(self) -> Holds:
        return Holds(
            self.database,
            self.registry,
            self.profiles,
            self.identifiers,
            self.children,
            self.clock,
            self.triage.wake,
            personal_stores,
            self.officer_ids,
        )

    async def register(self, *names: str) -> None:
        for name in names:
            holder = self.holders.setdefault(name, FakeHolder(name, self.clock))
            message = RegisterHolderRequest(
                description=HolderDescription(holder=name), public_key=holder.signer.public_key
            )
            await self.registry.register(*messages.announced(message, self.clock.now()))

    async def open(
        self,
        right: ModelRight = ModelRight.ERASURE,
        *identifiers: Identifier,
        key: str = "",
        account_id: str = ACCOUNT,
        proof: str = "",
    ) -> str:
        named = identifiers or (Identifier("ACCOUNT_ID", account_id),)
        new = NewRequest(right, "api", account_id, named, key or str(ULID()), proof)
        return (await self.requests.open(new)).request.request_id

    async def accepted(self, right: ModelRight = ModelRight.ERASURE, *identifiers: Identifier) -> str:
        request_id = await self.open(right, *identifiers)
        await self.triage.run_once()
        return request_id

    async def show(self, request_id: str) -> Shown:
        return await self.requests.get(request_id)

    async def state(self, request_id: str) -> State:
        return (await self.show(request_id)).request.state

    async def task(self, request_id: str, holder: str, phase: str) -> Task:
        tasks = (await self.show(request_id)).tasks
        return next(task for task in tasks if (task.holder, task.phase) == (holder, phase))

    async def offered(self) -> dict[str, list[str]]:
        """Takes the offers out of the outbox, by holder."""
        found: dict[str, list[str]] = {}
        for data in await self.posted(TasksOffered):
            offer = TasksOffered.FromString(data)
            found.setdefault(offer.holder, []).extend(offer.task_ids)
        return found

    async def closings(self) -> list[RequestClosed]:
        found = [RequestsClosed.FromString(data) for data in await self.posted(RequestsClosed)]
        return [one for message in found for one in message.closings]

    async def changed(self) -> list[tuple[str, str]]:
        found = [RequestsChanged.FromString(data) for data in await self.posted(RequestsChanged)]
        return [(one.old_state, one.new_state) for message in found for one in message.changes]

    async def posted(self, kind: type[Message]) -> list[bytes]:
        """Takes the facts of one kind out of the outbox."""
        name = kind.DESCRIPTOR.full_name
        async with self.database.transaction() as connection:
            taken = delete(outbox).where(outbox.c.type == name).returning(outbox.c.position, outbox.c.data)
            return [bytes(row.data) for row in sorted(await connection.execute(taken))]

    async def waiting_facts(self) -> int:
        async with self.database.read() as connection:
            return len((await connection.execute(select(outbox.c.position))).all())

    async def work(self, right: Right.ValueType = Right.RIGHT_ERASURE, *, rounds: int = 4) -> None:
        """Lets every holder do what it is offered, phase by phase."""
        for _ in range(rounds):
            for name, task_ids in (await self.offered()).items():
                leased = await self.leases.lease(name, task_ids)
                await self.consumer.handle([self.holders[name].issue([str(one.task) for one in leased], right)])


@pytest_asyncio.fixture(loop_scope="session")
async def office(database: Callable[[str], Awaitable[Database]]) -> Office:
    return Office(await database("privacy"))
