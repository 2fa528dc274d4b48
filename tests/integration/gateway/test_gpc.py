"""The Global Privacy Control signal on its way through a running gateway."""

from typing import Any

import pytest
from igstats.api.v1.profile_pb2 import Profile
from igstats.api.v1.stats_service_pb2 import GetProfileRequest, GetProfileResponse
from igstats.holder.v1.identifier_pb2 import IdentifierKind
from igstats.holder.v1.task_pb2 import Right

FORM = {"right": "ACCESS", "email": "ann@example.com", "key": "k" * 32}


async def settled(gateway: Any, count: int) -> list[Any]:
    """The openings, once there are so many: the opt-out of an account is opened beside its call."""
    return list(await gateway.others.doorkeeper.until_opened(count))


async def test_the_support_resource_has_the_form_of_the_specification(gateway: Any) -> None:
    answer = await gateway.ask("GET", "/.well-known/gpc.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"gpc": True, "lastUpdate": "2026-11-28"}


async def test_a_signal_with_a_call_opts_its_account_out_once_and_the_answer_says_so(gateway: Any) -> None:
    for _ in range(3):
        answer = await gateway.ask("GET", "/v1/profiles/ann", headers=gateway.key | {"Sec-GPC": "1"})
        assert (answer.status, answer.headers["gpc"]) == (200, "honoured")
    (sent,) = await settled(gateway, 1)
    (named,) = sent.identifiers
    assert (sent.door, sent.right, sent.account_id) == ("gpc", Right.RIGHT_OPT_OUT, gateway.account.account_id)
    assert (named.kind, named.value) == (IdentifierKind.IDENTIFIER_KIND_ACCOUNT_ID, gateway.account.account_id)


async def test_the_signal_survives_every_hop(gateway: Any) -> None:
    await gateway.ask("GET", "/v1/profiles/ann", headers=gateway.key | {"Sec-GPC": "1"})
    assert gateway.others.metadata[-1]["sec-gpc"] == "1", "the relay passes it on"
    await settled(gateway, 1)
    assert gateway.others.doorkeeper.signals[-1] == "1", "the kit's client passes it on"
    await gateway.ask("GET", "/v1/calls", headers=gateway.key | {"Sec-GPC": "1"})
    assert gateway.others.metadata[-1]["sec-gpc"] == "1", "what the gateway itself asks carries it"


async def test_the_signal_of_a_grpc_call_counts_the_same(gateway: Any) -> None:
    call = gateway.channel.unary_unary(
        "/igstats.api.v1.StatsService/GetProfile",
        request_serializer=GetProfileRequest.SerializeToString,
        response_deserializer=GetProfileResponse.FromString,
    )(GetProfileRequest(profile="ann"), metadata=(*gateway.metadata, ("sec-gpc", "0"), ("sec-gpc", "1")))
    assert (await call).profile != Profile()
    assert dict(await call.initial_metadata())["gpc"] == "honoured"
    assert gateway.others.metadata[-1]["sec-gpc"] == "1"
    await settled(gateway, 1)


@pytest.mark.parametrize("value", ["0", "true", "1.0", "1 1", "01", "", "yes"])
async def test_only_an_exact_one_is_the_signal(gateway: Any, value: str) -> None:
    answer = await gateway.ask("GET", "/v1/profiles/ann", headers=gateway.key | {"Sec-GPC": value})
    assert (answer.status, "gpc" in answer.headers) == (200, False)
    assert "sec-gpc" not in gateway.others.metadata[-1]
    assert gateway.others.doorkeeper.openings == []


async def test_a_call_whose_key_is_refused_opts_nobody_out(gateway: Any) -> None:
    answer = await gateway.ask("GET", "/v1/profiles/ann", headers={"Sec-GPC": "1"})
    assert (answer.status, answer.headers["gpc"]) == (401, "honoured")
    assert gateway.others.doorkeeper.openings == []


async def test_while_privacy_is_down_the_call_is_served_and_the_next_one_opts_out(gateway: Any) -> None:
    gateway.others.doorkeeper.down = True
    headers = gateway.key | {"Sec-GPC": "1"}
    assert (await gateway.ask("GET", "/v1/profiles/ann", headers=headers)).status == 200
    await gateway.others.doorkeeper.until_refused()
    gateway.others.doorkeeper.down = False
    while not gateway.others.doorkeeper.openings:
        assert (await gateway.ask("GET", "/v1/profiles/ann", headers=headers)).status == 200
    assert len(gateway.others.doorkeeper.openings) == 1


async def test_a_form_with_the_signal_opts_those_out_whom_it_names_and_the_page_says_so(gateway: Any) -> None:
    assert "GPC: honoured" not in (await gateway.ask("GET", "/privacy")).text
    assert "GPC: honoured" in (await gateway.ask("GET", "/privacy", headers={"Sec-GPC": "1"})).text
    answer = await gateway.ask("POST", "/privacy", data=FORM, headers={"Sec-GPC": "1"}, allow_redirects=False)
    assert (answer.status, answer.headers["gpc"], answer.headers["vary"]) == (
        303,
        "honoured",
        "Sec-GPC, Accept-Language",
    )
    asked, opted = gateway.others.doorkeeper.openings
    assert (asked.right, asked.door) == (Right.RIGHT_ACCESS, "web")
    assert (opted.right, opted.door, opted.identifiers) == (Right.RIGHT_OPT_OUT, "gpc", asked.identifiers)


async def test_an_opt_out_by_form_needs_no_second_one_and_an_opt_in_is_not_undone_by_its_own_signal(
    gateway: Any,
) -> None:
    for right in ("OPT_OUT", "OPT_IN"):
        form = FORM | {"right": right}
        answer = await gateway.ask("POST", "/privacy", data=form, headers={"Sec-GPC": "1"}, allow_redirects=False)
        assert answer.status == 303
    rights = [one.right for one in gateway.others.doorkeeper.openings]
    assert rights == [Right.RIGHT_OPT_OUT, Right.RIGHT_OPT_IN]
