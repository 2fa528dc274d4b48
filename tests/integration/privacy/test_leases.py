"""Identifiers leave privacy by a lease only, and only to the holder of the task."""

import pytest
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_privacy import messages
from igstats_privacy.model import Identifier, NewRequest, Phase, Regime, Right, State, TaskState

from tests.integration.privacy.conftest import ACCOUNT, NOTICE, Office


async def test_a_lease_carries_identifiers_tokens_and_the_attempt(office: Office) -> None:
    await office.register("stats")
    request_id = await office.accepted(Right.ERASURE, Identifier("USERNAME", "@Ada"))
    (lease,) = await office.leases.lease("stats", [f"{request_id}/stats/FENCE"])
    assert lease.identifiers == (Identifier("USERNAME", "ada"),)
    assert lease.tokens == office.identifiers.tokens(lease.identifiers)
    assert (lease.attempt, lease.right) == (1, Right.ERASURE)
    assert (await office.task(request_id, "stats", Phase.FENCE)).state is TaskState.LEASED


@pytest.mark.parametrize("right", [Right.ERASURE, Right.RESTRICTION, Right.OBJECTION, Right.ACCESS])
async def test_a_handle_stands_for_nobody_whose_id_is_known_because_it_may_be_anothers_tomorrow(
    office: Office, right: Right
) -> None:
    await office.register("stats")
    office.profiles.known = {"ada": Identifier("INSTAGRAM_USER_ID", "17841400000000001")}
    request_id = await office.accepted(right, Identifier("USERNAME", "ada"), Identifier("APP_USER_ID", "9001"))
    (offers,) = (await office.offered()).values()
    (lease,) = await office.leases.lease("stats", offers)
    assert lease.task.request_id == request_id
    assert Identifier("USERNAME", "ada") in lease.identifiers, "it is searched for"
    lasting = [one for one in lease.identifiers if one.kind != "USERNAME"]
    assert lease.tokens == office.identifiers.tokens(lasting)


@pytest.mark.parametrize("right", [Right.LIFTING, Right.OPT_IN])
async def test_whoever_takes_a_fence_away_takes_the_one_on_the_handle_too(office: Office, right: Right) -> None:
    await office.register("stats")
    office.profiles.known = {"ada": Identifier("INSTAGRAM_USER_ID", "17841400000000001")}
    request_id = await office.accepted(right, Identifier("USERNAME", "ada"))
    if await office.state(request_id) is State.TRIAGE:  # the person is told before a lifting
        office.clock.advance(NOTICE)
        await office.triage.run_once()
    (offers,) = (await office.offered()).values()
    (lease,) = await office.leases.lease("stats", offers)
    assert len(lease.identifiers) == 2
    assert lease.tokens == office.identifiers.tokens(lease.identifiers)


@pytest.mark.parametrize(
    ("regime", "ended"),
    [
        (Regime.CCPA, (Right.OPT_OUT,)),
        (Regime.VOLUNTARY, (Right.OPT_OUT,)),
        (Regime.GDPR, (Right.OPT_OUT, Right.OBJECTION)),
        (Regime.GDPR_AND_CCPA, (Right.OPT_OUT, Right.OBJECTION)),
    ],
)
async def test_an_opt_in_ends_what_the_law_that_it_names_is_about(
    office: Office, regime: Regime, ended: tuple[Right, ...]
) -> None:
    await office.register("stats")
    person = (Identifier("ACCOUNT_ID", ACCOUNT),)
    await office.requests.open(NewRequest(Right.OPT_IN, "drp", ACCOUNT, person, "key-1", regime=regime))
    await office.triage.run_once()
    (offers,) = (await office.offered()).values()
    (lease,) = await office.leases.lease("stats", offers)
    assert lease.ended == ended
    sent = messages.task(lease)
    assert [Sent.Name(one) for one in sent.ended_rights] == [f"RIGHT_{one}" for one in ended]


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
