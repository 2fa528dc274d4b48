"""An account reads its own calls, over both faces."""

import json
from typing import Any, TypeAlias

import grpc
import pytest
from igstats.api.v1 import account_service_pb2 as pb
from igstats.audit.v1 import audit_service_pb2 as audit_pb
from igstats_kit.status import from_rpc_error

Gateway: TypeAlias = Any

EXPORT = "/igstats.api.v1.AccountService/ExportCalls"


async def test_filters_go_to_audit_with_the_account_and_the_call_that_asks(gateway: Gateway) -> None:
    query = "start_time=2026-11-01T00:00:00Z&endTime=2026-11-02T00:00:00.5Z&status=0&call_id=req_7&page_size=3"
    async with gateway.http.get(f"/v1/calls?{query}&page_token=t", headers=gateway.key) as answer:
        body = await answer.json()
        call_id = answer.headers["Request-Id"]
    wanted = audit_pb.SearchCallsRequest(
        account_id=gateway.account.account_id, call_id="req_7", page_size=3, page_token="t", status=0
    )
    wanted.start_time.FromJsonString("2026-11-01T00:00:00Z")
    wanted.end_time.FromJsonString("2026-11-02T00:00:00.5Z")
    assert gateway.others.requests == [wanted]
    assert gateway.others.metadata[0]["x-igstats-call-id"] == call_id
    assert (body["calls"][0]["callId"], body["nextPageToken"]) == ("req_1", "more")
    assert "accountId" not in body["calls"][0]


async def test_what_is_not_asked_for_is_not_set(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/calls", headers=gateway.key):
        pass
    assert gateway.others.requests == [audit_pb.SearchCallsRequest(account_id=gateway.account.account_id)]


async def test_an_export_is_one_curl(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/calls.ndjson?status=5", headers=gateway.key) as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert answer.content_type == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="calls.ndjson"'
    assert lines == [{"callId": "req_2"}, {"callId": "req_1"}, {"callId": "req_0"}]
    assert gateway.others.requests == [audit_pb.ExportCallsRequest(account_id=gateway.account.account_id, status=5)]


async def test_an_export_streams_over_grpc(gateway: Gateway) -> None:
    export = gateway.channel.unary_stream(
        EXPORT,
        request_serializer=pb.ExportCallsRequest.SerializeToString,
        response_deserializer=pb.ExportCallsResponse.FromString,
    )
    answers = [answer.lines async for answer in export(pb.ExportCallsRequest(), metadata=gateway.metadata)]
    assert answers == [b'{"callId":"req_2"}\n{"callId":"req_1"}\n', b'{"callId":"req_0"}\n']


async def test_an_export_that_is_refused_is_an_ordinary_error(gateway: Gateway) -> None:
    async with gateway.http.get("/v1/calls.ndjson?status=9", headers=gateway.key) as answer:
        assert (answer.status, (await answer.json(content_type=None))["reason"]) == (403, "SUBJECT_RESTRICTED")
    export = gateway.channel.unary_stream(EXPORT)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in export(pb.ExportCallsRequest(status=9).SerializeToString(), metadata=gateway.metadata):
            pass
    assert from_rpc_error(refused.value).reason == "SUBJECT_RESTRICTED"


async def test_a_time_beyond_the_calendar_is_named(gateway: Gateway) -> None:
    request = pb.ExportCallsRequest()
    request.end_time.seconds = 1 << 60
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in gateway.channel.unary_stream(EXPORT)(request.SerializeToString(), metadata=gateway.metadata):
            pass
    assert from_rpc_error(refused.value).violations[0].field == "end_time"
