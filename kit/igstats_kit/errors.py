"""The one error of igstats: a reason from the protos, a public text, a hint how to go on.

Pure: neither gRPC nor protobuf. `status` carries these errors over the wire and back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Names of igstats.error.v1.ErrorReason without their prefix; that file explains each."""

    INTERNAL = "INTERNAL"
    DEPENDENCY_UNAVAILABLE = "DEPENDENCY_UNAVAILABLE"
    FIELD_INVALID = "FIELD_INVALID"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    CALLER_NOT_ALLOWED = "CALLER_NOT_ALLOWED"
    DEADLINE_TOO_SHORT = "DEADLINE_TOO_SHORT"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    BODY_INVALID = "BODY_INVALID"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - a reason, not a password
    API_KEY_MISSING = "API_KEY_MISSING"
    API_KEY_MALFORMED = "API_KEY_MALFORMED"
    API_KEY_UNKNOWN = "API_KEY_UNKNOWN"
    API_KEY_EXPIRED = "API_KEY_EXPIRED"
    API_KEY_REVOKED = "API_KEY_REVOKED"
    SCOPE_MISSING = "SCOPE_MISSING"
    RATE_LIMITED = "RATE_LIMITED"
    SIGNATURE_REQUIRED = "SIGNATURE_REQUIRED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_KEY_IN_USE = "IDEMPOTENCY_KEY_IN_USE"
    PROFILE_NOT_FOUND = "PROFILE_NOT_FOUND"
    CONNECTION_NOT_FOUND = "CONNECTION_NOT_FOUND"
    METRIC_UNKNOWN = "METRIC_UNKNOWN"
    TIME_RANGE_INVALID = "TIME_RANGE_INVALID"
    SUBJECT_ERASED = "SUBJECT_ERASED"
    SUBJECT_RESTRICTED = "SUBJECT_RESTRICTED"
    INSTAGRAM_TOKEN_DEAD = "INSTAGRAM_TOKEN_DEAD"  # noqa: S105 - a reason, not a password
    INSTAGRAM_THROTTLED = "INSTAGRAM_THROTTLED"
    INSTAGRAM_UNAVAILABLE = "INSTAGRAM_UNAVAILABLE"
    INSTAGRAM_REFUSED = "INSTAGRAM_REFUSED"
    REQUEST_NOT_FOUND = "REQUEST_NOT_FOUND"
    TRANSITION_NOT_ALLOWED = "TRANSITION_NOT_ALLOWED"
    SUBJECT_UNIDENTIFIED = "SUBJECT_UNIDENTIFIED"
    HOLDER_UNKNOWN = "HOLDER_UNKNOWN"
    TASK_NOT_OWNED = "TASK_NOT_OWNED"
    RECEIPT_INVALID = "RECEIPT_INVALID"
    EXPORT_NOT_READY = "EXPORT_NOT_READY"
    EXPORT_EXPIRED = "EXPORT_EXPIRED"
    ENTRY_NOT_FOUND = "ENTRY_NOT_FOUND"
    EVIDENCE_NOT_READY = "EVIDENCE_NOT_READY"
    KEY_NOT_FOUND = "KEY_NOT_FOUND"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    TREE_SIZE_INVALID = "TREE_SIZE_INVALID"
    ENTRY_CUT = "ENTRY_CUT"
    LOG_FILE_NOT_FOUND = "LOG_FILE_NOT_FOUND"
    SECURITY_AUDIT_NOT_FOUND = "SECURITY_AUDIT_NOT_FOUND"
    PROOF_CODE_INVALID = "PROOF_CODE_INVALID"
    PROOF_CODE_EXPIRED = "PROOF_CODE_EXPIRED"
    PROOF_TRIES_EXHAUSTED = "PROOF_TRIES_EXHAUSTED"
    PROOF_NOT_AVAILABLE = "PROOF_NOT_AVAILABLE"
    LOGIN_STATE_INVALID = "LOGIN_STATE_INVALID"
    STATUS_CODE_UNKNOWN = "STATUS_CODE_UNKNOWN"
    PACKAGE_LINK_INVALID = "PACKAGE_LINK_INVALID"
    HOLD_NOT_FOUND = "HOLD_NOT_FOUND"
    HOLD_TOO_WIDE = "HOLD_TOO_WIDE"
    PREVIEW_NOT_FOUND = "PREVIEW_NOT_FOUND"
    SECOND_PERSON_REQUIRED = "SECOND_PERSON_REQUIRED"
    EXTENSION_NOT_ALLOWED = "EXTENSION_NOT_ALLOWED"
    CORRECTION_NOT_POSSIBLE = "CORRECTION_NOT_POSSIBLE"
    SIGNED_REQUEST_INVALID = "SIGNED_REQUEST_INVALID"
    SUBJECT_OPTED_OUT = "SUBJECT_OPTED_OUT"
    BREACH_NOT_FOUND = "BREACH_NOT_FOUND"
    AGENT_UNKNOWN = "AGENT_UNKNOWN"
    REQUEST_INCOMPLETE = "REQUEST_INCOMPLETE"
    LOG_FILE_LOST = "LOG_FILE_LOST"
    EVIDENCE_LOST = "EVIDENCE_LOST"


@dataclass(frozen=True)
class PublicError:
    """What the world is told about a reason: gRPC code name, text, and what to do about it."""

    code: str
    text: str
    fix: str


@dataclass(frozen=True)
class Violation:
    """A field of a request and the rule that it breaks."""

    field: str
    description: str


class SpeakingError(Exception):
    """Ends the process with its text, which names settings, methods, tables and workers, and never a value."""


class DomainError(Exception):
    """An expected failure. Metadata is sent to the caller: ids, names and limits, never personal values."""

    def __init__(
        self,
        reason: Reason,
        /,
        *,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
        **metadata: str,
    ) -> None:
        self.reason = reason
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.metadata = metadata
        super().__init__(f"{reason}: {self.public.text}")

    @property
    def public(self) -> PublicError:
        """The catalogue's row of the reason."""
        return CATALOGUE[self.reason]


class TooMuchError(DomainError):
    """DEPENDENCY_UNAVAILABLE because something took too long where it is done: less may succeed, the same hardly."""


def passes(error: BaseException) -> bool:
    """Whether the same again may succeed by itself: something does not answer, or others were in the way."""
    waits = isinstance(error, DomainError) and error.reason is Reason.DEPENDENCY_UNAVAILABLE
    return waits and not isinstance(error, TooMuchError)


CATALOGUE: Mapping[Reason, PublicError] = {
    Reason.INTERNAL: PublicError(
        "INTERNAL", "Something went wrong on our side.", "Try again; if it stays, tell us the call id of the answer."
    ),
    Reason.DEPENDENCY_UNAVAILABLE: PublicError(
        "UNAVAILABLE", "A part of igstats does not answer.", "Try again with the same idempotency key."
    ),
    Reason.FIELD_INVALID: PublicError(
        "INVALID_ARGUMENT", "A field of the request breaks its rule.", "Correct the fields that the violations name."
    ),
    Reason.METHOD_UNKNOWN: PublicError(
        "UNIMPLEMENTED", "There is no such method.", "Check the method's name and version against the API reference."
    ),
    Reason.CALLER_NOT_ALLOWED: PublicError(
        "PERMISSION_DENIED", "The calling service may not use this method.", "Add it to the method's access row."
    ),
    Reason.DEADLINE_TOO_SHORT: PublicError(
        "DEADLINE_EXCEEDED", "The call leaves too little time.", "Send a deadline of at least the minimum."
    ),
    Reason.MESSAGE_TOO_LARGE: PublicError(
        "RESOURCE_EXHAUSTED", "The message is larger than the limit.", "Send less at once, or ask for smaller pages."
    ),
    Reason.BODY_INVALID: PublicError(
        "INVALID_ARGUMENT", "The body is not the method's JSON.", "Compare it with the API reference."
    ),
    Reason.PAGE_TOKEN_INVALID: PublicError(
        "INVALID_ARGUMENT", "The page token fits no such query.", "Start again without a page token."
    ),
    Reason.API_KEY_MISSING: PublicError(
        "UNAUTHENTICATED", "The call carries no API key.", "Send the key as a bearer token in the authorization header."
    ),
    Reason.API_KEY_MALFORMED: PublicError(
        "UNAUTHENTICATED", "The API key is mistyped or cut.", "Copy the whole key again; its checksum does not fit."
    ),
    Reason.API_KEY_UNKNOWN: PublicError(
        "UNAUTHENTICATED", "There is no such API key.", "Check that the key belongs to this environment, or create one."
    ),
    Reason.API_KEY_EXPIRED: PublicError(
        "UNAUTHENTICATED", "The API key has expired.", "Create a new key, or reroll this one."
    ),
    Reason.API_KEY_REVOKED: PublicError(
        "UNAUTHENTICATED", "The API key was revoked.", "Use another key of the account."
    ),
    Reason.SCOPE_MISSING: PublicError(
        "PERMISSION_DENIED", "The API key lacks the scope of this method.", "Use a key that has the scope."
    ),
    Reason.RATE_LIMITED: PublicError(
        "RESOURCE_EXHAUSTED", "Too many calls.", "Wait for the time given and spread the calls."
    ),
    Reason.SIGNATURE_REQUIRED: PublicError(
        "UNAUTHENTICATED", "A valid signature is required.", "Sign the request as RFC 9421 says."
    ),
    Reason.IDEMPOTENCY_KEY_REUSED: PublicError(
        "FAILED_PRECONDITION", "The idempotency key was used before.", "Use a new key for a new request."
    ),
    Reason.IDEMPOTENCY_KEY_IN_USE: PublicError(
        "ABORTED", "A call with this idempotency key is still running.", "Repeat the call later with the same key."
    ),
    Reason.PROFILE_NOT_FOUND: PublicError(
        "NOT_FOUND", "The account can read no such profile.", "List the account's connections."
    ),
    Reason.CONNECTION_NOT_FOUND: PublicError(
        "NOT_FOUND", "The account has no such connection.", "List the account's connections for their ids."
    ),
    Reason.METRIC_UNKNOWN: PublicError(
        "INVALID_ARGUMENT", "There is no such metric.", "Use a name of the metric catalogue."
    ),
    Reason.TIME_RANGE_INVALID: PublicError(
        "INVALID_ARGUMENT", "The time range is not valid.", "End after the start and within the limit."
    ),
    Reason.SUBJECT_ERASED: PublicError(
        "FAILED_PRECONDITION", "The person has asked for erasure.", "Do not send this data again."
    ),
    Reason.SUBJECT_RESTRICTED: PublicError(
        "PERMISSION_DENIED", "The person has restricted the use of data.", "Wait until the restriction is lifted."
    ),
    Reason.INSTAGRAM_TOKEN_DEAD: PublicError(
        "FAILED_PRECONDITION", "Instagram refuses the connection's token.", "Have the owner connect again."
    ),
    Reason.INSTAGRAM_THROTTLED: PublicError(
        "RESOURCE_EXHAUSTED", "Instagram's rate limit for this connection is used up.", "Wait for the time given."
    ),
    Reason.INSTAGRAM_UNAVAILABLE: PublicError(
        "UNAVAILABLE", "Instagram does not answer.", "Try again later; stored statistics can still be read."
    ),
    Reason.INSTAGRAM_REFUSED: PublicError(
        "FAILED_PRECONDITION", "Instagram refused the call for good.", "Check the connection's permissions."
    ),
    Reason.REQUEST_NOT_FOUND: PublicError(
        "NOT_FOUND", "The account has no such request.", "List the account's requests for their ids."
    ),
    Reason.TRANSITION_NOT_ALLOWED: PublicError(
        "FAILED_PRECONDITION", "The request's state forbids this step.", "Read the request's state first."
    ),
    Reason.SUBJECT_UNIDENTIFIED: PublicError(
        "INVALID_ARGUMENT", "The request names nobody.", "Give at least one identifier of the person."
    ),
    Reason.HOLDER_UNKNOWN: PublicError(
        "NOT_FOUND", "No holder is registered under this name.", "Register the holder before it leases tasks."
    ),
    Reason.TASK_NOT_OWNED: PublicError(
        "PERMISSION_DENIED", "The task belongs to another holder.", "A holder may act on its own tasks only."
    ),
    Reason.RECEIPT_INVALID: PublicError(
        "INVALID_ARGUMENT", "The receipt does not fit its task.", "Send the receipt exactly as it was signed."
    ),
    Reason.EXPORT_NOT_READY: PublicError(
        "FAILED_PRECONDITION", "The export package is not complete yet.", "Come back when the request is fulfilled."
    ),
    Reason.EXPORT_EXPIRED: PublicError(
        "NOT_FOUND", "The export package has expired and was destroyed.", "Open a new access request."
    ),
    Reason.ENTRY_NOT_FOUND: PublicError(
        "NOT_FOUND", "There is no such log entry.", "Check the log's name and size; old entries leave by age."
    ),
    Reason.EVIDENCE_NOT_READY: PublicError(
        "FAILED_PRECONDITION", "The evidence is not complete yet.", "Come back when the request has ended."
    ),
    Reason.KEY_NOT_FOUND: PublicError(
        "NOT_FOUND", "The account has no such key.", "List the account's keys for their ids."
    ),
    Reason.ACCOUNT_NOT_FOUND: PublicError("NOT_FOUND", "There is no such account.", "Check the account's id."),
    Reason.TREE_SIZE_INVALID: PublicError(
        "INVALID_ARGUMENT", "The tree size is not valid.", "Use a size from 1 to the log's size."
    ),
    Reason.ENTRY_CUT: PublicError(
        "NOT_FOUND",
        "The entry has reached the end of its retention and was cut from the log.",
        "Nothing: proofs saved earlier stay valid, the content is gone.",
    ),
    Reason.LOG_FILE_NOT_FOUND: PublicError(
        "NOT_FOUND",
        "The log has no such file.",
        "Read the checkpoint for the log's size, and build paths as C2SP tlog-tiles says.",
    ),
    Reason.LOG_FILE_LOST: PublicError(
        "DATA_LOSS",
        "A part of the log that must be there is lost.",
        "Keep the proofs and checkpoints that you have: they are still to be held against us.",
    ),
    Reason.EVIDENCE_LOST: PublicError(
        "DATA_LOSS",
        "Evidence of the request is lost: not every statement about it can be shown any more.",
        "Keep an archive that you have: it stays valid. Else ask us what was done; the loss is ours to explain.",
    ),
    Reason.SECURITY_AUDIT_NOT_FOUND: PublicError(
        "NOT_FOUND", "There is no such security audit.", "List the security audits and use one of their ids."
    ),
    Reason.PROOF_CODE_INVALID: PublicError(
        "INVALID_ARGUMENT",
        "The code is wrong.",
        "Type the newest code that you were sent; tries_left says how often you can.",
    ),
    Reason.PROOF_CODE_EXPIRED: PublicError("FAILED_PRECONDITION", "The code is too old.", "Ask for a new one."),
    Reason.PROOF_TRIES_EXHAUSTED: PublicError(
        "RESOURCE_EXHAUSTED", "Too many wrong codes.", "Ask for a new one after the time that retry_after names."
    ),
    Reason.PROOF_NOT_AVAILABLE: PublicError(
        "FAILED_PRECONDITION",
        "This way of proving who you are is not open for the request.",
        "Use one of those that the status page offers.",
    ),
    Reason.LOGIN_STATE_INVALID: PublicError(
        "FAILED_PRECONDITION", "The sign-in is too old or was used before.", "Begin it again from the status page."
    ),
    Reason.STATUS_CODE_UNKNOWN: PublicError(
        "NOT_FOUND", "No request has this code.", "Check the code; it is letters and digits only."
    ),
    Reason.PACKAGE_LINK_INVALID: PublicError(
        "NOT_FOUND",
        "The link is wrong, was used before, or is too old.",
        "Ask for the data again and name your e-mail address: a new letter brings a new link.",
    ),
    Reason.HOLD_NOT_FOUND: PublicError(
        "NOT_FOUND", "There is no such hold.", "List the holds and use one of their ids."
    ),
    Reason.HOLD_TOO_WIDE: PublicError(
        "INVALID_ARGUMENT", "A hold must not keep everything of a person.", "Name the stores that the ground needs."
    ),
    Reason.PREVIEW_NOT_FOUND: PublicError("NOT_FOUND", "No preview was asked for.", "Ask for one with PreviewRequest."),
    Reason.SECOND_PERSON_REQUIRED: PublicError(
        "PERMISSION_DENIED", "The same officer cannot approve twice.", "Ask another officer."
    ),
    Reason.EXTENSION_NOT_ALLOWED: PublicError(
        "FAILED_PRECONDITION",
        "The due time cannot be extended.",
        "Answer in time: it was extended before, the time for the notice is over, or the request repeats another one.",
    ),
    Reason.CORRECTION_NOT_POSSIBLE: PublicError(
        "INVALID_ARGUMENT",
        "No such field can be corrected.",
        "Use a field that the data categories mark as correctable.",
    ),
    Reason.SIGNED_REQUEST_INVALID: PublicError(
        "UNAUTHENTICATED",
        "The signed request does not verify.",
        "Sign it with the secret of an app that is registered here.",
    ),
    Reason.SUBJECT_OPTED_OUT: PublicError(
        "PERMISSION_DENIED", "The person has opted out of this disclosure.", "Leave the person out."
    ),
    Reason.BREACH_NOT_FOUND: PublicError(
        "NOT_FOUND", "There is no such breach.", "List the breaches and use one of their ids."
    ),
    Reason.AGENT_UNKNOWN: PublicError(
        "PERMISSION_DENIED",
        "The agent is not registered, or its signature does not verify.",
        "Register the agent's key first.",
    ),
    Reason.REQUEST_INCOMPLETE: PublicError(
        "INVALID_ARGUMENT", "The message of the request did not arrive in time.", "Send it with the call, at once."
    ),
}
