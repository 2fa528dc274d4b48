"""Identifiers leave privacy by a lease only, and only to the holder of the task."""

import pytest
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.model import Identifier, Phase, Right, TaskState

from tests.integration.privacy.conftest import Office


async def test_a_lease_carries_identifiers_tokens_and_the_attempt(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted(Right.ERASURE, Identifier("USERNAME", "@Ada"))
    (lease,) = await office.leases.lease("stats", [f"{request_id}/stats/FENCE"])
    assert lease.identifiers == (Identifier("USERNAME", "ada"),)
    assert lease.tokens == office.identifiers.tokens(lease.identifiers)
    assert (lease.attempt, lease.right) == (1, Right.ERASURE)
    assert (await office.task(request_id, "stats", Phase.FENCE)).state is TaskState.LEASED


async def test_settled_planned_unknown_and_malformed_tasks_are_left_out(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted()
    fence = f"{request_id}/stats/FENCE"
    await office.consumer.handle([office.holders["stats"].issue([fence])])
    names = [fence, f"{request_id}/stats/SWEEP", "req_none/stats/FENCE", "nonsense", f"{request_id}/stats/DANCE"]
    assert await office.leases.lease("stats", names) == []


async def test_a_holder_gets_no_task_of_another(office: Office) -> None:
    await office.register("gateway", "stats")
    request_id = await office.accepted()
    with pytest.raises(DomainError) as refused:
        await office.leases.lease("gateway", [f"{request_id}/stats/FENCE"])
    assert refused.value.reason is Reason.TASK_NOT_OWNED


async def test_a_holder_must_register_before_it_leases(office: Office) -> None:
    with pytest.raises(DomainError) as refused:
        await office.leases.lease("stats", ["req_none/stats/FENCE"])
    assert refused.value.reason is Reason.HOLDER_UNKNOWN
