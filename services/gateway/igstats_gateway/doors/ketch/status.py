"""Where a request stands, in Ketch's words (api/dsr/v1/Status.md)."""

import json
from typing import Any

from igstats_gateway.doors.dealing import Callback, Dealing, News
from igstats_gateway.doors.model import Right, State, Status

DOOR = "ketch"
API_VERSION = "dsr/v1"
KINDS = {
    Right.ACCESS: "Access",
    Right.ERASURE: "Delete",
    Right.CORRECTION: "Correction",
    Right.RESTRICTION: "RestrictProcessing",
}

_WORDS = {
    State.RECEIVED: ("pending", "unknown"),
    State.IDENTITY_PENDING: ("pending", "need_user_verification"),
    State.TRIAGE: ("pending", "unknown"),
    State.ACCEPTED: ("pending", "unknown"),
    State.FULFILLED: ("completed", "executed"),
    State.FULFILLED_IN_PART: ("completed", "executed"),
    State.WITHDRAWN: ("cancelled", "unknown"),
    State.EXPIRED: ("denied", "insufficient_verification"),
}
_DENIALS = {
    "SUSPECTED_FRAUD": "suspected_fraud",
    "INSUFFICIENT_VERIFICATION": "insufficient_verification",
    "NO_MATCH": "no_match",
    "CLAIM_NOT_COVERED": "claim_not_covered",
    "OUTSIDE_JURISDICTION": "outside_jurisdiction",
    "TOO_MANY_REQUESTS": "too_many_requests",
}


class Words:
    """Writes responses and status events. `completed/requested` is never said: it would mean only "forwarded"."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")

    def response(self, dealing: Dealing, status: Status) -> dict[str, Any]:
        """The answer to a request."""
        return self._message(dealing, status, "Response")

    def tell(self, dealing: Dealing, status: Status, _callback: Callback) -> News:
        """What a callback says."""
        return News(json.dumps(self._message(dealing, status, "StatusEvent")).encode())

    def _message(self, dealing: Dealing, status: Status, what: str) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION,
            "kind": f"{KINDS[status.request.right]}{what}",
            "metadata": {"uid": dealing.external_id, "tenant": dealing.partner_id},
            "response" if what == "Response" else "event": self._standing(status),
        }

    def _standing(self, status: Status) -> dict[str, Any]:
        request = status.request
        word, reason = _WORDS.get(request.state, ("in_progress", "unknown"))
        if request.state is State.DENIED:
            word, reason = "denied", _DENIALS.get(request.reason, "unknown")
        said: dict[str, Any] = {
            "status": word,
            "reason": reason,
            "requestID": request.request_id,
            "expectedCompletionTimestamp": int(request.due_at.timestamp()),
        }
        if request.state is State.IDENTITY_PENDING:
            said["redirectUrl"] = f"{self._public_url}/privacy/requests/{request.status_code}"
        if remarks := " ".join(status.remarks):
            said["resultMessage"] = remarks
        return said
