"""Where the command connects to, and in which order it looks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from igstats_client.errors import SettingsError
from igstats_client.settings import Settings, load

DEVELOPMENT = {"gateway_grpc": "localhost:7443", "ca": "/ca.pem", "key": "igs_test"}


@pytest.fixture
def development(tmp_path: Path) -> Path:
    (tmp_path / ".igstats").mkdir()
    (tmp_path / ".igstats" / "env").write_text(json.dumps(DEVELOPMENT))
    return tmp_path


def test_a_running_development_stack_is_found_from_any_folder_inside(development: Path) -> None:
    assert load({}, development / "a" / "b") == Settings("localhost:7443", "igs_test", Path("/ca.pem"))


def test_the_environment_wins_and_brings_no_development_authority(development: Path) -> None:
    environment = {"IGSTATS_URL": "https://api.example/", "IGSTATS_KEY": "igs_live"}
    assert load(environment, development) == Settings("api.example", "igs_live", None)


def test_an_authority_of_the_environment_is_used(tmp_path: Path) -> None:
    environment = {"IGSTATS_URL": "host:1", "IGSTATS_KEY": "igs_live", "IGSTATS_CA": "/own.pem"}
    assert load(environment, tmp_path) == Settings("host:1", "igs_live", Path("/own.pem"))


def test_without_either_the_command_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="IGSTATS_URL"):
        load({}, tmp_path)


def test_a_broken_file_is_named(development: Path) -> None:
    (development / ".igstats" / "env").write_text("broken")
    with pytest.raises(SettingsError, match="env is not JSON"):
        load({}, development)


def test_help_does_not_wait_for_grpc() -> None:
    code = (
        "import sys, igstats_client.command; print(sorted({'grpc', 'google.protobuf.json_format'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
