"""What the `igstats` command does with the API."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from igstats.api.v1 import request_service_pb2 as pb
from igstats.api.v1.stats_service_pb2 import GetProfileRequest

from igstats_client import connection, saving, views
from igstats_client.connection import Connection
from igstats_client.screen import Screen
from igstats_client.settings import Settings

EVIDENCE_SECONDS = 15.0
_ENDED_WELL = ("FULFILLED", "FULFILLED_IN_PART")


def open_request(
    settings: Settings,
    kind: str,
    subject: dict[str, Any],
    corrected: Sequence[tuple[str, str]],
    key: str,
    *,
    as_json: bool,
    watched: bool,
) -> bool:
    """Opens a request, and follows it if wanted; answers whether it is open, or has ended well."""
    order = pb.CreateRequestRequest(
        request_key=key,
        kind=pb.RequestKind.Value(f"REQUEST_KIND_{kind.upper()}"),
        subject=pb.Subject(**subject),
        corrections=[pb.Correction(field=field, value=value) for field, value in corrected],
    )
    with Connection(settings) as api:
        made = api.call("RequestService/CreateRequest", order).request
        _print_request(made, as_json=as_json)
        return _watch(api, made.request_id, as_json=as_json) if watched else True


def show_request(settings: Settings, request_id: str, *, as_json: bool) -> None:
    """Prints a request."""
    with Connection(settings) as api:
        found = api.call("RequestService/GetRequest", pb.GetRequestRequest(request_id=request_id)).request
    _print_request(found, as_json=as_json)


def watch_request(settings: Settings, request_id: str, *, as_json: bool) -> bool:
    """Prints every change until the request has ended; answers whether it ended well."""
    with Connection(settings) as api:
        return _watch(api, request_id, as_json=as_json)


def _watch(api: Connection, request_id: str, *, as_json: bool) -> bool:
    screen, before = Screen(), pb.PrivacyRequest()
    for answer in api.stream("RequestService/WatchRequest", pb.WatchRequestRequest(request_id=request_id)):
        if as_json:
            sys.stdout.write(views.as_json(answer.request, indent=None) + "\n")
            sys.stdout.flush()
        else:
            for line in views.changes(before, answer.request):
                screen.print(line, markup=False)
        before = answer.request
    return before.state in _ENDED_WELL


def save_evidence(settings: Settings, request_id: str, file: Path) -> None:
    """Writes the evidence of a request that has ended; waits a moment for the log to have all of it."""
    wanted = pb.GetEvidenceArchiveRequest(request_id=request_id)
    save(settings, "RequestService/GetEvidenceArchive", wanted, file, patience=EVIDENCE_SECONDS)
    Screen().print(f"check it: igstats receipt verify {file}", markup=False)


def save_export(settings: Settings, request_id: str, file: Path) -> None:
    """Writes the package of an access request."""
    save(settings, "RequestService/GetExport", pb.GetExportRequest(request_id=request_id), file)


def save(
    settings: Settings, method: str, request: Message, file: Path, *, patience: float = 0.0, field: str = "chunk"
) -> None:
    """Writes a file that a method streams in a field of its answers; a broken download leaves none."""
    with Connection(settings) as api:
        answers = api.stream(method, request, patience=patience)
        size = saving.save((getattr(answer, field) for answer in answers), file)
    Screen().print(f"{size} bytes in {file}", markup=False)


def show_profile(settings: Settings, name: str, *, as_json: bool) -> None:
    """Prints a profile."""
    with Connection(settings) as api:
        found = api.call("StatsService/GetProfile", GetProfileRequest(profile=name)).profile
    if as_json:
        sys.stdout.write(views.as_json(found) + "\n")
    else:
        views.show_profile(found, Screen())


def call(settings: Settings, name: str, body: str) -> None:
    """Calls any public method with JSON, and prints its answers as JSON, a line each when they stream.

    Raises:
        LookupError: There is no such method.
        ValueError: The JSON is not that of the method's request.
    """
    method = connection.find(name)
    request = connection.request_class(method)()
    try:
        json_format.Parse(body, request)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error
    with Connection(settings) as api:
        for line in _answers(api, name, request, streaming=method.server_streaming):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def _answers(api: Connection, name: str, request: Message, *, streaming: bool) -> Iterator[str]:
    if not streaming:
        yield views.as_json(api.call(name, request))
        return
    for answer in api.stream(name, request):
        yield views.as_json(answer, indent=None)


def methods() -> str:
    """All public methods, a line each."""
    return "\n".join(connection.methods())


def _print_request(found: pb.PrivacyRequest, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(views.as_json(found) + "\n")
    else:
        views.show_request(found, Screen())
