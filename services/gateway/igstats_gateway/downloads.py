"""Methods that stream a file: over HTTP they answer with the file itself, not with JSON around its pieces."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_ZIP = "application/zip"
_HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,80}")


@dataclass(frozen=True)
class Download:
    """What the file is, and the name that a browser saves it under: `{request_id}` stands for the request's."""

    media_type: str
    file_name: str

    def headers(self, variables: Mapping[str, str]) -> dict[str, str]:
        """How the answer names the file; a value that is no plain id is left out of the name."""
        known = {name: value if _HARMLESS.fullmatch(value) else "file" for name, value in variables.items()}
        return {"content-disposition": f'attachment; filename="{self.file_name.format(**known)}"'}


DOWNLOADS: Mapping[str, Download] = {
    "/igstats.api.v1.AccountService/ExportCalls": Download("application/x-ndjson", "calls.ndjson"),
    "/igstats.api.v1.RequestService/GetEvidenceArchive": Download(_ZIP, "evidence-{request_id}.zip"),
    "/igstats.api.v1.RequestService/GetExport": Download(_ZIP, "export-{request_id}.zip"),
}


def is_piece(response: type[Message]) -> bool:
    """Whether a message is nothing but a piece of a file."""
    fields = cast("Descriptor", response.DESCRIPTOR).fields
    return len(fields) == 1 and fields[0].type == FieldDescriptor.TYPE_BYTES and not fields[0].is_repeated


def piece(message: Message) -> bytes:
    """The piece in a message that is nothing else."""
    (field,) = cast("Descriptor", message.DESCRIPTOR).fields
    found: bytes = getattr(message, field.name)
    return found
