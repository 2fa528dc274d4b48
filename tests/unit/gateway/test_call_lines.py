"""What an account sees of its calls in an export."""

import json

from google.protobuf import json_format
from igstats.api.v1.account_service_pb2 import ApiCall
from igstats.audit.v1.audit_service_pb2 import Call
from igstats_gateway.audit import shown
from igstats_gateway.messages import encode, show


def test_a_line_has_what_a_listed_call_has() -> None:
    found = Call(
        call_id="req_1", account_id="acc_1", key_id="k", latency_us=1 << 40, user_agent="\u00fc\u2028", index=7
    )
    found.called_time.FromJsonString("2026-11-23T12:00:00.000001Z")
    lines = shown(encode(show(found)) + b"\n" + encode(show(Call(call_id="req_2"))) + b"\n")
    first, second = [json.loads(line) for line in lines.splitlines()]
    listed = ApiCall(call_id="req_1", key_id="k", latency_us=1 << 40, user_agent="\u00fc\u2028")
    listed.called_time.CopyFrom(found.called_time)
    assert first == show(listed)
    assert json_format.ParseDict(second, ApiCall()) == ApiCall(call_id="req_2")
    assert lines.endswith(b"}\n")


def test_nothing_is_no_line() -> None:
    assert shown(b"") == b""
