import pytest
from igstats_gateway.grpc_face import client_of
from igstats_gateway.local import Local
from igstats_gateway.model import Call, Caller, Client
from igstats_gateway.relay import identity, passed_on
from igstats_gateway.routes import routes
from igstats_kit.testing.clock import FakeClock


def test_only_harmless_metadata_is_passed_on() -> None:
    sent = (
        ("traceparent", "00-a-b-01"),
        ("x-custom-bin", b"\x00"),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("user-agent", "curl"),
        ("x-igstats-account-id", "acc_other"),
        ("x-igstats-anything-new", "1"),
        ("grpc-timeout", "1S"),
    )
    assert passed_on(sent) == (("traceparent", "00-a-b-01"), ("x-custom-bin", b"\x00"))


def test_identity_comes_from_the_door_alone() -> None:
    call = Call("req_1", "grpc", Client(), FakeClock().now())
    with pytest.raises(ValueError, match="not let in"):
        identity(call)
    call.caller = Caller("acc_1", "key", frozenset({"b", "a"}))
    assert dict(identity(call)) == {
        "x-igstats-account-id": "acc_1",
        "x-igstats-key-id": "key",
        "x-igstats-scopes": "a b",
        "x-igstats-call-id": "req_1",
    }


@pytest.mark.parametrize(
    ("peer", "address"),
    [("ipv4:192.0.2.1:5000", "192.0.2.1"), ("ipv6:%5B2001:db8::1%5D:5000", "2001:db8::1"), ("unix:", ""), ("", "")],
)
def test_a_peer_is_its_address(peer: str, address: str) -> None:
    assert client_of(peer, "agent") == Client(address, "agent")


def test_our_own_routes_and_methods_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="differ"):
        Local(routes(), {})
