import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from igstats_audit.checks.key_ages import AGES, KeyAges
from igstats_audit.checks.key_files import DayKey, Folder, KeyFile, age, day_keys, looks, permissions, ways
from igstats_audit.checks.report import NotPossibleError, Outcome, Severity, concluded
from igstats_kit.testing.clock import FakeClock
from ulid import ULID

CLOCK = FakeClock()
NOW = CLOCK.now()


async def as_they_say(files: Sequence[KeyFile]) -> Sequence[KeyFile]:
    return files


FILE = KeyFile("SEAL_KEY", NOW - timedelta(days=9), 0o600, ours=True)


def test_private_and_recent_key_files_pass() -> None:
    assert list(age([FILE], NOW)) == []
    assert list(permissions([FILE, replace(FILE, mode=0o400), replace(FILE, mode=0o440, ours=False)])) == []


def test_a_key_that_nobody_has_renewed_is_found() -> None:
    (finding,) = age([replace(FILE, modified_at=NOW - timedelta(days=366))], NOW)
    assert (finding.severity, finding.place) == (Severity.LOW, "SEAL_KEY")


@pytest.mark.parametrize(
    ("mode", "ours", "severity"),
    [
        (0o604, True, Severity.HIGH),
        (0o444, False, Severity.HIGH),
        (0o620, True, Severity.HIGH),
        (0o460, False, Severity.HIGH),
        (0o640, True, Severity.MEDIUM),
    ],
)
def test_a_key_that_others_may_read_or_replace_is_found(mode: int, *, ours: bool, severity: Severity) -> None:
    (finding,) = permissions([replace(FILE, mode=mode, ours=ours)])
    assert (finding.severity, finding.evidence[0]) == (severity, f"mode=0{mode:o}")


FOLDER = Folder("SEAL_KEY", 1, 0o755, safe_owner=True, our_group=False)


def test_folders_in_which_nobody_else_writes_and_mounted_ones_pass() -> None:
    mounted = replace(FOLDER, mode=0o2775, our_group=True)
    assert list(ways([FOLDER, mounted, replace(FOLDER, mode=0o1777), replace(FOLDER, mode=0o3777)])) == []


@pytest.mark.parametrize(
    "folder",
    [
        replace(FOLDER, mode=0o777),
        replace(FOLDER, mode=0o775),
        replace(FOLDER, mode=0o777, our_group=True),
        replace(FOLDER, safe_owner=False),
        replace(FOLDER, mode=0o1777, safe_owner=False),
    ],
)
def test_a_folder_in_which_others_may_put_another_key_is_found(folder: Folder) -> None:
    (finding,) = ways([folder])
    assert (finding.severity, finding.place) == (Severity.HIGH, "SEAL_KEY")
    assert finding.evidence[:2] == ("folders_above=1", f"mode={folder.mode:04o}")


async def test_folders_are_looked_at_all_the_way_up_and_where_links_lead(tmp_path: Path) -> None:
    top, inner, other = (tmp_path / name for name in ("top", "top/inner", "other"))
    for folder in (top, inner, other):
        folder.mkdir(mode=0o755)
    key, link = inner / "a.key", other / "b.key"
    key.write_bytes(b"k")
    key.chmod(0o600)
    link.symlink_to(key)
    check = looks({"DIRECT": key, "LINKED": link}, None, as_they_say, CLOCK)["keys.permissions"]
    assert concluded("x", await check()).outcome is Outcome.PASSED
    top.chmod(0o777)
    found = [(finding.place, finding.evidence[0]) for finding in (await check()).findings]
    assert found == [("DIRECT", "folders_above=2"), ("LINKED", "folders_above=2")]
    top.chmod(0o755)
    other.chmod(0o775)
    assert [finding.place for finding in (await check()).findings] == ["LINKED"]


def test_one_key_of_the_day_and_its_successor_pass() -> None:
    assert list(day_keys([DayKey("kek_1", NOW - timedelta(hours=25)), DayKey("kek_2", NOW)], NOW)) == []


def test_a_key_that_outlives_its_day_is_found() -> None:
    (finding,) = day_keys([DayKey("kek_1", NOW - timedelta(hours=27))], NOW)
    assert (finding.severity, finding.place) == (Severity.HIGH, "kek_1")
    assert "age_hours=27" in finding.evidence


def test_no_key_of_the_day_and_too_many_are_found() -> None:
    assert [finding.severity for finding in day_keys([], NOW)] == [Severity.HIGH]
    assert [finding.severity for finding in day_keys([DayKey(f"kek_{n}", NOW) for n in range(3)], NOW)] == [
        Severity.MEDIUM
    ]


async def test_files_are_looked_at_as_they_are(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.key", tmp_path / "bad.key"
    for path in (good, bad):
        path.write_bytes(b"k")
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    good.chmod(0o600)
    bad.chmod(0o644)
    checks = looks({"GOOD": good, "BAD": bad, "GONE": tmp_path / "none"}, None, as_they_say, CLOCK)
    found = await checks["keys.permissions"]()
    assert [finding.place for finding in found.findings] == ["BAD"]
    assert concluded("keys.age", await checks["keys.age"]()).outcome is Outcome.NOT_POSSIBLE
    with pytest.raises(NotPossibleError):
        await checks["keys.day"]()


async def test_ids_of_the_key_store_tell_when_keys_were_made() -> None:
    made = ULID.from_datetime(NOW - timedelta(hours=30))
    found = await looks({}, lambda: [f"kek_{made}".lower()], as_they_say, CLOCK)["keys.day"]()
    assert [finding.severity for finding in found.findings] == [Severity.HIGH]


def mounted(key: Path, content: bytes, *, days: int) -> None:
    key.write_bytes(content)
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(key, (moment, moment))


async def found_old(folder: Path, *settings: str) -> list[tuple[str, str]]:
    paths = {setting: folder / f"{setting}.pem" for setting in settings}
    looked = await looks(paths, None, KeyAges(folder, paths).of, CLOCK)["keys.age"]()
    return [(finding.place, finding.evidence[1]) for finding in looked.findings]


async def test_a_key_that_is_mounted_again_is_as_old_as_before_and_another_one_is_not(tmp_path: Path) -> None:
    for setting in ("KEPT", "RENEWED"):
        mounted(tmp_path / f"{setting}.pem", b"one", days=400)
    assert await found_old(tmp_path, "KEPT", "RENEWED") == [("KEPT", "age_days=400"), ("RENEWED", "age_days=400")]
    mounted(tmp_path / "KEPT.pem", b"one", days=1)
    mounted(tmp_path / "RENEWED.pem", b"two", days=1)
    assert await found_old(tmp_path, "RENEWED") == []
    assert await found_old(tmp_path, "KEPT", "RENEWED") == [("KEPT", "age_days=400")]
    assert (tmp_path / AGES).stat().st_mode & 0o777 == 0o600


async def test_a_folder_is_as_old_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "FOLDER.pem").mkdir()
    assert await found_old(tmp_path, "FOLDER") == []
    assert not (tmp_path / AGES).exists()


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"KEPT": 1}', b'{"KEPT": {"digest": "d", "since": "2026-01-01T00:00:00"}}']
)
async def test_what_was_remembered_of_keys_and_cannot_be_read_is_no_success_and_stays(
    tmp_path: Path, content: bytes
) -> None:
    mounted(tmp_path / "KEPT.pem", b"one", days=1)
    (tmp_path / AGES).write_bytes(content)
    with pytest.raises(NotPossibleError, match=AGES):
        await found_old(tmp_path, "KEPT")
    assert (tmp_path / AGES).read_bytes() == content


async def test_ages_that_cannot_be_kept_are_no_success(tmp_path: Path) -> None:
    mounted(tmp_path / "KEPT.pem", b"one", days=1)
    paths = {"KEPT": tmp_path / "KEPT.pem"}
    with pytest.raises(NotPossibleError, match="cannot be written"):
        await looks(paths, None, KeyAges(tmp_path / "gone", paths).of, CLOCK)["keys.age"]()
