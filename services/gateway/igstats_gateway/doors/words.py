"""What the pages call things: rights, states, steps, ways of proof. Pure; one place, so that all pages say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_gateway.doors.model import Right, State, Status


@dataclass(frozen=True)
class RightWords:
    """A right as a person chooses it."""

    name: Right
    title: str
    hint: str


@dataclass(frozen=True)
class StateWords:
    """A state as a person reads it."""

    title: str
    text: str
    good: bool = False
    bad: bool = False


@dataclass(frozen=True)
class Step:
    """One step of a request on its way."""

    title: str
    done: bool
    now: bool


@dataclass(frozen=True)
class Way:
    """One way of proving who one is: what it is, and where it leads."""

    title: str
    text: str
    act: str
    path: str
    post: bool = False


RIGHTS: Sequence[RightWords] = (
    RightWords(
        Right.ACCESS, "Get a copy of my data", "Everything we hold about you, with why, how long and who got it."
    ),
    RightWords(Right.PORTABILITY, "Take my data along", "What you provided, as files that other programs read."),
    RightWords(Right.CATEGORIES, "Know the kinds of data", "Categories, sources and recipients. No proof needed."),
    RightWords(Right.CORRECTION, "Correct data about me", "Say below what is wrong and what is right."),
    RightWords(Right.ERASURE, "Delete my data", "Also at those who work for us. What a law makes us keep is named."),
    RightWords(Right.RESTRICTION, "Stop using my data, but keep it", "While something is in dispute, for example."),
    RightWords(Right.LIFTING, "Use my data again", "Ends the above."),
    RightWords(Right.OBJECTION, "Object to the use of my data", "No use on the ground of our own interests any more."),
    RightWords(Right.OPT_OUT, "Do not sell or share my data", "We do not sell data. No proof needed."),
    RightWords(Right.OPT_IN, "Take back an objection or an opt-out", "Ends the two above."),
)

_STATES: Mapping[State, StateWords] = {
    State.RECEIVED: StateWords("We have your request", "We look at it now."),
    State.IDENTITY_PENDING: StateWords(
        "We need to know that it is you", "Choose one of the ways below. Until then nothing happens to any data."
    ),
    State.TRIAGE: StateWords("We check what the law says about it", "Nothing is needed from you."),
    State.ACCEPTED: StateWords("We do what you asked", "The request is accepted; our systems are being told."),
    State.FENCING: StateWords("We do what you asked", "Our systems refuse new data about you from now on."),
    State.EXECUTING: StateWords("We do what you asked", "Our systems are working on it."),
    State.VERIFYING: StateWords("We check that it is done", "Every place is searched again, and each system signs."),
    State.SETTLING: StateWords(
        "Done here; we wait for backups and services that work for us", "The date below says when they are done, too."
    ),
    State.FULFILLED: StateWords("Done", "Everything that you asked for has been done.", good=True),
    State.FULFILLED_IN_PART: StateWords("Done, but for a part", "Below we say what stays, and why.", good=True),
    State.DENIED: StateWords("We refused the request", "Below we say why, and what you can do.", bad=True),
    State.WITHDRAWN: StateWords("Taken back", "You took the request back. Nothing was done for it."),
    State.EXPIRED: StateWords(
        "Ended without a proof", "Nobody proved to be the person. You can ask again at any time.", bad=True
    ),
}
_WAITS: Mapping[str, str] = {
    "APPROVAL": "One of our officers has to approve it.",
    "SECOND_APPROVAL": "A second officer has to approve it.",
    "WINDOW": "It waits, so that you can take it back. Meanwhile the data is not used.",
}
_STEPS: Sequence[tuple[str, frozenset[State]]] = (
    ("Received", frozenset({State.RECEIVED})),
    ("Proof of identity", frozenset({State.IDENTITY_PENDING})),
    ("Check of the law", frozenset({State.TRIAGE})),
    ("At work", frozenset({State.ACCEPTED, State.FENCING, State.EXECUTING})),
    ("Search and signatures", frozenset({State.VERIFYING})),
    ("Backups and services", frozenset({State.SETTLING})),
    ("End", frozenset({State.FULFILLED, State.FULFILLED_IN_PART})),
)
_PACKAGED = frozenset({Right.ACCESS, Right.PORTABILITY})
_DONE = frozenset({State.FULFILLED, State.FULFILLED_IN_PART})
_BEFORE_ACCEPTANCE = frozenset({State.RECEIVED, State.IDENTITY_PENDING, State.TRIAGE})
WAYS: Mapping[str, Way] = {
    "mail_code": Way(
        "By a code",
        "We send a code to the e-mail address that the request names.",
        "Send me a code",
        "mail-code",
        post=True,
    ),
    "login": Way(
        "With Instagram", "You sign in there, and Instagram tells us who you are.", "Begin", "login", post=True
    ),
    "points": Way(
        "By what we have on file", "For customers: company, name, billing data and the like.", "Fill in", "points"
    ),
    "account": Way("With an API key", "For customers: a key proves the account.", "Show a key", "account"),
}


def right(one: Right) -> str:
    """The title of a right."""
    return next(words.title for words in RIGHTS if words.name is one)


def state(status: Status) -> StateWords:
    """The state of a request, and what it waits for."""
    found = _STATES[status.request.state]
    waits = _WAITS.get(status.request.wait, "")
    return StateWords(found.title, waits) if waits and not status.request.final else found


def steps(status: Status) -> Sequence[Step]:
    """The way of a request; none for one that ended without being done."""
    at = next((place for place, (_, states) in enumerate(_STEPS) if status.request.state in states), None)
    if at is None:
        return ()
    ended = at == len(_STEPS) - 1
    return tuple(
        Step(title, done=place < at or ended, now=place == at and not ended) for place, (title, _) in enumerate(_STEPS)
    )


def withdrawable(status: Status) -> bool:
    """Whether the person can still take it back (`igstats_privacy.lifecycle`: until it is accepted)."""
    return status.request.state in _BEFORE_ACCEPTANCE


def packaged(status: Status) -> bool:
    """Whether the request has brought a package, which its person fetches by the link of a letter."""
    return status.request.right in _PACKAGED and status.request.state in _DONE


def ways(status: Status) -> Sequence[Way]:
    """Ways of proof that are open and that a page exists for."""
    return tuple(WAYS[name] for name in status.proof_methods if name in WAYS)


def day(moment: datetime) -> str:
    """A date in words."""
    return f"{moment.day} {moment:%B %Y}"
