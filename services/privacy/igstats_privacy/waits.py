"""Before acceptance: who the person is to us, what a proved request waits for, which requests get in each other's way.

Pure. A request waits for approvals first, then for a window in which its owner can take it back. Nothing that was
decided expires: an approval is written down and holds whenever triage looks again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from igstats_privacy.model import Identifier, NewRequest, Right, SubjectClass, Wait
from igstats_privacy.policy import Policy

SECOND = 2
"""Officers that must approve where one is not enough."""

OFFICER = "officer"
"""The door of officers."""

CHOICES = frozenset({Right.OPT_OUT, Right.OBJECTION, Right.OPT_IN})
"""Rights by which a person chooses whether data is disclosed; the last one counts."""

OWNERS_DOORS = frozenset({"api", "web"})
"""Doors at which the owner acts in person: whoever has stolen their key or mailbox does, too. Meta's callbacks, agents
and officers come by others, and their erasures have no window."""

OPPOSITES: Mapping[Right, frozenset[Right]] = {
    Right.RESTRICTION: frozenset({Right.LIFTING}),
    Right.LIFTING: frozenset({Right.RESTRICTION}),
    Right.OBJECTION: frozenset({Right.OPT_IN}),
    Right.OPT_OUT: frozenset({Right.OPT_IN}),
    Right.OPT_IN: frozenset({Right.OBJECTION, Right.OPT_OUT}),
}
"""Rights that undo each other. Of two such requests about one person the second waits until the first has ended:
messages may overtake each other at a holder."""

REPEATABLE = frozenset(Right) - {Right.CORRECTION, Right.PREVIEW, Right.CATEGORIES}
"""Rights of which two requests about one person ask for the same."""

_CLASSES: tuple[tuple[str, SubjectClass], ...] = (
    ("ACCOUNT_ID", SubjectClass.TENANT),
    ("CONTACT_ID", SubjectClass.CONTACT),
    ("APP_USER_ID", SubjectClass.PROFILE_OWNER),
    ("INSTAGRAM_USER_ID", SubjectClass.UNCONNECTED_OWNER),
    ("USERNAME", SubjectClass.UNCONNECTED_OWNER),
    ("EMAIL", SubjectClass.CONTACT),
    ("EMAIL_SHA256", SubjectClass.CONTACT),
)


def is_signal_of_calls(new: NewRequest) -> bool:
    """Whether it is a Global Privacy Control signal that came with calls of an account: no act of a person.

    One that came with the form has none: filling in the form was an act, and those whom it names are anybody.
    """
    return new.door == "gpc" and bool(new.account_id)


def subject_class(identifiers: Iterable[Identifier], *, connected: bool) -> SubjectClass:
    """Who the person is to us, by the widest of the names: whoever names an account means the customer.

    App-scoped ids exist of owners only who have signed in to one of our apps.
    """
    kinds = {one.kind for one in identifiers}
    found = next((one for kind, one in _CLASSES if kind in kinds), SubjectClass.UNSPECIFIED)
    return SubjectClass.PROFILE_OWNER if connected and found is SubjectClass.UNCONNECTED_OWNER else found


@dataclass(frozen=True)
class Case:
    """What is known of a proved request when it is decided whether it must wait."""

    right: Right
    door: str
    subject_class: SubjectClass = SubjectClass.UNSPECIFIED
    is_child: bool = False
    """It continues, previews, restricts or lifts for another one, which has been decided about."""
    approved: bool = False
    wait_until: datetime | None = None
    """The end of a window that was opened before."""


def continues(right: Right, *, is_child: bool) -> bool:
    """Whether a request is an erasure that goes on after a hold: nobody refuses it or takes it back any more.

    Its person has asked and been heard; ended before acceptance it would leave for good what the hold has kept.
    """
    return is_child and right is Right.ERASURE


@dataclass(frozen=True)
class Waiting:
    """What a request waits for, and until when if that is known."""

    wait: Wait = Wait.UNSPECIFIED
    until: datetime | None = None


def next_wait(policy: Policy, case: Case, now: datetime) -> Waiting:
    """What a proved request waits for now; nothing when it can be accepted."""
    if not case.is_child and not case.approved and officers_needed(policy, case):
        return Waiting(Wait.APPROVAL)
    delay = _delay(policy, case)
    until = case.wait_until or (now + delay if delay else None)
    return Waiting(Wait.WINDOW, until) if until is not None and until > now else Waiting()


def officers_needed(policy: Policy, case: Case, rows: int | None = None) -> int:
    """How many officers must approve; `rows` is what a preview says that the erasure would touch.

    A threshold of rows asks for the first officer in any case: somebody must have seen the count. While it is not
    known, it counts as above.
    """
    one = int(case.right in policy.approve)
    if case.right is not Right.ERASURE:
        return one
    if policy.second_tenant and case.subject_class is SubjectClass.TENANT:
        return SECOND
    if not policy.second_rows:
        return one
    return SECOND if rows is None or rows > policy.second_rows else 1


def after_approval(policy: Policy, case: Case, officers: int, rows: int | None) -> Wait:
    """What a request waits for once so many officers have approved; nothing more when they are enough."""
    needed = officers_needed(policy, case, rows)
    return Wait.UNSPECIFIED if officers >= needed else Wait.SECOND_APPROVAL if officers else Wait.APPROVAL


def _delay(policy: Policy, case: Case) -> timedelta:
    """The window of an erasure by its owner; the notice before an officer lifts a restriction (GDPR article 18(3))."""
    if case.right is Right.LIFTING and case.door == OFFICER:
        return policy.notice
    owned = case.right is Right.ERASURE and case.door in OWNERS_DOORS
    return policy.window if owned and not case.is_child else timedelta(0)


def contested(policy: Policy, case: Case, wait: Wait) -> bool:
    """Whether somebody checks which value is right: a correction that waits for an officer (GDPR article 18(1)(a)).

    A customer is no data subject: its account works on while its company name is being checked.
    """
    asked = case.right is Right.CORRECTION and case.subject_class is not SubjectClass.TENANT
    return policy.restrict_contested and asked and wait is Wait.APPROVAL


def is_premature(request: "Named", waiting: Iterable["Named"]) -> bool:
    """Whether a lifting that follows a decision must wait: another value of the same person is still being checked."""
    lifts = request.is_child and request.right is Right.LIFTING
    return lifts and any(one.right is Right.CORRECTION and request.tokens & one.tokens for one in waiting)


@dataclass(frozen=True)
class Named:
    """A proved request with its person, as far as kinship of requests cares."""

    request_id: str
    right: Right
    tokens: frozenset[bytes]
    due_at: datetime
    is_child: bool = False
    asker: bytes = b""
    """Whose it is (`identity.asker`)."""


def repeats(request: Named, others: Iterable[Named]) -> Named | None:
    """The oldest live request of the same asker that asks for the same about the same person and came before.

    Both are proved, and it must name everybody that this one names. That there is one, and when it is due, is told:
    so nobody learns of it whose own identity is not proved, and no account of the request of another or of the owner.
    """
    if request.is_child or request.right not in REPEATABLE:
        return None
    older = [
        one
        for one in others
        if one.request_id < request.request_id
        and (one.right, one.asker) == (request.right, request.asker)
        and request.tokens <= one.tokens
    ]
    return min((one for one in older if not one.is_child), key=lambda one: one.request_id, default=None)


def inherited(request: Named, first: Named | None) -> Named:
    """The request with the due time that it shares with the one it repeats. Nothing else is inherited."""
    return request if first is None else replace(request, due_at=min(request.due_at, first.due_at))


def is_opposed(request: Named, others: Iterable[Named]) -> bool:
    """Whether one of the accepted `others` would undo what this one does, or the reverse, about the same person."""
    opposite = OPPOSITES.get(request.right)
    return opposite is not None and any(one.right in opposite and request.tokens & one.tokens for one in others)
