"""Between protos and proofs."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from igstats.privacy.v1 import identity_service_pb2 as pb

from igstats_privacy import identity
from igstats_privacy.messages import stamp
from igstats_privacy.model import Request, Shown
from igstats_privacy.proofs.proof import Method, Proof, ProofState, Tier

_STATED = {
    identity.ACCOUNT_PROOF: (Method.ACCOUNT, Tier.ACCOUNT),
    identity.CONNECTION_PROOF: (Method.CONNECTION, Tier.ACCOUNT),
}
_OF_DOORS = {
    "meta": (Method.META, Tier.PLATFORM),
    "drp": (Method.AGENT, Tier.REASONABLE),
    "opendsr": (Method.AGENT, Tier.REASONABLE),
}


def proofs(shown: Shown, found: Iterable[Proof], now: datetime) -> Iterator[pb.Proof]:
    """The proofs that were carried out here and, before them, the word of the door or of an officer."""
    listed = [_proof(one, now) for one in found]
    if shown.request.identity_proof and not any(one.state == ProofState.PROVED for one in listed):
        yield _stated(shown.request)
    yield from listed


def _proof(one: Proof, now: datetime) -> pb.Proof:
    counted = one.method in (Method.MAIL_CODE, Method.POINTS)
    return pb.Proof(
        method=one.method,
        tier=pb.Tier.Value(f"TIER_{one.tier}"),
        state=one.standing(now),
        tries_left=one.tries_left(now) if counted and one.state is ProofState.OPEN else 0,
        created_time=stamp(one.created_at),
        expires_time=stamp(one.expires_at),
    )


def _stated(request: Request) -> pb.Proof:
    method, tier = _STATED.get(request.identity_proof) or _OF_DOORS.get(request.door, (Method.OFFICER, Tier.HIGH))
    value = pb.Tier.Value(f"TIER_{tier}")
    moment = stamp(request.received_at)
    return pb.Proof(method=method, tier=value, state=ProofState.PROVED, created_time=moment)
