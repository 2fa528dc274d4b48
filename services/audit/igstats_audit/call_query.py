"""What is asked of the API log, and how its pages and lines look; pure."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.seal import Sealer, SealError

from igstats_audit.model import Place

_CODES = range(17)  # of gRPC's status
_CALL_ID = re.compile(r"[A-Za-z0-9_]{1,64}")
_BOOKMARK = re.compile(r"([0-9]{1,16})\.([A-Za-z0-9_]{1,64})")
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime.fromtimestamp(0, UTC)
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; what is empty or None leaves nothing out. From `start_time` on, and before `end_time`."""

    account_id: str = ""
    call_id: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    status: int | None = None

    @property
    def names(self) -> list[str]:
        """The filters that are used, without what they ask for."""
        given = {
            "account": bool(self.account_id),
            "call_id": bool(self.call_id),
            "start_time": self.start_time is not None,
            "end_time": self.end_time is not None,
            "status": self.status is not None,
        }
        return [name for name, used in given.items() if used]

    def require_sound(self) -> None:
        """Refuses what no call can fit.

        Raises:
            DomainError: FIELD_INVALID, TIME_RANGE_INVALID.
        """
        if self.call_id and not _CALL_ID.fullmatch(self.call_id):
            raise _invalid("call_id", "is not the id of a call")
        if self.status is not None and self.status not in _CODES:
            raise _invalid("status", "is not a gRPC status code")
        if self.start_time is not None and self.end_time is not None and self.start_time >= self.end_time:
            raise DomainError(Reason.TIME_RANGE_INVALID)

    @property
    def binding(self) -> str:
        """Text that is the same for the same question only."""
        times = [moment and moment.isoformat() for moment in (self.start_time, self.end_time)]
        return json.dumps([self.account_id, self.call_id, *times, self.status])


class Bookmark(NamedTuple):
    """The last call of a page."""

    called_at: datetime
    call_id: str


@dataclass(frozen=True, slots=True)
class Scan:
    """A question to the index: calls of one account's token, or of all; of days since, after a bookmark."""

    wanted: CallFilter
    token: bytes | None
    since: date
    limit: int
    after: Bookmark | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A call that the index found, whose it says that it is, and where its entry is."""

    bookmark: Bookmark
    place: Place
    token: bytes | None


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call as it was sealed into the access log."""

    call_id: str
    account_id: str
    key_id: str
    method: str
    protocol: str
    status: int
    reason: str
    called_at: datetime
    latency_us: int
    ip_address: str = field(repr=False)
    user_agent: str = field(repr=False)
    index: int


@dataclass(frozen=True, slots=True)
class CallPage:
    """Calls, newest first; the token is empty at the end."""

    calls: Sequence[LoggedCall]
    next_page_token: str


class PageTokens:
    """Page tokens: sealed, so that nobody builds on what is in them, and good for the question they came from only."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def write(self, wanted: CallFilter, last: Bookmark) -> str:
        """The token of the page after a call."""
        place = f"{(last.called_at - _EPOCH) // _MICROSECOND}.{last.call_id}"
        return base64.urlsafe_b64encode(self._sealer.seal(place.encode(), _context(wanted))).decode()

    def read(self, wanted: CallFilter, token: str) -> Bookmark:
        """The call that the page comes after.

        Raises:
            DomainError: PAGE_TOKEN_INVALID.
        """
        try:
            sealed = base64.b64decode(token, altchars=b"-_", validate=True)
            match = _BOOKMARK.fullmatch(self._sealer.open(sealed, _context(wanted)).decode("ascii"))
        except (binascii.Error, ValueError, SealError) as error:
            raise DomainError(Reason.PAGE_TOKEN_INVALID) from error
        if match is None:
            raise DomainError(Reason.PAGE_TOKEN_INVALID)
        return Bookmark(_EPOCH + int(match[1]) * _MICROSECOND, match[2])


def read_call(index: int, payload: bytes) -> LoggedCall:
    """The call in an entry's payload.

    Raises:
        ValueError: It is not what the access log holds.
    """
    values = json.loads(payload)
    names = ("call_id", "account_id", "key_id", "method", "protocol", "status", "reason", "latency_us")
    try:
        return LoggedCall(
            **{name: values[name] for name in names},
            called_at=datetime.fromisoformat(values["called_time"]),
            ip_address=values["ip_address"],
            user_agent=values["user_agent"],
            index=index,
        )
    except (KeyError, TypeError) as error:
        raise ValueError("the payload is not a call") from error


def line(call: LoggedCall) -> bytes:
    """A call as one line of JSON, in the words and forms of igstats.audit.v1.Call over HTTP."""
    values = {
        "callId": call.call_id,
        "accountId": call.account_id,
        "keyId": call.key_id,
        "method": call.method,
        "protocol": call.protocol,
        "status": call.status,
        "reason": call.reason,
        "calledTime": _time(call.called_at),
        "latencyUs": call.latency_us,
        "ipAddress": call.ip_address,
        "userAgent": call.user_agent,
        "index": call.index,
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def pieces(calls: Iterable[LoggedCall]) -> Iterator[tuple[bytes, int]]:
    """Whole lines in pieces of some 64 KiB, each with the number of its lines."""
    lines: list[bytes] = []
    size = 0
    for call in calls:
        lines.append(line(call))
        size += len(lines[-1])
        if size >= _PIECE_BYTES:
            yield b"".join(lines), len(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines), len(lines)


def _context(wanted: CallFilter) -> str:
    return f"calls.page:{wanted.binding}"


def _time(moment: datetime) -> str:
    """As protobuf's JSON writes it: no, three or six digits of a second."""
    digits = "microseconds" if moment.microsecond % 1000 else "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def _invalid(name: str, description: str) -> DomainError:
    return DomainError(Reason.FIELD_INVALID, violations=[Violation(name, description)])
