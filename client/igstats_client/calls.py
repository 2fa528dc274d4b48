"""What the `igstats` command does with calls: an account with its own, an officer with those of all."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import Code
from igstats.api.v1 import account_service_pb2 as pb
from igstats.audit.v1 import audit_service_pb2 as audit_pb

from igstats_client import actions, moments, views
from igstats_client.connection import Connection
from igstats_client.officer import OfficerConnection
from igstats_client.printing import printable_json
from igstats_client.screen import Screen
from igstats_client.settings import Office, Settings

_PAGE = 500
_EXPORT = "AccountService/ExportCalls"


@dataclass(frozen=True)
class Wanted:
    """Which calls, as typed; what is empty leaves nothing out."""

    status: str = ""
    since: str = ""
    until: str = ""

    def fields(self) -> dict[str, Any]:
        """The filters as the fields of a request.

        Raises:
            ValueError: One cannot be read.
        """
        now = datetime.now(UTC)
        found: dict[str, Any] = {"status": _status(self.status)} if self.status else {}
        for name, text in (("start_time", self.since), ("end_time", self.until)):
            if text:
                found[name] = Timestamp()
                found[name].FromDatetime(moments.parse(text, now))
        return found


def show(settings: Settings, wanted: Wanted, call_id: str, limit: int, *, as_json: bool) -> None:
    """Prints the account's own calls, newest first."""
    request = pb.ListCallsRequest(call_id=call_id, **wanted.fields())
    with Connection(settings) as api:
        found = list(_listed(lambda page: api.call("AccountService/ListCalls", page), request, limit))
    _print(found, as_json=as_json)


def show_all(office: Office, wanted: Wanted, account_id: str, call_id: str, limit: int, *, as_json: bool) -> None:
    """Prints calls of one account, or of all, newest first."""
    request = audit_pb.SearchCallsRequest(account_id=account_id, call_id=call_id, **wanted.fields())
    with OfficerConnection(office) as audit:
        found = list(_listed(lambda page: audit.call("SearchCalls", page), request, limit))
    _print(found, as_json=as_json)


def _listed(ask: Callable[[Any], Any], request: Any, limit: int) -> Iterator[Any]:  # noqa: ANN401 - either one's messages
    """At most `limit` calls. A page may have fewer than were asked for: the service leaves out what it cannot read."""
    while limit > 0:
        request.page_size = min(limit, _PAGE)
        page = ask(request)
        found = list(page.calls)[:limit]
        yield from found
        limit -= len(found)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _print(found: Sequence[Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.writelines(views.as_json(call, indent=None) + "\n" for call in found)
    else:
        views.show_calls(found, Screen())


def export(settings: Settings, wanted: Wanted, file: Path | None) -> None:
    """Writes all calls that fit as JSON lines, to standard output when there is no file."""
    request = pb.ExportCallsRequest(**wanted.fields())
    if file is not None:
        actions.save(settings, _EXPORT, request, file, field="lines")
        return
    with Connection(settings) as api:
        for answer in api.stream(_EXPORT, request):
            sys.stdout.write(printable_json(answer.lines.decode()))
            sys.stdout.flush()


def _status(text: str) -> int:
    """A status code from its name or number."""
    if text.isdecimal():
        return int(text)
    name = text.upper().replace("-", "_")
    if name not in Code.keys():  # noqa: SIM118 - an enum wrapper, not a dict
        raise ValueError(f"{text!r} is no gRPC status code: write its number, or a name like NOT_FOUND")
    return int(Code.Value(name))
