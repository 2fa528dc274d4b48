"""Settings: from the environment, checked at once, printed without secrets."""

from collections.abc import Callable
from pathlib import Path

import pytest
from igstats_kit.config import ServiceConfig, read_secret
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict


class StatsConfig(ServiceConfig):
    model_config = SettingsConfigDict(env_prefix="IGSTATS_STATS_")
    service = "stats"
    sync_seconds: int = 900


SetUp = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetUp:
    """Sets the variables of a service; a test may change some."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    files = ("TLS_CERT", "TLS_KEY", "RECEIPT_KEY", "SEAL_KEY")
    variables = {
        "IGSTATS_NATS_URL": "tls://user:natspw@nats:4222",
        "IGSTATS_TLS_CA": str(file),
        "IGSTATS_SUPPRESSION_KEY": str(file),
        "IGSTATS_STATS_DATABASE_URL": "postgresql+asyncpg://stats:hunter2@db:5432/stats",
        "IGSTATS_STATS_LISTEN": "0.0.0.0:7443",
        **{f"IGSTATS_STATS_{name}": str(file) for name in files},
    }

    def set_up(**changes: str) -> None:
        for name, value in (variables | changes).items():
            monkeypatch.setenv(name, value)

    return set_up


def test_shared_and_own_settings_come_from_the_environment(environment: SetUp) -> None:
    environment(IGSTATS_STATS_SYNC_SECONDS="60", IGSTATS_PRIVACY_ADDRESS="127.0.0.1:9999")
    config = StatsConfig.load()
    assert config.nats_url == "tls://user:natspw@nats:4222"
    assert (config.sync_seconds, config.privacy_address, config.audit_address) == (60, "127.0.0.1:9999", "audit:7443")


def test_empty_variable_counts_as_not_set(environment: SetUp) -> None:
    environment(IGSTATS_STATS_METRICS_LISTEN="", IGSTATS_STATS_SYNC_SECONDS="")
    config = StatsConfig.load()
    assert (config.metrics_listen, config.sync_seconds) == (None, 900)


def test_a_last_search_before_the_backups_are_gone_is_refused(environment: SetUp) -> None:
    environment(IGSTATS_BACKUP_DAYS="30", IGSTATS_DEEP_SWEEP_DAYS="29")
    with pytest.raises(ValidationError, match="the last search comes too early"):
        StatsConfig.load()


def test_values_given_win_over_the_environment(environment: SetUp) -> None:
    environment()
    assert StatsConfig.load(listen="127.0.0.1:0").listen == "127.0.0.1:0"


def test_settings_cannot_be_changed(environment: SetUp) -> None:
    environment()
    config = StatsConfig.load()
    with pytest.raises(ValidationError):
        config.listen = "127.0.0.1:1"


def test_description_and_repr_hide_passwords(environment: SetUp) -> None:
    environment()
    config = StatsConfig.load()
    described = config.describe()
    assert described["database_url"] == "postgresql+asyncpg://stats:[redacted]@db:5432/stats"
    assert described["listen"] == "0.0.0.0:7443"
    assert set(described) == set(StatsConfig.model_fields)
    for secret in ("hunter2", "natspw"):
        assert secret not in repr(config) + str(described)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IGSTATS_STATS_DATABASE_URL", "postgresql://stats:hunter2@db/stats"),
        ("IGSTATS_STATS_LISTEN", "hunter2"),
        ("IGSTATS_STATS_HEALTH_LISTEN", ":8080"),
        ("IGSTATS_AUDIT_ADDRESS", "https://hunter2:443"),
        ("IGSTATS_TLS_CA", "/nowhere/hunter2"),
        ("IGSTATS_STATS_SYNC_SECONDS", "hunter2"),
    ],
)
def test_wrong_setting_is_refused_without_showing_it(environment: SetUp, name: str, value: str) -> None:
    environment(**{name: value})
    with pytest.raises(ValidationError) as caught:
        StatsConfig.load()
    assert "hunter2" not in str(caught.value)


def test_secret_is_read_exactly_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b" \x00key\n")
    assert read_secret(path) == b" \x00key\n"


def test_empty_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch()
    with pytest.raises(ValueError, match="is empty"):
        read_secret(path)
