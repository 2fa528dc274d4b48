"""Migrations of a service are one chain: two that were written at the same time would leave every database behind."""

import re
from pathlib import Path

import pytest
from codebase import ROOT

FOLDERS = [*sorted(ROOT.glob("services/*/igstats_*/migrations/versions")), ROOT / "kit/igstats_kit/migrations/versions"]
_FILE = re.compile(r"(?:kit_)?(?P<number>\d{4})_[a-z_]+\.py")
_REVISION = re.compile(r'^revision = "(?P<name>\w+)"$', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision = (?:"(?P<name>\w+)"|None)$', re.MULTILINE)


def _one(pattern: re.Pattern[str], text: str) -> str | None:
    (found,) = pattern.finditer(text)
    return found["name"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parents[1].name)
def test_every_migration_has_the_number_of_its_file_and_follows_the_one_before(folder: Path) -> None:
    service, before = folder.parents[1].name.removeprefix("igstats_"), None
    for number, path in enumerate(sorted(folder.glob("*.py")), start=1):
        file, text = _FILE.fullmatch(path.name), path.read_text()
        assert file is not None, path.name
        assert int(file["number"]) == number, path.name
        assert _one(_REVISION, text) == f"{service}_{number:04}", path.name
        assert _one(_BEFORE, text) == before, path.name
        before = f"{service}_{number:04}"
