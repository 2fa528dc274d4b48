"""Between the messages of DecisionService and this room."""

from igstats.holder.v1.receipt_pb2 import Receipt
from igstats.privacy.v1 import decision_service_pb2 as pb

from igstats_privacy import messages as core
from igstats_privacy.decisions.decision import HolderPreview, Preview
from igstats_privacy.decisions.holds import NewHold
from igstats_privacy.model import Hold, Holder


def read_reason(reason: pb.DenialReason.ValueType) -> str:
    """A reason that validation let pass."""
    return pb.DenialReason.Name(reason).removeprefix("DENIAL_REASON_")


def preview(found: Preview) -> pb.GetPreviewResponse:
    """The answers by holder, and the rows that would go."""
    return pb.GetPreviewResponse(
        preview_id=found.preview_id,
        holders=map(_holder, found.holders),
        complete=found.is_complete,
        row_count=row_count(found),
    )


def row_count(found: Preview) -> int:
    """Rows that would go, as far as holders have answered."""
    said = [Receipt.FromString(one.receipt) for one in found.holders if one.answered]
    return sum(count.count for receipt in said for count in receipt.counts)


def _holder(one: HolderPreview) -> pb.HolderPreview:
    said = Receipt.FromString(one.receipt) if one.answered else Receipt()
    return pb.HolderPreview(holder=one.holder, answered=one.answered, goes=said.counts, stays=said.retained)


def personal_stores(holder: Holder) -> frozenset[str]:
    """The stores with personal data that a holder has announced."""
    described = core.description(holder).stores
    return frozenset(one.store for one in described if any(field.category for field in one.fields))


def new_hold(message: pb.PlaceHoldRequest) -> NewHold:
    """What an officer wants to keep."""
    return NewHold(
        identifiers=tuple(map(core.read_identifier, message.identifiers)),
        request_id=message.request_id,
        groups=tuple((group.holder, store) for group in message.groups for store in group.stores),
        ground=message.ground,
        reason=message.reason,
        until=core.read_time(message.until_time),
        review_at=core.read_time(message.review_time),
    )


def hold(one: Hold) -> pb.Hold:
    """A hold as officers see it."""
    holders = dict.fromkeys(holder for holder, _ in one.groups)
    return pb.Hold(
        hold_id=one.hold_id,
        groups=[pb.HeldGroup(holder=holder, stores=one.at(holder)) for holder in holders],
        ground=one.ground,
        reason=one.reason,
        until_time=core.stamp(one.until),
        review_time=core.stamp(one.review_at),
        placed_time=core.stamp(one.placed_at),
        placed_by=one.placed_by,
        released_time=core.stamp(one.released_at),
        resumed_request_ids=one.resumed,
    )
