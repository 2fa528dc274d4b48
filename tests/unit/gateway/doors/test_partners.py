"""The file of partners, and where they may be told."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.doors.partners import Agent, Bearer, Partners, by_token, read_partners
from pydantic import ValidationError

KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
AGENT = Agent(id="CR_AGENT", verify_key=KEY, callback_hosts=("agent.example", "other.example:8443"))


def test_without_a_file_nobody_is_a_partner() -> None:
    assert read_partners(None) == Partners()


def test_a_file_names_agents_with_their_keys(tmp_path: Path) -> None:
    file = tmp_path / "partners.json"
    file.write_text(json.dumps({"drp": {"business_id": "EXAMPLE", "agents": [AGENT.model_dump(mode="json")]}}))
    found = read_partners(file)
    assert found.drp is not None
    assert found.drp.agents == (AGENT,)


@pytest.mark.parametrize(
    "change",
    [
        {"verify_key": "AAAA"},
        {"verify_key": "no base64"},
        {"id": ""},
        {"id": "a b"},
        {"callback_hosts": ["https://agent.example"]},
        {"callback_hosts": ["Agent.example"]},
        {"verify_keys": KEY},
    ],
)
def test_what_breaks_a_rule_stops_the_start(change: dict[str, Any]) -> None:
    agent = AGENT.model_dump(mode="json") | change
    with pytest.raises(ValidationError):
        Partners.model_validate({"drp": {"business_id": "EXAMPLE", "agents": [agent]}})


def test_two_partners_of_the_same_id_stop_the_start() -> None:
    agent = AGENT.model_dump(mode="json")
    with pytest.raises(ValidationError, match="same id"):
        Partners.model_validate({"drp": {"business_id": "EXAMPLE", "agents": [agent, agent]}})


@pytest.mark.parametrize(
    "url",
    [
        "https://agent.example/told",
        "https://agent.example:443/",
        "https://AGENT.example/x?y=1",
        "https://other.example:8443/",
    ],
)
def test_a_partner_is_told_at_its_own_hosts(url: str) -> None:
    assert AGENT.may_be_told_at(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://agent.example/told",
        "https://agent.example:8443/",
        "https://other.example/",
        "https://agent.example.evil.example/",
        "https://evil.example/agent.example",
        "https://agent.example@evil.example/",
        "https://user:secret@agent.example/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://agent.example:99999/",
        "https://agent.example:/x y",
        "https://agent.example/#part",
        "https://agent.example\n.evil.example/",
        "//agent.example/",
        "file:///etc/passwd",
    ],
)
def test_nothing_is_sent_anywhere_else(url: str) -> None:
    assert not AGENT.may_be_told_at(url)


@given(st.text("agentexmpl.:/@#?1 \n", max_size=60))
def test_no_arbitrary_text_is_an_address_of_a_partner_by_accident(text: str) -> None:
    assert not AGENT.may_be_told_at(text)


def test_a_partner_is_known_by_its_token_alone() -> None:
    partners = [Bearer(id=name, token_sha256=hashlib.sha256(name.encode()).hexdigest()) for name in ("one", "two")]
    assert by_token(partners, "Bearer two") == partners[1]
    assert [by_token(partners, header) for header in ("", "Bearer ", "Bearer three", "Basic two", "two")] == [None] * 5
