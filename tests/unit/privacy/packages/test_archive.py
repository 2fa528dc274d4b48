"""Archives of packages while they are written."""

import io
import zipfile
from datetime import UTC, datetime

import pytest
from igstats_privacy.packages.archive import Archive

MADE = datetime(2026, 11, 28, tzinfo=UTC)


def test_an_abandoned_archive_is_closed_in_the_middle_of_a_file() -> None:
    archive = Archive(MADE)
    archive.begin("profiles.jsonl")
    archive.write(b"{}\n")
    archive.abandon()
    with pytest.raises(ValueError, match="already closed"):
        archive.begin("media.jsonl")


def test_abandoning_a_whole_archive_adds_nothing_to_it() -> None:
    archive = Archive(MADE)
    archive.begin("profiles.jsonl")
    archive.write(b"{}\n")
    archive.close({})
    whole = archive.taken()
    archive.abandon()
    assert archive.taken() == b""
    assert zipfile.ZipFile(io.BytesIO(whole)).testzip() is None
