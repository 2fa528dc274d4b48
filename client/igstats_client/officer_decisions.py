"""What an officer decides: previews, approvals, refusals, extensions, holds."""

from collections.abc import Iterable
from dataclasses import dataclass

from igstats.privacy.v1 import decision_service_pb2 as pb

from igstats_client import officer_views as views
from igstats_client.desk import Desk
from igstats_client.officer_requests import moment, number, persons


@dataclass(frozen=True)
class Keeping:
    """A hold as typed: whose data or which request, HOLDER:STORE[,STORE] each, why, and until when."""

    who: tuple[str, ...]
    request_id: str
    keep: tuple[str, ...]
    ground: str
    reason: str
    until: str
    review: str


def previewed(desk: Desk, request_id: str, *, ask: bool) -> bool:
    """Prints what an erasure would touch, asking the holders first if wanted; answers whether all have answered."""
    if ask:
        desk.ask("DecisionService/PreviewRequest", pb.PreviewRequestRequest(request_id=request_id))
    answer: pb.GetPreviewResponse = desk.ask("DecisionService/GetPreview", pb.GetPreviewRequest(request_id=request_id))
    desk.show(answer, views.preview)
    return answer.complete


def approved(desk: Desk, request_id: str) -> None:
    """Approves a request."""
    answer = desk.ask("DecisionService/ApproveRequest", pb.ApproveRequestRequest(request_id=request_id))
    desk.show(answer.request, views.request)


def denied(desk: Desk, request_id: str, reason: str, explanation: str) -> None:
    """Refuses a request."""
    why = number(pb.DenialReason, "DENIAL_REASON", reason)
    refusal = pb.DenyRequestRequest(request_id=request_id, reason=why, explanation=explanation)
    desk.show(desk.ask("DecisionService/DenyRequest", refusal).request, views.request)


def extended(desk: Desk, request_id: str, reasons: str) -> None:
    """Extends the due time of a request."""
    extension = pb.ExtendRequestRequest(request_id=request_id, reasons=reasons)
    desk.show(desk.ask("DecisionService/ExtendRequest", extension).request, views.request)


def placed(desk: Desk, keeping: Keeping) -> None:
    """Places a hold."""
    order = pb.PlaceHoldRequest(
        identifiers=persons(keeping.who),
        request_id=keeping.request_id,
        groups=groups(keeping.keep),
        ground=keeping.ground,
        reason=keeping.reason,
        until_time=moment(keeping.until),
        review_time=moment(keeping.review or keeping.until),
    )
    desk.show_all([desk.ask("DecisionService/PlaceHold", order).hold], views.holds)


def released(desk: Desk, hold_id: str) -> None:
    """Ends a hold."""
    answer = desk.ask("DecisionService/ReleaseHold", pb.ReleaseHoldRequest(hold_id=hold_id))
    desk.show_all([answer.hold], views.holds)


def holds(desk: Desk, *, everything: bool, due: bool) -> None:
    """Prints holds."""
    wanted = pb.ListHoldsRequest(with_released=everything, review_due=due)
    desk.show_all(list(desk.ask("DecisionService/ListHolds", wanted).holds), views.holds)


def groups(texts: Iterable[str]) -> list[pb.HeldGroup]:
    """Field groups from HOLDER:STORE[,STORE].

    Raises:
        ValueError: One of them cannot be read.
    """
    found = []
    for text in texts:
        holder, _, named = text.partition(":")
        stores = [store.strip() for store in named.split(",") if store.strip()]
        if not holder or not stores:
            raise ValueError("name what stays as HOLDER:STORE[,STORE], for example gateway:invoices")
        found.append(pb.HeldGroup(holder=holder, stores=stores))
    return found
