"""Evidence as a file: the JSON of igstats.api.v1.GetEvidenceResponse, so that the answer of the HTTP API is one too."""

from pathlib import Path

from google.protobuf import json_format
from igstats.api.v1.request_service_pb2 import GetEvidenceResponse

_LIMIT_BYTES = 64 * 1024 * 1024


class EvidenceFileError(ValueError):
    """The file is not the JSON of an evidence answer."""


def read(path: Path) -> GetEvidenceResponse:
    """Reads an evidence file; unknown and repeated fields are refused."""
    if path.stat().st_size > _LIMIT_BYTES:
        raise EvidenceFileError(f"more than {_LIMIT_BYTES} bytes")
    return parse(path.read_bytes())


def parse(content: bytes) -> GetEvidenceResponse:
    """Reads the content of an evidence file."""
    if not content.lstrip().startswith(b"{"):
        raise EvidenceFileError("not an evidence file: not a JSON object")
    try:
        return json_format.Parse(content, GetEvidenceResponse(), max_recursion_depth=10)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceFileError(f"not an evidence file: {error}") from error


def write(path: Path, evidence: GetEvidenceResponse) -> None:
    """Writes an evidence file."""
    path.write_text(render(evidence), encoding="utf-8")


def render(evidence: GetEvidenceResponse) -> str:
    """The content of an evidence file."""
    fields = json_format.MessageToJson(
        evidence, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    return f"{fields}\n"
