"""What the kit derives from declarations, on a real database."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from igstats.event.v1.events_pb2 import ReceiptsIssued
from igstats.holder.v1.receipt_pb2 import Outcome, Receipt
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats_kit.clock import SystemClock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.events import Bus, Event
from igstats_kit.holder import HolderRunner
from igstats_kit.ledger import LedgerReplay
from igstats_kit.receipt import Signer
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.subjects import Subjects
from igstats_kit.tables import outbox, subject_keys, task_receipts
from igstats_kit.testing import toy
from igstats_kit.testing.coordinator import ERASURE, Coordinator, offer
from igstats_kit.tokens import Tokens
from sqlalchemy import Table, func, select

MakeDatabase = Callable[[str], Awaitable[Database]]


class Bench:
    """A toy holder, its coordinator and the offers that it gets."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tokens = Tokens(b"t" * 32)
        self.coordinator = Coordinator(self.tokens)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.subjects = Subjects(toy.DECLARATIONS, Sealer(b"s" * 32))
        stub, clock, bus = self.coordinator.stub, SystemClock(), cast("Bus", None)
        self.runner = HolderRunner("toy", self.subjects, database, bus, stub, Signer(pem), clock)
        self.replay = LedgerReplay("toy", self.subjects, database, stub, clock)
        self._offers = 0

    async def seed(self, number: int) -> None:
        await toy.seed(self.database, self.tokens, toy.somebody(number))

    async def offer(self, *task_ids: str) -> None:
        self._offers += 1
        event = Event(f"e{self._offers}", "s", "t", datetime.now(UTC), offer("toy", task_ids))
        await self.runner.handle([event])

    async def receipts(self) -> list[Receipt]:
        async with self.database.read() as connection:
            rows = (
                await connection.execute(
                    select(outbox.c.data).where(outbox.c.subject.like("%.receipt.issued")).order_by(outbox.c.position)
                )
            ).scalars()
            issued = [ReceiptsIssued.FromString(bytes(data)) for data in rows]
        return [Receipt.FromString(signed.receipt) for one in issued for signed in one.receipts]

    async def count(self, table: Table) -> int:
        async with self.database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
async def bench(database: MakeDatabase) -> Bench:
    made = Bench(await database("kit"))
    async with made.database.transaction() as connection:
        await connection.run_sync(toy.METADATA.create_all)
    await made.runner.register()
    return made


async def test_an_erasure_deletes_the_person_and_nobody_else(bench: Bench) -> None:
    await bench.seed(1)
    await bench.seed(2)
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    for task in tasks:
        await bench.offer(task)
    outcomes = [receipt.outcome for receipt in await bench.receipts()]
    assert outcomes == [Outcome.OUTCOME_DONE, Outcome.OUTCOME_ERASED, Outcome.OUTCOME_DONE, Outcome.OUTCOME_ERASED]
    erased = (await bench.receipts())[1]
    assert {count.store: count.count for count in erased.counts} == {"people": 1, "notes": 2}
    assert await bench.count(toy.people) == 1
    assert await bench.count(toy.notes) == 2
    assert await bench.count(subject_keys) == 0


async def test_a_batch_settles_many_requests_in_one_go(bench: Bench) -> None:
    people = range(1, 21)
    for number in people:
        await bench.seed(number)
    plans = [bench.coordinator.plan("toy", f"req_{n}", toy.somebody(n), ERASURE, Right.RIGHT_ERASURE) for n in people]
    for phase in range(len(ERASURE)):
        await bench.offer(*(plan[phase] for plan in plans))
    attested = [receipt for receipt in await bench.receipts() if receipt.phase == Phase.PHASE_ATTEST]
    assert {receipt.outcome for receipt in attested} == {Outcome.OUTCOME_ERASED}
    assert len(attested) == len(people)
    assert await bench.count(toy.people) == 0


async def test_an_erased_person_is_refused(bench: Bench) -> None:
    await bench.seed(1)
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await bench.offer(tasks[0])
    with pytest.raises(DomainError) as refused:
        await bench.seed(1)
    assert refused.value.reason is Reason.SUBJECT_ERASED


async def test_a_person_not_held_is_said_to_be_not_held(bench: Bench) -> None:
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(9), ERASURE, Right.RIGHT_ERASURE)
    for task in tasks:
        await bench.offer(task)
    assert (await bench.receipts())[-1].outcome == Outcome.OUTCOME_NOT_HELD


async def test_a_second_deletion_of_the_same_person_ends_well(bench: Bench) -> None:
    await bench.seed(1)
    for request in ("req_1", "req_2"):
        for task in bench.coordinator.plan("toy", request, toy.somebody(1), ERASURE, Right.RIGHT_ERASURE):
            await bench.offer(task)
    attested = [receipt.outcome for receipt in await bench.receipts() if receipt.phase == Phase.PHASE_ATTEST]
    assert attested == [Outcome.OUTCOME_ERASED, Outcome.OUTCOME_NOT_HELD]


async def test_a_repeated_task_gets_the_same_receipt(bench: Bench) -> None:
    await bench.seed(1)
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await bench.offer(*tasks[:2])
    await bench.offer(*tasks[:2])
    first, again = (await bench.receipts())[:2], (await bench.receipts())[2:]
    assert sorted(first, key=lambda r: r.phase) == sorted(again, key=lambda r: r.phase)
    assert await bench.count(task_receipts) == 2


async def test_a_sweep_names_the_place_of_a_stray_copy_and_not_its_value(bench: Bench) -> None:
    await bench.seed(1)
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await bench.offer(tasks[0])
    await bench.offer(tasks[1])
    async with bench.database.transaction() as connection:
        stray = {"subject_token": b"other", "email": "person-1@toy.example"}
        await connection.execute(toy.people.insert(), stray)
    await bench.offer(tasks[2])
    swept = (await bench.receipts())[-1]
    assert swept.outcome == Outcome.OUTCOME_NEEDS_HUMAN
    assert [count.store for count in swept.counts] == ["people.email"]
    assert "toy.example" not in swept.SerializeToString().decode(errors="replace")


async def test_a_sweep_that_needed_a_person_is_done_anew_when_it_is_offered_again(bench: Bench) -> None:
    await bench.seed(1)
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    await bench.offer(*tasks[:2])
    stray = {"subject_token": b"other", "email": "person-1@toy.example"}
    async with bench.database.transaction() as connection:
        await connection.execute(toy.people.insert(), stray)
    await bench.offer(tasks[2])
    async with bench.database.transaction() as connection:
        await connection.execute(toy.people.delete())
    await bench.offer(tasks[2])
    outcomes = [receipt.outcome for receipt in await bench.receipts() if receipt.phase == Phase.PHASE_SWEEP]
    assert outcomes == [Outcome.OUTCOME_NEEDS_HUMAN, Outcome.OUTCOME_DONE]


async def test_a_restored_database_heals_from_the_ledger_and_its_receipt_counts_it(bench: Bench) -> None:
    await bench.seed(1)
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(1), ERASURE, Right.RIGHT_ERASURE)
    bench.coordinator.erased("req_1", toy.somebody(1))
    assert await bench.replay.apply() == 1
    assert await bench.replay.apply() == 0
    assert await bench.count(toy.people) == 0
    for task in tasks:
        await bench.offer(task)
    erased = next(receipt for receipt in await bench.receipts() if receipt.phase == Phase.PHASE_ATTEST)
    assert {count.store: count.count for count in erased.counts} == {"people": 1, "notes": 2}


async def test_an_export_holds_the_persons_rows_and_nobody_elses(bench: Bench) -> None:
    await bench.seed(1)
    await bench.seed(2)
    phases = (Phase.PHASE_EXPORT, Phase.PHASE_ATTEST)
    tasks = bench.coordinator.plan("toy", "req_1", toy.somebody(1), phases, Right.RIGHT_ACCESS)
    for task in tasks:
        await bench.offer(task)
    lines = [json.loads(line) for _, piece in bench.coordinator.exports[tasks[0]] for line in piece.splitlines()]
    assert [row["body"] for row in lines if "body" in row] == [
        "first note to person-1@toy.example",
        "second note to person-1@toy.example",
    ]
    assert "person-2" not in json.dumps(lines)
    assert (await bench.receipts())[-1].outcome == Outcome.OUTCOME_EXPORTED


async def test_a_restriction_keeps_the_data_and_refuses_new(bench: Bench) -> None:
    await bench.seed(1)
    restrict = bench.coordinator.plan("toy", "req_1", toy.somebody(1), [Phase.PHASE_RESTRICT], Right.RIGHT_RESTRICTION)
    await bench.offer(*restrict)
    with pytest.raises(DomainError) as refused:
        await bench.seed(1)
    assert refused.value.reason is Reason.SUBJECT_RESTRICTED
    assert await bench.count(toy.people) == 1
    lift = bench.coordinator.plan("toy", "req_2", toy.somebody(1), [Phase.PHASE_LIFT], Right.RIGHT_LIFTING)
    await bench.offer(*lift)
    await bench.seed(1)
    assert await bench.count(toy.notes) == 4
