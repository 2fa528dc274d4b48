"""The erasure ledger: every accepted erasure, in order, without gaps."""

import asyncio
import json

import pytest
from igstats.event.v1.events_pb2 import RecordMade
from igstats_kit.errors import DomainError, Reason
from igstats_privacy import messages
from igstats_privacy.model import Identifier, Right

from tests.integration.privacy.conftest import Office


async def test_the_ledger_holds_tokens_of_accepted_erasures_only(office: Office) -> None:
    await office.register("stats")
    erased = await office.accepted()
    await office.accepted(Right.ACCESS)
    await office.accepted(Right.ERASURE, Identifier("EMAIL", "ada@example.com"))
    (entry,) = await office.ledger.after("stats", 0, 0)
    assert (entry.sequence, entry.request_id) == (1, erased)
    account_id = (await office.show(erased)).account_id
    assert entry.tokens == office.identifiers.tokens([Identifier("ACCOUNT_ID", account_id)])


async def test_the_ledger_names_nobody_by_a_handle_whose_id_is_known(office: Office) -> None:
    await office.register("stats")
    person, handle = Identifier("INSTAGRAM_USER_ID", "17841400000000001"), Identifier("USERNAME", "ada")
    office.profiles.known = {"ada": person}
    await office.accepted(Right.ERASURE, handle)
    await office.accepted(Right.ERASURE, Identifier("USERNAME", "grace"))
    known, unknown = await office.ledger.after("stats", 0, 0)
    assert known.tokens == office.identifiers.tokens([person])
    assert unknown.tokens == office.identifiers.tokens([Identifier("USERNAME", "grace")])


async def test_numbers_have_no_gaps_and_readers_page_through_them(office: Office) -> None:
    await office.register("stats")
    opened = [await office.open() for _ in range(20)]
    await asyncio.gather(*(office.triage.run_once() for _ in range(4)))
    first = await office.ledger.after("stats", 0, 12)
    rest = await office.ledger.after("stats", first[-1].sequence, 12)
    entries = [*first, *rest]
    assert [entry.sequence for entry in entries] == list(range(1, 21))
    assert {entry.request_id for entry in entries} == set(opened)


async def test_a_holder_reads_whether_its_task_will_erase_and_whether_it_has_given_its_last_word(
    office: Office,
) -> None:
    """From the offer on a receipt may be under way of a database that was restored since: it would not erase again."""
    await office.register("gateway", "stats")
    await office.accepted()
    stands = []
    for _ in ("FENCE", "ERASE", "SWEEP", "ATTEST"):
        (mine,) = await office.ledger.after("stats", 0, 0)
        stands.append((mine.pending, mine.ended))
        await office.work(rounds=1)
    (mine,) = await office.ledger.after("stats", 0, 0)
    assert stands == [(True, False), (False, False), (False, False), (False, False)]
    assert (mine.pending, mine.ended) == (False, True)
    assert messages.erasure(mine, "stats").ended


async def test_a_stranger_reads_nothing(office: Office) -> None:
    with pytest.raises(DomainError) as refused:
        await office.ledger.after("nobody", 0, 0)
    assert refused.value.reason is Reason.HOLDER_UNKNOWN


async def test_a_ledger_that_lacks_what_a_holder_has_applied_is_no_answer_and_ends_serving(office: Office) -> None:
    await office.register("stats")
    await office.accepted()
    stopped = asyncio.Event()

    async def stop() -> None:
        stopped.set()

    guarding = asyncio.create_task(office.ledger.guard(stop))
    assert await office.ledger.after("stats", 1, 0) == []
    assert not stopped.is_set()
    await office.posted(RecordMade)
    for _ in range(2):
        with pytest.raises(DomainError) as refused:
            await office.ledger.after("stats", 7, 0)
        assert refused.value.reason is Reason.DEPENDENCY_UNAVAILABLE
    await asyncio.wait_for(stopped.wait(), 30)
    guarding.cancel()
    (said,) = [one for data in await office.posted(RecordMade) for one in RecordMade.FromString(data).records]
    assert (said.kind, json.loads(said.payload_json)) == (
        "ledger.went_back",
        {"holder": "stats", "applied": 7, "head": 1},
    )
