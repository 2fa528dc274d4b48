import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.checks.nats import compare, looks
from igstats_audit.checks.nats_file import NatsFileError, parse
from igstats_audit.checks.report import NotPossibleError, Severity
from igstats_kit.permissions import authorization, users

Config = dict[str, Any]
STATS = "spiffe://igstats/stats"


def good() -> Config:
    return {
        "listen": "0.0.0.0:4222",
        "jetstream": {"store_dir": "/data", "sync_interval": "always"},
        "tls": {"verify_and_map": True, "timeout": 5},
        "authorization": {"users": copy.deepcopy(users())},
    }


def stats(config: Config) -> Config:
    return next(user for user in config["authorization"]["users"] if user["user"] == STATS)


def test_the_declared_configuration_passes() -> None:
    assert list(compare(parse(json.dumps(good(), indent=1)), users())) == []


def test_the_configuration_that_is_printed_for_operators_passes() -> None:
    rest = {name: part for name, part in good().items() if name != "authorization"}
    text = "\n".join(f"{name}: {json.dumps(part)}" for name, part in rest.items())
    assert list(compare(parse(f"{text}\n{authorization()}"), users())) == []


def publish(config: Config) -> list[str]:
    found: list[str] = stats(config)["permissions"]["publish"]["allow"]
    return found


CLUSTER: Config = {
    "name": "igstats",
    "listen": "0.0.0.0:6222",
    "routes": ["tls://nats-1:6222"],
    "tls": {"ca_file": "/run/ca.pem", "verify": True},
    "authorization": {"user": "peer", "password": "p"},
}


def cluster(config: Config) -> Config:
    """The server becomes one of several."""
    config["cluster"] = copy.deepcopy(CLUSTER)
    found: Config = config["cluster"]
    return found


FAULTS: dict[str, tuple[Callable[[Config], object], Severity, str]] = {
    "more": (lambda config: publish(config).append("igstats.privacy.>"), Severity.HIGH, STATS),
    "less": (lambda config: publish(config).remove("igstats.stats.>"), Severity.MEDIUM, STATS),
    "denied": (
        lambda config: stats(config)["permissions"]["publish"].update(deny="igstats.stats.>"),
        Severity.MEDIUM,
        STATS,
    ),
    "everything": (lambda config: stats(config)["permissions"].pop("subscribe"), Severity.HIGH, STATS),
    "no rights": (lambda config: stats(config).pop("permissions"), Severity.HIGH, STATS),
    "responses": (lambda config: stats(config)["permissions"].update(allow_responses=True), Severity.HIGH, STATS),
    "password": (lambda config: stats(config).update(password="x"), Severity.HIGH, STATS),
    "stranger": (lambda config: config["authorization"]["users"].append({"user": "eve"}), Severity.HIGH, "eve"),
    "twice": (lambda config: config["authorization"]["users"].append({"user": STATS}), Severity.HIGH, STATS),
    "absent": (lambda config: config["authorization"]["users"].remove(stats(config)), Severity.MEDIUM, STATS),
    "token": (lambda config: config["authorization"].update(token="t"), Severity.HIGH, "authorization.token"),
    "open": (lambda config: config.pop("authorization"), Severity.HIGH, "authorization"),
    "guest": (lambda config: config.update(no_auth_user="eve"), Severity.HIGH, "no_auth_user"),
    "door": (lambda config: config.update(mqtt={"port": 1883}), Severity.HIGH, "mqtt"),
    "clear peers": (
        lambda config: config.update(cluster=CLUSTER | {"tls": {"timeout": 5}}),
        Severity.HIGH,
        "cluster.tls",
    ),
    "unsure peers": (lambda config: cluster(config)["tls"].update(insecure=True), Severity.HIGH, "cluster.tls"),
    "any peer": (lambda config: cluster(config).pop("authorization"), Severity.HIGH, "cluster.authorization"),
    "more of peers": (lambda config: cluster(config).update(accounts=["A"]), Severity.HIGH, "cluster.accounts"),
    "unmapped": (lambda config: config["tls"].pop("verify_and_map"), Severity.HIGH, "tls.verify_and_map"),
    "lossy": (lambda config: config["jetstream"].pop("sync_interval"), Severity.MEDIUM, "jetstream.sync_interval"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_difference_is_found(fault: str) -> None:
    plant, severity, place = FAULTS[fault]
    config = good()
    plant(config)
    found = list(compare(config, users()))
    assert {(finding.severity, finding.place) for finding in found} == {(severity, place)}
    assert all(finding.evidence for finding in found)


# Spellings of nats-server for ways in; the first of a row is the one in its manual.
DOORS = [
    *("leafnodes", "leaf", "gateway", "websocket", "mqtt", "accounts", "system_account", "system", "no_auth_user"),
    *("operator", "operators", "roots", "root", "root_operators", "root_operator", "trusted", "trusted_keys"),
    *("resolver", "account_resolver", "accounts_resolver", "resolver_preload", "resolver_tls", "no_system_account"),
    *("allow_non_tls", "default_sentinel", "proxies", "auth_callout", "something_new"),
]


@pytest.mark.parametrize("door", DOORS)
def test_no_other_way_in_has_a_name_that_passes(door: str) -> None:
    (finding,) = compare(good() | {door: {"port": 7422}}, users())
    assert (finding.severity, finding.place) == (Severity.HIGH, door)


@pytest.mark.parametrize("tls", [CLUSTER["tls"], {"verify_and_map": True}])
def test_a_cluster_whose_peers_prove_themselves_and_limits_pass(tls: Config) -> None:
    limits = {"max_payload": 1_048_576, "log_file": "/var/log/nats.log", "lame_duck_duration": "30s"}
    assert list(compare(good() | {"cluster": CLUSTER | {"tls": tls}} | limits, users())) == []


def test_a_cluster_that_knows_its_peers_by_their_addresses_needs_no_user() -> None:
    known = {"tls": {"verify_cert_and_check_known_urls": True}, "routes": CLUSTER["routes"]}
    assert list(compare(good() | {"cluster": known}, users())) == []


def test_the_operator_is_declared_only_when_named() -> None:
    config = good()
    config["authorization"]["users"] = users(operator="operator")
    assert list(compare(config, users(operator="operator"))) == []
    assert [finding.place for finding in compare(config, users())] == ["spiffe://igstats/operator"]


async def test_a_file_is_read_and_compared(tmp_path: Path) -> None:
    file = tmp_path / "nats.conf"
    file.write_text(json.dumps(good()))
    assert (await looks(file, "")["nats.permissions"]()).findings == []


@pytest.mark.parametrize("content", [None, b"\xff", b"include other.conf"])
async def test_a_file_that_cannot_be_compared_is_no_success(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "nats.conf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NotPossibleError):
        await looks(file, "")["nats.permissions"]()


async def test_without_a_file_there_is_nothing_to_look_at() -> None:
    with pytest.raises(NotPossibleError, match="IGSTATS_AUDIT_NATS_CONFIG"):
        await looks(None, "")["nats.permissions"]()


def test_the_server_s_own_format_is_understood() -> None:
    text = """
    # a comment
    listen: 0.0.0.0:4222   // another
    Server_Name = igstats
    max_payload 1048576
    debug off; trace = no
    tls { verify_and_map: true, ca_file: '/run/ca.pem' }
    authorization {
      users = [
        { user: "a\\u0062", permissions: { publish: { allow: ["x.>", 'y.*'] } } }
        {user = c}
      ]
    }
    """
    assert parse(text) == {
        "listen": "0.0.0.0:4222",
        "server_name": "igstats",
        "max_payload": 1048576,
        "debug": False,
        "trace": False,
        "tls": {"verify_and_map": True, "ca_file": "/run/ca.pem"},
        "authorization": {
            "users": [{"user": "ab", "permissions": {"publish": {"allow": ["x.>", "y.*"]}}}, {"user": "c"}]
        },
    }


@pytest.mark.parametrize(
    "text",
    [
        "include users.conf",
        "user: $USER",
        "a: (\nblock\n)",
        "a: 1\na: 2",
        "a: 1\nA: 2",
        "a: {b: 1",
        "a: [1, 2",
        "a: }",
        'a: "open',
        'a: "\\x"',
        "{a: 1} b: 2",
        "a:",
        "= 1",
        "a: " + "[" * 99,
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(NatsFileError, match=r"^line \d+: "):
        parse(text)
