"""privacy's own database was restored too old: what holders remember brings the lost part of the ledger back."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats_kit.config import read_secret
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tables import holder_state, tombstones
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.model import Erasure, Right, State
from igstats_privacy.officer_ids import OfficerIds
from igstats_privacy.remembered import Memory
from igstats_privacy.tables import erasure_ledger, request_tokens, requests, tasks
from sqlalchemy import delete, insert, select, text

from tests.integration.privacy import test_holds
from tests.integration.privacy.conftest import Office
from tests.integration.privacy.test_holds import HANDLE, new_hold, step

held_office = test_holds.held_office

KEPT = timedelta(days=730)
MakeConfig = Callable[[str], Awaitable[Any]]


async def restore(office: Office, *, head: int) -> None:
    """The ledger as a backup knew it."""
    async with office.database.transaction() as connection:
        await connection.execute(text("DELETE FROM erasure_ledger WHERE sequence > :head"), {"head": head})
        await connection.execute(text("UPDATE ledger_head SET sequence = :head"), {"head": head})


def remembered(*lost: Erasure, applied: int) -> Memory:
    return Memory(applied, lost)


async def test_every_holder_gets_what_was_lost_and_no_number_twice(office: Office) -> None:
    await office.register("stats")
    for _ in range(3):
        await office.accepted()
    all_three = await office.ledger.after("stats", 0, 0)
    await restore(office, head=1)
    await office.posted(RecordMade)
    assert await office.ledger.rebuild(remembered(*all_three, applied=3), KEPT) == (2, 5)
    found = await office.ledger.after("stats", 3, 0)
    assert [(one.sequence, one.request_id, one.tokens) for one in found] == [
        (number, one.request_id, one.tokens) for number, one in enumerate(all_three[1:], 4)
    ]
    (said,) = [one for data in await office.posted(RecordMade) for one in RecordMade.FromString(data).records]
    assert (said.kind, json.loads(said.payload_json)) == (
        "ledger.rebuilt",
        {"added": 2, "head": 1, "new_head": 5, "applied": 3},
    )
    assert await office.ledger.rebuild(remembered(*all_three, applied=3), KEPT) == (0, 5)
    await office.accepted()
    assert (await office.ledger.after("stats", 5, 0))[-1].sequence == 6


async def test_a_restored_request_that_the_ledger_knows_again_is_accepted_once_more_and_comes_to_its_end(
    office: Office,
) -> None:
    await office.register("stats")
    request_id = await office.open(Right.ERASURE)
    lost = Erasure(0, request_id, (b"token",), office.clock.now())
    await office.ledger.rebuild(remembered(lost, applied=7), KEPT)
    other = await office.open(Right.ERASURE, account_id="acc_" + "7" * 26)
    await office.triage.run_once()
    assert [(one.sequence, one.request_id) for one in await office.ledger.after("stats", 7, 0)] == [
        (8, request_id),
        (9, other),
    ]
    await office.work()
    assert await office.state(request_id) is State.SETTLING


async def test_a_hold_that_the_backup_has_keeps_data_from_an_erasure_that_it_lacks_and_its_release_goes_on(
    held_office: Office,
) -> None:
    office = held_office
    hold = await office.holds.place(new_hold(office), "ada")
    lost = await office.accepted(Right.ERASURE, HANDLE)
    await step(office, "FENCE")
    known_to_stats = await office.ledger.after("stats", 0, 0)
    await restore(office, head=0)
    async with office.database.transaction() as connection:
        for table in (tasks, request_tokens, requests):
            await connection.execute(delete(table))
    await office.ledger.rebuild(remembered(*known_to_stats, applied=0), KEPT)
    (elsewhere,) = await office.ledger.after("gateway", 0, 0)
    (entry,) = await office.ledger.after("stats", 0, 0)
    assert (entry.request_id, entry.pending, [one.hold_id for one in entry.holds]) == (lost, False, [hold.hold_id])
    assert elsewhere.holds == ()
    (resumed,) = (await office.holds.release(hold.hold_id, "ada")).resumed
    await office.triage.run_once()
    assert (await step(office, "FENCE"))["stats"].tokens == office.identifiers.tokens([HANDLE])
    assert (await office.show(resumed)).request.parent_id == lost


async def _run(*arguments: str, given: str = "") -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate(given.encode())
    return process.returncode, output.decode(), complaint.decode()


@pytest.fixture
async def both(config: MakeConfig) -> Any:
    """Those of a holder and of privacy, by their settings in the environment."""
    made = {service: Database((await config(service)).database_url, pool_size=1) for service in ("stats", "privacy")}
    yield made
    for database in made.values():
        await database.close()


@pytest.mark.usefixtures("both")
async def test_whose_an_officers_id_in_the_evidence_log_is_an_operator_can_tell() -> None:
    code, output, _ = await _run("igstats_privacy", "officer-ids", given="ada\n\n grace \n")
    own = OfficerIds(Sealer(read_secret(PrivacyConfig.load().seal_key)))
    assert (code, output) == (0, f"{own.of('ada')} ada\n{own.of('grace')} grace\n")


async def test_the_commands_of_the_runbook_bring_the_ledger_back(both: dict[str, Database]) -> None:
    now = datetime.now(UTC)
    async with both["stats"].transaction() as connection:
        await connection.execute(insert(holder_state), {"holder": "stats", "erasure_sequence": 40})
        for token in (b"one", b"two"):
            await connection.execute(insert(tombstones), {"token": token, "request_id": "req_1", "created_at": now})
    code, lines, _ = await _run("igstats_kit", "tombstones", "stats")
    assert code == 0
    code, output, _ = await _run("igstats_privacy", "rebuild-ledger", given=lines)
    assert (code, json.loads(output)) == (0, {"added": 1, "head": 41})
    async with both["privacy"].read() as connection:
        (row,) = (await connection.execute(select(erasure_ledger))).all()
    assert (row.sequence, row.request_id, row.tokens, row.accepted_at) == (41, "req_1", [b"one", b"two"], now)
    code, output, complaint = await _run("igstats_privacy", "rebuild-ledger", given="nonsense\n")
    assert (code, output, complaint) == (1, "", "line 1 is not one of igstats_kit tombstones\n")
