"""Codes by mail. A code proves the address that it was sent to and nothing else.

The answers are the same for every address, known here or not: a code goes to whatever address the request names, and
what is held under it never enters. An address gets a bounded number of letters a day over all requests, codes among
them (`mailing_store.py`); the answer does not tell when the bound is reached.
"""

from datetime import datetime

from igstats_kit.errors import DomainError, Reason

from igstats_privacy import mailing_store
from igstats_privacy.model import Identifier, Shown
from igstats_privacy.post import Post
from igstats_privacy.proofs import challenge, rules
from igstats_privacy.proofs.challenge import Verdict
from igstats_privacy.proofs.codes import Codes
from igstats_privacy.proofs.errors import locked, not_available
from igstats_privacy.proofs.proof import Method, Proof, ProofState, Tier
from igstats_privacy.proofs.proving import Case, Proving

LETTER = "code"


class MailCodes:
    """Sends and checks codes."""

    def __init__(self, proving: Proving, codes: Codes, post: Post) -> None:
        self._proving = proving
        self._codes = codes
        self._post = post

    async def send(self, status_code: str) -> datetime:
        """Sends a code to the next unproved address of the request; answers when the code in force ends.

        Asked again at once, it sends nothing and answers the same.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN; PROOF_NOT_AVAILABLE when no mail leaves here or the request names no
                address that is unproved; PROOF_TRIES_EXHAUSTED.
        """
        if not self._post.is_open:
            raise not_available()
        async with self._proving.case(self._proving.request_id(status_code)) as case:
            address, proof = self._next(case)
            if proof.locked(case.now):
                raise locked(proof, case.now)
            if challenge.may_send(proof, case.now):
                proof = await self._send(case, address, proof)
        return proof.expires_at

    async def submit(self, status_code: str, code: str) -> Shown:
        """Checks a code.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, PROOF_NOT_AVAILABLE, PROOF_CODE_INVALID, PROOF_CODE_EXPIRED or
                PROOF_TRIES_EXHAUSTED. A wrong answer is counted.
        """
        request_id = self._proving.request_id(status_code)
        async with self._proving.case(request_id) as case:
            proof = _newest(case)
            verdict = challenge.judge(proof, self._codes.of_code(request_id, proof.channel, code), case.now)
            after = self._after(case, proof, verdict)
            if after != proof:
                await self._proving.write(case, after)
        if verdict is not Verdict.RIGHT:
            raise _refusal(verdict, after, case.now)
        self._proving.published(request_id)
        return await self._proving.show(request_id)

    def _next(self, case: Case) -> tuple[Identifier, Proof]:
        for one in case.naming.identifiers:
            if one.kind == "EMAIL":
                (channel,) = self._proving.tokens([one])
                proof = case.proof(Method.MAIL_CODE, channel)
                if proof.state is ProofState.OPEN:
                    return one, proof
        raise not_available()

    async def _send(self, case: Case, address: Identifier, proof: Proof) -> Proof:
        code = self._codes.new()
        secret = self._codes.of_code(case.request.request_id, proof.channel, code)
        after = challenge.sent(proof, secret, case.now)
        await self._proving.write(case, after)
        taken = await mailing_store.take(case.connection, {proof.channel: 1}, case.now, mailing_store.MOST_A_DAY)
        if taken[proof.channel]:
            values = {"code": f"{code[:4]} {code[4:]}", "reference": case.request.reference}
            values["minutes"] = str(int(challenge.CODE_LIFE.total_seconds() // 60))
            to, language, request_id = address.value, case.naming.language, case.request.request_id
            await self._post.send(LETTER, to, language, values, connection=case.connection, request_id=request_id)
        return after

    def _after(self, case: Case, proof: Proof, verdict: Verdict) -> Proof:
        if verdict is Verdict.WRONG:
            return proof.failed_once(case.now)
        if verdict is not Verdict.RIGHT:
            return proof
        address = next(one for one in case.naming.identifiers if self._proving.tokens([one]) == (proof.channel,))
        covered = rules.by_mail(case.naming.identifiers, address.value)
        return proof.proved(Tier.REASONABLE, self._proving.tokens(covered))


def _newest(case: Case) -> Proof:
    """The proof whose code was sent last: it is the one that the person has at hand."""
    sent = [one for one in case.proofs if one.method is Method.MAIL_CODE and one.state is ProofState.OPEN]
    if not sent:
        raise DomainError(Reason.PROOF_CODE_EXPIRED)
    return max(sent, key=lambda one: (one.sent_at or one.created_at, one.channel))


def _refusal(verdict: Verdict, after: Proof, now: datetime) -> DomainError:
    if verdict is Verdict.LOCKED or after.locked(now):
        return locked(after, now)
    if verdict is Verdict.EXPIRED:
        return DomainError(Reason.PROOF_CODE_EXPIRED)
    return DomainError(Reason.PROOF_CODE_INVALID, tries_left=str(after.tries_left(now)))
