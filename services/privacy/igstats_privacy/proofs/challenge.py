"""The life of a mail code: sent, sent again, tried. Pure.

Eight digits hold for 15 minutes. Five wrong answers end the code and lock for an hour, however many codes were sent
meanwhile, so a guesser has five chances in a hundred million an hour. A new code ends the one before.
"""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from igstats_privacy.proofs.proof import Proof, ProofState

CODE_LIFE = timedelta(minutes=15)
FIRST_PAUSE = timedelta(minutes=1)


class Verdict(StrEnum):
    """What an answer was."""

    RIGHT = "RIGHT"
    WRONG = "WRONG"
    EXPIRED = "EXPIRED"
    LOCKED = "LOCKED"


def pause(sends: int) -> timedelta:
    """How long after so many codes no other is sent: 1 minute, doubling, at most as long as a code holds."""
    return min(FIRST_PAUSE * (1 << min(sends - 1, 10)), CODE_LIFE)


def may_send(proof: Proof, now: datetime) -> bool:
    """Whether another code may be sent. A code that has ended for any reason but a lock can always be replaced."""
    if proof.state is not ProofState.OPEN or proof.locked(now):
        return False
    return proof.sent_at is None or now >= proof.sent_at + pause(proof.sends)


def sent(proof: Proof, secret: bytes, now: datetime) -> Proof:
    """With a new code in force. Tries that were used up stay used up."""
    return replace(proof, secret=secret, sends=proof.sends + 1, sent_at=now, expires_at=now + CODE_LIFE)


def judge(proof: Proof, secret: bytes, now: datetime) -> Verdict:
    """What an answer with this digest is worth, in a time that does not tell how much of it was right."""
    if proof.locked(now):
        return Verdict.LOCKED
    if proof.secret is None or proof.expires_at <= now or proof.state is not ProofState.OPEN:
        return Verdict.EXPIRED
    return Verdict.RIGHT if hmac.compare_digest(proof.secret, secret) else Verdict.WRONG
