import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from igstats_kit.permissions import RIGHTS, user, users
from igstats_kit.testing.nats import binary


def allowed(service: str, verb: str) -> list[str]:
    permissions = cast("dict[str, Any]", user(service, RIGHTS[service])["permissions"])
    return list(permissions[verb]["allow"])


@pytest.mark.parametrize("service", RIGHTS)
def test_a_service_speaks_under_its_own_name_only(service: str) -> None:
    facts = [subject for subject in allowed(service, "publish") if not subject.startswith("$JS")]
    assert facts == [f"igstats.{service}.>"]


@pytest.mark.parametrize("service", RIGHTS)
def test_a_service_hears_only_its_own_inbox(service: str) -> None:
    assert allowed(service, "subscribe") == [f"_INBOX_{service}.>"]


@pytest.mark.parametrize("service", RIGHTS)
def test_nobody_may_delete_or_purge(service: str) -> None:
    assert [subject for subject in allowed(service, "publish") if "DELETE" in subject or "PURGE" in subject] == []


def test_each_stream_has_one_owner() -> None:
    owned = [stream for rights in RIGHTS.values() for stream in rights.owns]
    assert len(owned) == len(set(owned))


def test_each_consumed_stream_has_an_owner() -> None:
    owned = {stream for rights in RIGHTS.values() for stream in rights.owns}
    assert {stream for rights in RIGHTS.values() for stream, _ in rights.consumes} <= owned


def printed(*arguments: str) -> str:
    command = [sys.executable, "-m", "igstats_kit", "nats-users", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_server_takes_the_printed_users(tmp_path: Path) -> None:
    file = tmp_path / "nats.conf"
    file.write_text(f'listen: "127.0.0.1:4222"\n{printed()}')
    done = subprocess.run([binary(), "-t", "--config", str(file)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("operator", ["", "nats-admin"])
def test_the_printed_users_are_the_declared_ones(operator: str) -> None:
    part = printed(*(["--operator", operator] if operator else []))
    assert json.loads(part.removeprefix("authorization: ")) == {"users": users(operator=operator)}


def test_there_is_an_operator_only_when_one_is_named() -> None:
    assert len(users()) == len(RIGHTS)
    assert users(operator="operator")[-1] == {"user": "spiffe://igstats/operator"}
