"""The network policies allow exactly the calls that the access tables and the routes allow."""

import importlib
import importlib.util

import pytest
from manifests import BASE, Manifest, of_kind, plain, rendered

MANIFESTS = rendered()
POLICIES = of_kind(MANIFESTS, "NetworkPolicy")
SERVICES = ("audit", "gateway", "privacy", "stats")
NAME = "app.kubernetes.io/name"
RPC_PORT = 7443


def selected(peer: Manifest) -> str:
    """The service that a selector names; empty when it names none."""
    found: str = peer.get("podSelector", {}).get("matchLabels", {}).get(NAME, "")
    return found


def allowed(direction: str, peers: str) -> set[tuple[str, str]]:
    """(this service, other service) of every policy for RPCs in one direction."""
    return {
        (selected(policy["spec"]), selected(peer))
        for policy in POLICIES
        for rule in policy["spec"].get(direction, [])
        if {"port": RPC_PORT} in rule.get("ports", [])
        for peer in rule.get(peers, [])
    }


def declared() -> set[tuple[str, str]]:
    """(caller, callee) of every row of every access table, but for calls to oneself."""
    return {
        (caller, service)
        for service in SERVICES
        if importlib.util.find_spec(f"igstats_{service}.access")
        for row in importlib.import_module(f"igstats_{service}.access").ACCESS.values()
        for caller in row.callers
        if caller in SERVICES and caller != service
    }


def test_the_first_policy_denies_everything_both_ways() -> None:
    (deny,) = [policy for policy in POLICIES if policy["metadata"]["name"] == "default-deny"]
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def looked_at() -> set[tuple[str, str]]:
    """(audit, other service): its security audit reads the certificate that each service serves."""
    return {("audit", service) for service in SERVICES if service != "audit"}


WATCHED = {("audit", "audit")}  # by its monitor, which is a process of its own


def test_a_service_may_reach_exactly_those_that_list_it_as_a_caller_or_that_it_looks_at() -> None:
    assert allowed("egress", "to") == declared() | looked_at() | WATCHED


def test_a_service_is_reached_by_exactly_the_callers_it_lists_and_by_the_security_audit() -> None:
    assert {(caller, callee) for callee, caller in allowed("ingress", "from")} == declared() | looked_at() | WATCHED


def test_the_security_audit_reaches_what_customers_meet() -> None:
    (policy,) = [one for one in POLICIES if one["metadata"]["name"] == "audit-to-gateway"]
    (rule,) = policy["spec"]["egress"]
    assert [port["port"] for port in rule["ports"]] == [RPC_PORT, 8443, 8444]


def test_the_gateway_may_reach_every_upstream_of_its_routes() -> None:
    routes = importlib.import_module("igstats_gateway.routes")
    upstreams = {upstream for upstream in routes.UPSTREAMS.values() if upstream != "gateway"}
    assert {("gateway", upstream) for upstream in upstreams} <= allowed("egress", "to")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["metadata"]["name"])
def test_no_policy_but_the_first_and_dns_is_about_every_pod(policy: Manifest) -> None:
    everyone = policy["spec"]["podSelector"] == {}
    assert everyone == (policy["metadata"]["name"] in {"default-deny", "dns"})


def test_only_the_gateway_is_reached_from_outside() -> None:
    open_to_all = [
        (selected(policy["spec"]), sorted(port["port"] for port in rule["ports"]))
        for policy in POLICIES
        for rule in policy["spec"].get("ingress", [])
        if "from" not in rule
    ]
    assert open_to_all == [("gateway", [8443, 8444])]


def test_only_four_ways_lead_to_the_outside_and_never_into_a_private_range() -> None:
    outgoing = [
        (selected(policy["spec"]), sorted(port["port"] for port in rule["ports"]), peer["ipBlock"])
        for policy in POLICIES
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    ways = {(service, *ports) for service, ports, _ in outgoing}
    assert ways == {("stats", 443), ("privacy", 443), ("privacy", 465, 587), ("gateway", 443)}
    closed = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}
    old = [block for _, _, block in outgoing if ":" not in block["cidr"]]
    assert all(closed <= set(block["except"]) for block in old)
    assert all("fc00::/7" in block["except"] for _, _, block in outgoing if block not in old)


def test_the_component_of_a_witness_opens_to_audit_what_the_base_opens_to_others_and_no_more() -> None:
    (witness,) = plain(BASE.parent / "components" / "witness")
    (others,) = [one for one in POLICIES if one["metadata"]["name"] == "gateway-to-partners"]
    assert selected(witness["spec"]) == "audit"
    assert witness["spec"]["policyTypes"] == ["Egress"]
    assert witness["spec"]["egress"] == others["spec"]["egress"]
