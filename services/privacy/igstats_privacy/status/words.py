"""What a status page may say about a request: how far it is, what stays and why, why it was refused. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_privacy.lifecycle import FINAL
from igstats_privacy.model import Shown, State, TaskState


@dataclass(frozen=True)
class Staying:
    """Rows that a holder keeps on a legal ground, as its receipt says."""

    holder: str
    store: str
    ground: str
    until: datetime | None


@dataclass(frozen=True)
class Reason:
    """Why something stays, or why a request was refused."""

    about: str
    ground: str
    until: datetime | None
    explanation: str


GROUNDS = {
    "legal_obligation": "the law obliges us to keep it (GDPR article 17(3)(b))",
    "legal_claims": "it is needed to establish or defend legal claims (GDPR article 17(3)(e))",
    "public_interest": "it is kept in the public interest (GDPR article 17(3)(d))",
    "others_rights": "the rights of other persons stand against it",
    "tax law: invoices": "tax law obliges us to keep invoices (GDPR article 17(3)(b))",
    "free_expression": "freedom of expression and information stands against it (GDPR article 17(3)(a))",
}
_REFUSALS = {
    "SUSPECTED_FRAUD": "we have reason to suspect that the request is fraudulent",
    "INSUFFICIENT_VERIFICATION": "the identity was not proved well enough",
    "NO_MATCH": "we found nobody who fits what the request names",
    "CLAIM_NOT_COVERED": "no law gives this right for this data",
    "OUTSIDE_JURISDICTION": "no law that applies to the person gives this right",
    "TOO_MANY_REQUESTS": "the same was asked too often",
    "MANIFESTLY_UNFOUNDED": "the request is manifestly unfounded or excessive (GDPR article 12(5))",
    "OTHER": "another reason stands against it",
}
COMPLAINT = (
    "You can complain to a supervisory authority (in the EU: that of your country; in California: cppa.ca.gov) and go"
    " to court."
)


def counted(shown: Shown) -> tuple[int, int]:
    """How many holders have settled all of their tasks, and how many are asked."""
    asked = {task.holder for task in shown.tasks}
    open_still = {task.holder for task in shown.tasks if task.state is not TaskState.SETTLED}
    return len(asked - open_still), len(asked)


def reasons(shown: Shown, staying: Iterable[Staying]) -> list[Reason]:
    """What stays and why, each place once; and the reason of a refusal with the ways to complain."""
    found = list(dict.fromkeys(_kept(staying)))
    if shown.request.state is State.DENIED:
        ground = shown.request.reason or "OTHER"
        why = _REFUSALS.get(ground, _REFUSALS["OTHER"])
        found.append(Reason("the request as a whole", ground, None, f"We refused it because {why}. {COMPLAINT}"))
    return found


def _kept(staying: Iterable[Staying]) -> Iterator[Reason]:
    for one in staying:
        why = GROUNDS.get(one.ground, "a legal ground stands against its deletion")
        until = f", until {one.until:%Y-%m-%d}" if one.until else ""
        text = f"It stays because {why}{until}. It is used for nothing else. {COMPLAINT}"
        yield Reason(f"{one.store.replace('_', ' ')} ({one.holder})", one.ground, one.until, text)


def provable(shown: Shown, methods: Sequence[str]) -> Sequence[str]:
    """Ways to prove the identity that make sense now."""
    open_still = shown.request.state not in FINAL and not shown.request.identity_proof
    return methods if open_still else ()
