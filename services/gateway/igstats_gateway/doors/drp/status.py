"""Where a request stands, in the words of sections 3.02 and 3.03."""

import json
from datetime import datetime, timedelta
from typing import Any

from igstats_gateway.doors.dealing import Callback, Dealing, News
from igstats_gateway.doors.model import State, Status

KEPT = timedelta(days=60)
"""How long a record that is final can be asked for at least: the upper bound of section 3.02."""

_WORDS = {
    State.RECEIVED: "open",
    State.FULFILLED: "fulfilled",
    State.FULFILLED_IN_PART: "fulfilled",
    State.DENIED: "denied",
    State.WITHDRAWN: "revoked",
    State.EXPIRED: "expired",
}
_REASONS = {
    "SUSPECTED_FRAUD": "suspected_fraud",
    "INSUFFICIENT_VERIFICATION": "insuf_verification",
    "NO_MATCH": "no_match",
    "CLAIM_NOT_COVERED": "claim_not_covered",
    "OUTSIDE_JURISDICTION": "outside_jurisdiction",
    "TOO_MANY_REQUESTS": "too_many_requests",
}


class StatusWords:
    """Writes Exercise Status objects. Times carry +00:00: clients exist whose parser knows no Z."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")

    def of(self, dealing: Dealing, status: Status) -> dict[str, Any]:
        """The object."""
        request = status.request
        said: dict[str, Any] = {
            "request_id": dealing.external_id,
            "received_at": _time(request.received_at),
            "expected_by": _time(request.due_at),
            "status": _WORDS.get(request.state, "in_progress"),
        }
        if dealing.reference:
            said["agent_request_id"] = dealing.reference
        if details := " ".join(status.remarks):
            said["processing_details"] = details
        return said | self._verification(status) | self._end(status)

    def tell(self, dealing: Dealing, status: Status, _callback: Callback) -> News:
        """What a status callback says (section 2.03); the protocol signs none."""
        return News(json.dumps(self.of(dealing, status)).encode())

    def _verification(self, status: Status) -> dict[str, Any]:
        if status.request.state is not State.IDENTITY_PENDING:
            return {}
        page = self._page(status)
        return {
            "reason": "need_user_verification",
            "user_verification_url": page,
            "expires_at": _time(status.request.due_at),
        }

    def _end(self, status: Status) -> dict[str, Any]:
        request = status.request
        said: dict[str, Any] = {}
        if request.state is State.DENIED:
            said["reason"] = _REASONS.get(request.reason, "other")
        if request.closed_at is not None:
            said["expires_at"] = _time(request.closed_at + KEPT)
        if request.state in {State.FULFILLED, State.FULFILLED_IN_PART}:
            said["results_url"] = self._page(status)
        return said

    def _page(self, status: Status) -> str:
        return f"{self._public_url}/privacy/requests/{status.request.status_code}"


def _time(moment: datetime) -> str:
    return moment.isoformat()
