"""Errors that several ways of proving raise."""

from datetime import datetime

from igstats_kit.errors import DomainError, Reason

from igstats_privacy.proofs.proof import Proof


def not_available() -> DomainError:
    """This way is not open for the request."""
    return DomainError(Reason.PROOF_NOT_AVAILABLE)


def locked(proof: Proof, now: datetime) -> DomainError:
    """Too many answers were wrong; says how long to wait."""
    until = proof.locked_until or now
    return DomainError(Reason.PROOF_TRIES_EXHAUSTED, retry_after=max(0.0, (until - now).total_seconds()))
