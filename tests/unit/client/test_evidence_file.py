"""Evidence files: written, read again, and read strictly."""

import json
from pathlib import Path
from typing import Any

import pytest
from igstats_client import evidence_file
from igstats_client.evidence_file import EvidenceFileError

Case = Any
"""The builder of conftest.py."""


def test_what_is_written_is_read_again(case: Case, tmp_path: Path) -> None:
    evidence = case.evidence()
    evidence_file.write(tmp_path / "evidence.json", evidence)
    assert evidence_file.read(tmp_path / "evidence.json") == evidence


def test_the_answer_of_the_http_api_is_an_evidence_file(case: Case) -> None:
    evidence = case.evidence()
    fields = json.loads(evidence_file.render(evidence))
    fields["requestId"] = fields.pop("request_id")
    fields["entries"][0]["index"] = int(fields["entries"][0]["index"])
    assert evidence_file.parse(json.dumps(fields).encode()) == evidence


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"request_id": "a", "request_id": "b"}',
        b'{"unknown": 1}',
        b'{"entries": [{"index": "x"}]}',
        b'{"entries": [{"leaf": "***"}]}' * 2,
        b'{"entries":' * 2000,
    ],
)
def test_files_out_of_form_are_refused(content: bytes) -> None:
    with pytest.raises(EvidenceFileError):
        evidence_file.parse(content)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(EvidenceFileError, match="bytes"):
        evidence_file.read(path)
