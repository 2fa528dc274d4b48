"""What an officer does with requests and holders: reads them, proves identities, sends tasks back, switches holders."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.holder.v1.identifier_pb2 import Identifier, IdentifierKind
from igstats.holder.v1.task_pb2 import Phase, Right
from igstats.privacy.v1 import privacy_service_pb2 as pb
from igstats.privacy.v1.request_pb2 import Regime, RequestState
from igstats.privacy.v1.status_service_pb2 import ReadEvidenceRequest

from igstats_client import moments
from igstats_client import officer_views as views
from igstats_client.desk import Desk

_ALL = 1_000_000_000


@dataclass(frozen=True)
class Wish:
    """What somebody asked an officer for, as typed."""

    right: str
    who: tuple[str, ...]
    regime: str
    reply: str
    language: str
    received: str
    key: str


def listed(desk: Desk, state: str, limit: int, *, blocked: bool, overdue: bool) -> None:
    """Prints requests, newest first."""
    wanted = pb.ListRequestsRequest(state=number(RequestState, "REQUEST_STATE", state), blocked_only=blocked)
    found = desk.each("PrivacyService/ListRequests", wanted, "requests", _ALL if overdue else limit)
    kept = (one for one in found if one.overdue or not overdue)
    desk.show_all(list(islice(kept, limit)), views.requests)


def shown(desk: Desk, request_id: str) -> None:
    """Prints a request with its tasks."""
    answer = desk.ask("PrivacyService/GetRequest", pb.GetRequestRequest(request_id=request_id))
    desk.show(answer.request, views.request)


def opened(desk: Desk, wish: Wish) -> None:
    """Opens a request for somebody who came another way: by letter, on the telephone."""
    asked = pb.OpenRequestRequest(
        idempotency_key=wish.key,
        right=number(Right, "RIGHT", wish.right),
        identifiers=persons(wish.who),
        door="officer",
        regime=number(Regime, "REGIME", wish.regime),
        reply_address=wish.reply,
        language=wish.language,
        received_time=moment(wish.received) if wish.received else None,
    )
    desk.show(desk.ask("PrivacyService/OpenRequest", asked).request, views.request)


def proved(desk: Desk, request_id: str, how: str) -> None:
    """States how the person's identity was proved."""
    said = pb.ConfirmIdentityRequest(request_id=request_id, identity_proof=how)
    desk.show(desk.ask("PrivacyService/ConfirmIdentity", said).request, views.request)


def retried(desk: Desk, request_id: str, holder: str, phase: str) -> None:
    """Sends a blocked task back to its holder."""
    task = pb.RetryTaskRequest(request_id=request_id, holder=holder, phase=number(Phase, "PHASE", phase))
    desk.show(desk.ask("PrivacyService/RetryTask", task).request, views.request)


def withdrawn(desk: Desk, request_id: str) -> None:
    """Takes a request back."""
    answer = desk.ask("PrivacyService/WithdrawRequest", pb.WithdrawRequestRequest(request_id=request_id))
    desk.show(answer.request, views.request)


def evidence(desk: Desk, request_id: str, file: Path | None) -> None:
    """Writes the evidence of a request that has ended.

    Raises:
        ValueError: The request has no status code, by which evidence is read.
    """
    found = desk.ask("PrivacyService/GetRequest", pb.GetRequestRequest(request_id=request_id)).request
    if not found.status_code:
        raise ValueError("the request has no status code: nobody was told one")
    wanted = ReadEvidenceRequest(status_code=found.status_code)
    desk.save("StatusService/ReadEvidence", wanted, file or Path(f"evidence-{request_id}.zip"))


def excerpt_opened(desk: Desk, key: str, who: Iterable[str], ground: str, reason: str) -> None:
    """Opens an excerpt of a restricted person's data."""
    why = number(pb.ExcerptGround, "EXCERPT_GROUND", ground)
    order = pb.OpenExcerptRequest(idempotency_key=key, identifiers=persons(who), ground=why, reason=reason)
    desk.show(desk.ask("PrivacyService/OpenExcerpt", order).request, views.request)


def excerpt_read(desk: Desk, request_id: str, file: Path | None) -> None:
    """Writes the package of an excerpt."""
    wanted = pb.ReadExcerptRequest(request_id=request_id)
    desk.save("PrivacyService/ReadExcerpt", wanted, file or Path(f"excerpt-{request_id}.zip"))


def holders(desk: Desk) -> None:
    """Prints the holders."""
    answer = desk.ask("PrivacyService/ListHolders", pb.ListHoldersRequest())
    desk.show_all(list(answer.holders), views.holders)


def switched(desk: Desk, holder: str, *, enabled: bool) -> None:
    """Switches a holder on or off."""
    order = pb.SetHolderEnabledRequest(holder=holder, enabled=enabled)
    desk.show_all([desk.ask("PrivacyService/SetHolderEnabled", order).holder], views.holders)


def number(enum: Any, prefix: str, name: str) -> Any:  # noqa: ANN401 - any enum of the protos
    """The value of an enum from its name without prefix, as people type it; 0 for none.

    Raises:
        ValueError: There is no such value; the text lists those there are.
    """
    full = f"{prefix}_{name.upper().replace('-', '_')}"
    if not name:
        return 0
    names = list(enum.keys())
    if full not in names:
        known = ", ".join(one.removeprefix(f"{prefix}_").lower() for one in names[1:])
        raise ValueError(f"{name!r} is none of: {known}")
    return enum.Value(full)


def persons(pairs: Iterable[str]) -> list[Identifier]:
    """Names of a person, as KIND=VALUE.

    Raises:
        ValueError: One of them cannot be read.
    """
    found = []
    for pair in pairs:
        kind, parted, value = pair.partition("=")
        if not parted or not value:
            raise ValueError("name a person as KIND=VALUE, for example instagram_user_id=17841400000000001")
        found.append(Identifier(kind=number(IdentifierKind, "IDENTIFIER_KIND", kind), value=value))
    return found


def moment(text: str) -> Timestamp:
    """A time as people type it.

    Raises:
        ValueError: It cannot be read.
    """
    made = Timestamp()
    made.FromDatetime(moments.parse(text, datetime.now(UTC)))
    return made
