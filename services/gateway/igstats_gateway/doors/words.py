"""How the pages speak of rights, states, steps and ways of proof. Pure; one place, so that all pages say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from igstats_kit.errors import DomainError

from igstats_gateway.doors.language import Say
from igstats_gateway.doors.model import Justification, Right, State, Status


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
    """One way of proving who one is: what it is called, and where it leads."""

    name: str
    path: str
    post: bool = False


@dataclass(frozen=True)
class Reasoned:
    """What stays or was refused, and why; `about` is a store of our systems unless it is the whole request."""

    about: str
    text: str
    whole: bool
    stays: Justification


RIGHTS: Sequence[Right] = (
    *(Right.ACCESS, Right.PORTABILITY, Right.CATEGORIES, Right.CORRECTION, Right.ERASURE),
    *(Right.RESTRICTION, Right.LIFTING, Right.OBJECTION, Right.OPT_OUT, Right.OPT_IN),
)
_GOOD = frozenset({State.FULFILLED, State.FULFILLED_IN_PART})
_BAD = frozenset({State.DENIED, State.EXPIRED})
_STEPS: Sequence[tuple[str, frozenset[State]]] = (
    ("received", frozenset({State.RECEIVED})),
    ("identity", frozenset({State.IDENTITY_PENDING})),
    ("law", frozenset({State.TRIAGE})),
    ("work", frozenset({State.ACCEPTED, State.FENCING, State.EXECUTING})),
    ("search", frozenset({State.VERIFYING})),
    ("backups", frozenset({State.SETTLING})),
    ("end", _GOOD),
)
_PACKAGED = frozenset({Right.ACCESS, Right.PORTABILITY})
_BEFORE_ACCEPTANCE = frozenset({State.RECEIVED, State.IDENTITY_PENDING, State.TRIAGE})
WAYS: Mapping[str, Way] = {
    one.name: one
    for one in (
        Way("mail_code", "mail-code", post=True),
        Way("login", "login", post=True),
        Way("points", "points"),
        Way("account", "account"),
    )
}


def state(status: Status, say: Say) -> StateWords:
    """The state of a request, and what it waits for."""
    now = status.request.state
    waits = f"wait.{status.request.wait}"
    text = say(waits) if say.has(waits) and not status.request.final else say(f"state.{now}.text")
    return StateWords(say(f"state.{now}.title"), text, good=now in _GOOD, bad=now in _BAD)


def steps(status: Status, say: Say) -> Sequence[Step]:
    """The way of a request; none for one that ended without being done."""
    at = next((place for place, (_, states) in enumerate(_STEPS) if status.request.state in states), None)
    if at is None:
        return ()
    ended = at == len(_STEPS) - 1
    return tuple(
        Step(say(f"step.{name}"), done=place < at or ended, now=place == at and not ended)
        for place, (name, _) in enumerate(_STEPS)
    )


def reasoned(status: Status, say: Say) -> Sequence[Reasoned]:
    """What stays and why, or why the request was refused, by the names of the grounds."""
    return tuple(_reasoned(one, say, whole=status.request.state is State.DENIED) for one in status.justifications)


def _reasoned(one: Justification, say: Say, *, whole: bool) -> Reasoned:
    if whole:
        why = f"refusal.{one.ground}"
        text = say("stays.refused_text", why=say(why if say.has(why) else "refusal.OTHER"))
        return Reasoned(say("stays.refused"), text, whole, one)
    why = f"ground.{one.ground}"
    return Reasoned(one.about, say("stays.text", why=say(why if say.has(why) else "ground.other")), whole, one)


def failure(error: DomainError, say: Say) -> tuple[str, str]:
    """What went wrong, and what to do about it. English has the whole catalogue, other languages what pages meet."""
    if say.language == "en":
        return error.public.text, error.public.fix
    key = f"error.{error.reason}" if say.has(f"error.{error.reason}.text") else "error.other"
    return say(f"{key}.text"), say(f"{key}.fix")


def details(error: DomainError, say: Say) -> str:
    """Which fields are wrong and how, as the services say it: in English, so to nobody who reads something else."""
    if say.language != "en":
        return ""
    return " ".join(f"{one.field.replace('_', ' ')}: {one.description}." for one in error.violations)


def withdrawable(status: Status) -> bool:
    """Whether the person can still take it back (`igstats_privacy.lifecycle`: until it is accepted)."""
    return status.request.state in _BEFORE_ACCEPTANCE


def packaged(status: Status) -> bool:
    """Whether the request has brought a package, which its person fetches by the link of a letter."""
    return status.request.right in _PACKAGED and status.request.state in _GOOD


def ways(status: Status) -> Sequence[Way]:
    """Ways of proof that are open and that a page exists for."""
    return tuple(WAYS[name] for name in status.proof_methods if name in WAYS)
