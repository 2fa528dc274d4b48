"""The erasure ledger at a holder: what it applies, what it leaves to tasks, and what it searches for afterwards."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from igstats.holder.v1.receipt_pb2 import Outcome
from igstats.holder.v1.task_pb2 import Hold, Right
from igstats_kit.errors import DomainError
from igstats_kit.tables import holder_state, needles, subject_keys
from igstats_kit.testing import toy
from igstats_kit.testing.coordinator import ERASURE, Person
from igstats_kit.testing.toy_holder import ToyHolder
from sqlalchemy import select

ANN = toy.somebody(1)
EMAIL = ANN.identifiers["EMAIL"]
ALIASED = Person({"EMAIL": EMAIL, "USERNAME": "ann"}, ANN.needles)


def hold(*stores: str) -> Hold:
    made = Hold(hold_id="hld_1", holder="toy", stores=stores, ground="legal_claims")
    made.until_time.FromDatetime(datetime.now(UTC) + timedelta(days=30))
    return made


async def mark(holder: ToyHolder) -> int | None:
    async with holder.database.read() as connection:
        return await connection.scalar(select(holder_state.c.erasure_sequence))


async def sought(holder: ToyHolder) -> list[str]:
    async with holder.database.read() as connection:
        sealed = await connection.scalar(select(needles.c.sealed).where(needles.c.request_id == "req_1"))
    return [] if sealed is None else list(json.loads(toy.SEALER.open(bytes(sealed), "req_1")))


async def next_search(holder: ToyHolder) -> datetime | None:
    async with holder.database.read() as connection:
        return await connection.scalar(select(needles.c.next_at))


async def test_what_a_task_will_erase_is_fenced_and_left_to_it_with_a_hold_that_came_meanwhile(
    holder: ToyHolder,
) -> None:
    await holder.seed(1)
    holder.coordinator.erased("req_1", ANN, pending=True)
    assert await holder.replay.apply() == 0
    assert await holder.count(toy.people) == 1
    with pytest.raises(DomainError, match="SUBJECT_ERASED"):
        await holder.seed(1)
    for task in holder.coordinator.plan("toy", "req_1", ANN, ERASURE, Right.RIGHT_ERASURE, holds=[hold("people")]):
        await holder.offer(task)
    assert [one.outcome for one in await holder.receipts()][1:] == [
        Outcome.OUTCOME_RETAINED,
        Outcome.OUTCOME_DONE,
        Outcome.OUTCOME_RETAINED,
    ]
    assert (await holder.count(toy.people), await holder.count(toy.notes)) == (1, 0)


async def test_the_mark_stays_before_what_is_left_to_a_task_and_what_comes_after_it_is_applied(
    holder: ToyHolder,
) -> None:
    """A backup that is made between the fence and the erasure must not say that the erasure is done."""
    for number in (1, 2, 3):
        await holder.seed(number)
    holder.coordinator.erased("req_1", ANN)
    waiting = holder.coordinator.erased("req_2", toy.somebody(2), pending=True)
    holder.coordinator.erased("req_3", toy.somebody(3))
    assert await holder.replay.apply() == 2
    assert (await mark(holder), await holder.count(toy.people)) == (1, 1)
    waiting.pending = False
    assert await holder.replay.apply() == 2
    assert (await mark(holder), await holder.count(toy.people)) == (3, 0)
    assert await holder.replay.apply() == 0


async def test_what_a_replay_finds_again_is_searched_for_by_the_sweep_behind_it(holder: ToyHolder) -> None:
    """A database restored to before the fence, while the request stands in SWEEP."""
    await holder.seed(1)
    holder.coordinator.erased("req_1", ANN)
    await holder.replay.apply()
    assert await sought(holder) == [EMAIL]
    assert await holder.count(subject_keys) > 0


async def test_what_a_fence_names_is_added_to_what_a_replay_has_found(holder: ToyHolder) -> None:
    await holder.seed(1)
    holder.coordinator.erased("req_1", ANN, pending=True)
    await holder.replay.apply()
    assert await sought(holder) == [EMAIL]
    tasks = holder.coordinator.plan("toy", "req_1", ALIASED, ERASURE, Right.RIGHT_ERASURE)
    await holder.offer(tasks[0])
    assert await sought(holder) == ["ann", EMAIL]


async def test_what_was_here_again_after_the_last_word_is_searched_for_once_more(holder: ToyHolder) -> None:
    await holder.seed(1)
    holder.coordinator.erased("req_1", ANN, ended=True)
    holder.coordinator.erased("req_2", toy.somebody(2), ended=True)
    await holder.replay.apply()
    assert await next_search(holder) is not None
    assert await holder.count(needles) == 1, "of somebody who was not here there is nothing to search for"
    assert await holder.count(subject_keys) == 0


async def test_a_replay_after_the_last_word_leaves_no_keys_and_puts_no_search_off(holder: ToyHolder) -> None:
    await holder.seed(1)
    for task in holder.coordinator.plan("toy", "req_1", ANN, ERASURE, Right.RIGHT_ERASURE, holds=[hold("people")]):
        await holder.offer(task)
    planned = await next_search(holder)
    holder.coordinator.erased("req_1", ANN, [hold("people")], ended=True)
    await holder.replay.apply()
    assert await next_search(holder) == planned
    assert await holder.count(subject_keys) == 0
    assert await holder.count(toy.people) == 1
