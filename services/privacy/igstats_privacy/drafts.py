"""New requests as they are to be written: numbered, dated by their clocks, their names sealed."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.mail import mail_address
from ulid import ULID

from igstats_privacy.errors import field_invalid
from igstats_privacy.identifiers import Identifiers, normalised
from igstats_privacy.model import Identifier, Naming, NewRequest, Request, State
from igstats_privacy.reference import new_reference
from igstats_privacy.regimes import clocks, confirms_by_answering
from igstats_privacy.store import Opening


class Drafts:
    """Makes requests out of what a door or another request asks for."""

    def __init__(self, identifiers: Identifiers, clock: Clock, *, letters: bool = True) -> None:
        self._identifiers = identifiers
        self._clock = clock
        self._letters = letters

    def of(self, new: NewRequest) -> Opening:
        """The request, ready to be written in a transaction of whoever opens it.

        Raises:
            DomainError: SUBJECT_UNIDENTIFIED; FIELD_INVALID for what is no mail address, unless it comes from a parent.
        """
        identifiers = normalised(new.identifiers)
        if not identifiers and not new.tokens:
            raise DomainError(Reason.SUBJECT_UNIDENTIFIED)
        if not new.parent_id:
            _require_addresses(new, identifiers)
        request = self._received(new, identifiers)
        sealed = self._identifiers.seal(request.request_id, _naming(new, identifiers))
        key = _digest(new.door, new.account_id, new.idempotency_key)
        # Where no letter leaves, an address for letters would serve nobody (GDPR article 5(1)(c)).
        address = mail_address(new.reply_address) if self._letters else None
        reply = self._identifiers.seal_reply(request.request_id, address or "", new.language)
        return Opening(request, sealed, key, self._content(new, identifiers), reply)

    def _received(self, new: NewRequest, identifiers: Sequence[Identifier]) -> Request:
        received = self._received_at(new)
        due = clocks(new.right, new.regime, received)
        return Request(
            request_id=f"req_{str(ULID()).lower()}",
            reference=new_reference(),
            right=new.right,
            state=State.RECEIVED,
            account_token=self._identifiers.account_token(new.account_id),
            door=new.door,
            identity_proof=new.identity_proof,
            received_at=received,
            due_at=due.answer,
            confirm_due_at=due.confirm,
            closed_at=None,
            effective_at=None,
            blocked=False,
            reason="",
            regime=new.regime,
            parent_id=new.parent_id,
            confirmed_at=received if confirms_by_answering(new.door, new.parent_id) else None,
            ledger_token=self._identifiers.ledger_token(identifiers) or new.ledger_token,
            automatic=new.automatic,
        )

    def _received_at(self, new: NewRequest) -> datetime:
        """When the wish reached us: a door may have had it before us, and no clock waits for that."""
        now = self._clock.now()
        return min(new.received_at or now, now)

    def _content(self, new: NewRequest, identifiers: Sequence[Identifier]) -> bytes:
        tokens = sorted(token.hex() for token in (*self._identifiers.tokens(identifiers), *new.tokens))
        wrong = sorted(_digest(one.field, one.value).hex() for one in new.corrections)
        return _digest(new.right, new.identity_proof, *tokens, *wrong)


def _require_addresses(new: NewRequest, identifiers: Sequence[Identifier]) -> None:
    """What a door hands in is a mail address where it says so; what a request has in it already is carried on."""
    if new.reply_address and mail_address(new.reply_address) is None:
        raise field_invalid("reply_address", "must be a mail address")
    if any(one.kind == "EMAIL" and mail_address(one.value) is None for one in identifiers):
        raise field_invalid("identifiers", "must be a mail address where they say so")


def _naming(new: NewRequest, identifiers: tuple[Identifier, ...]) -> Naming:
    return Naming(new.account_id, identifiers, new.corrections, new.reply_address, new.language, new.tokens)


def _digest(*parts: str) -> bytes:
    """One digest of several texts, none of which can pass for part of another."""
    return hashlib.sha256(b"".join(hashlib.sha256(part.encode()).digest() for part in parts)).digest()
