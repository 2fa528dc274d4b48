from datetime import timedelta
from pathlib import Path

import pytest
from igstats_privacy.access import access
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.model import Right
from igstats_privacy.policy import Policy
from pydantic import ValidationError


def config(folder: Path, **changes: object) -> PrivacyConfig:
    file = folder / "file"
    file.write_bytes(b"x")
    files = ("tls_ca", "suppression_key", "tls_cert", "tls_key", "receipt_key", "seal_key")
    values: dict[str, object] = {"nats_url": "tls://nats:4222", "database_url": "postgresql+asyncpg://u@h/d"}
    values |= {"listen": "0.0.0.0:7443"} | dict.fromkeys(files, file) | changes
    return PrivacyConfig.load(**values)


@pytest.mark.parametrize(
    ("listen", "own"),
    [
        ("0.0.0.0:7443", "127.0.0.1:7443"),
        ("[::]:7443", "[::1]:7443"),
        ("10.0.0.7:7443", "10.0.0.7:7443"),
        ("127.0.0.1:9", "127.0.0.1:9"),
    ],
)
def test_privacy_as_a_holder_finds_itself_at_its_own_listener(tmp_path: Path, listen: str, own: str) -> None:
    made = config(tmp_path, listen=listen, privacy_address="privacy:7443")
    assert made.as_holder().privacy_address == own
    assert made.privacy_address == "privacy:7443"


@pytest.mark.parametrize("wrong", [{"backup_days": -1}, {"export_days": 0}, {"export_days": 15}])
def test_days_that_break_a_promise_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(tmp_path, **wrong)


def test_by_default_proved_requests_wait_for_nothing_and_persons_are_told_before_a_lifting(tmp_path: Path) -> None:
    assert config(tmp_path).policy == Policy(notice=timedelta(days=7))


def test_rights_that_wait_for_officers_are_listed_by_name(tmp_path: Path) -> None:
    assert config(tmp_path, approve="ERASURE, ACCESS,").policy.approve == {Right.ERASURE, Right.ACCESS}
    with pytest.raises(ValidationError):
        config(tmp_path, approve="ERASURES")


def test_a_listed_holder_may_register_and_nothing_else(tmp_path: Path) -> None:
    table = access(config(tmp_path, holders="stats, billing,").holder_names)
    allowed = {method for method, row in table.items() if "billing" in row.callers}
    assert {method.split("/")[1] for method in allowed} == {"igstats.holder.v1.HolderTasksService"}
    assert len(allowed) == 4


def test_of_the_internal_services_the_gateway_may_call_only_what_its_doors_do() -> None:
    table = access(()).items()
    allowed = {path.removeprefix("/igstats.privacy.v1.") for path, row in table if "gateway" in row.callers}
    assert {path for path in allowed if not path.startswith("/igstats.api.v1.")} == {
        "PrivacyService/OpenRequest",
        *(f"StatusService/{one}" for one in ("GetStatus", "WithdrawByCode", "DescribeCategories")),
        *(f"StatusService/{one}" for one in ("ReadEvidence", "ReadPackage")),
        *(f"IdentityService/{one}" for one in ("SendCode", "SubmitCode", "MatchPoints", "ProveAccount")),
        *(f"IdentityService/{one}" for one in ("StartLogin", "FinishLogin")),
    }
