"""Answers and callbacks of OpenDSR, signed (sections 7.3, 8.3, 8.6, 9.2)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from igstats_gateway.doors.dealing import Callback, Dealing, News
from igstats_gateway.doors.model import Right, State, Status
from igstats_gateway.doors.opendsr.names import Names
from igstats_gateway.doors.opendsr.signing import Signer

# "completed" says that a request has been fulfilled (section 8): a refusal or a request that nobody proved is not.
_WORDS = {
    State.RECEIVED: "pending",
    State.IDENTITY_PENDING: "pending",
    State.TRIAGE: "pending",
    State.ACCEPTED: "pending",
    State.FULFILLED: "completed",
    State.FULFILLED_IN_PART: "completed",
    State.DENIED: "cancelled",
    State.WITHDRAWN: "cancelled",
    State.EXPIRED: "cancelled",
}
_WITH_RESULTS = frozenset({Right.ACCESS, Right.PORTABILITY})


class Words:
    """What one version says about a request."""

    def __init__(self, names: Names, signer: Signer, domain: str, public_url: str) -> None:
        self.names = names
        self._signer = signer
        self._domain = domain
        self._public_url = public_url.rstrip("/")

    def status(self, dealing: Dealing, status: Status) -> dict[str, Any]:
        """The status of a request."""
        said = self._common(dealing, status)
        said["request_status"] = _WORDS.get(status.request.state, "in_progress")
        if said["request_status"] == "completed" and status.request.right in _WITH_RESULTS:
            said["results_url"] = f"{self._public_url}/privacy/requests/{dealing.status_code}"
        return said

    def created(self, dealing: Dealing, status: Status, encoded: str) -> dict[str, Any]:
        """The answer to a new request. It repeats the body, which is forgotten then."""
        said = self._common(dealing, status)
        return said | {"received_time": rfc3339(status.request.received_at), "encoded_request": encoded}

    def cancelled(self, dealing: Dealing, now: datetime) -> dict[str, Any]:
        """The answer to a cancellation."""
        return {
            "controller_id": dealing.partner_id,
            "received_time": rfc3339(now),
            "subject_request_id": dealing.external_id,
            "api_version": self.names.api_version,
        }

    def tell(self, dealing: Dealing, status: Status, callback: Callback) -> News:
        """What a callback says."""
        body = encoded(self.status(dealing, status) | {"status_callback_url": callback.url})
        return News(body, self.headers(body))

    def signed_inside(self, said: Mapping[str, Any]) -> bytes:
        """A body with `processor_signature`: of the same body without it, as it cannot be in what it signs.

        Section 7.3 asks for it and the example in 7.4 leaves it out; the header signs the whole body in any case.
        """
        return encoded({**said, "processor_signature": self._signer.sign(encoded(said))})

    def headers(self, body: bytes) -> dict[str, str]:
        """The headers that sign a body."""
        prefix = self.names.header
        return {f"{prefix}-Processor-Domain": self._domain, f"{prefix}-Signature": self._signer.sign(body)}

    def _common(self, dealing: Dealing, status: Status) -> dict[str, Any]:
        return {
            "controller_id": dealing.partner_id,
            "expected_completion_time": rfc3339(status.request.due_at),
            "subject_request_id": dealing.external_id,
            "api_version": self.names.api_version,
        }


def encoded(said: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(said, separators=(",", ":")).encode()


def rfc3339(moment: datetime) -> str:
    """A point in time, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
