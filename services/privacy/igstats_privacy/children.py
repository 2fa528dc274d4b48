"""Requests that another one brings about: it is continued, previewed, or its person's data restricted meanwhile.

They are opened in the transaction of the change that asks for them, once each, and triage takes them like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from igstats_kit.clock import Clock
from igstats_kit.outbox import enqueue_all

from igstats_privacy import events, store, wait_store
from igstats_privacy.drafts import Drafts
from igstats_privacy.fanout import Fanout
from igstats_privacy.lifecycle import FINAL, Move, movable, moved
from igstats_privacy.model import Change, Naming, NewRequest, Request, Right, State, Wait, Waiting
from igstats_privacy.store import Connection
from igstats_privacy.waits import OFFICER

PREVIEW_PROOF = "asked for by an officer"
_RESTRICTING = frozenset(
    {
        (Right.ERASURE, Wait.WINDOW),
        (Right.CORRECTION, Wait.APPROVAL),
        (Right.CORRECTION, Wait.SECOND_APPROVAL),
    }
)
"""Requests that may have restricted the data of their person while they wait."""


class Children:
    """Opens them, and ends those of a wait when it ends."""

    def __init__(self, drafts: Drafts, fanout: Fanout, clock: Clock) -> None:
        self._drafts = drafts
        self._fanout = fanout
        self._clock = clock

    async def open(self, connection: Connection, wanted: Sequence[NewRequest]) -> list[str]:
        """Writes them; answers the ids of those whose idempotency key is new."""
        if not wanted:
            return []
        openings = [self._drafts.of(new) for new in wanted]
        added = sorted(await store.add(connection, openings, []))
        changes = [Change(request_id, None, State.RECEIVED) for request_id in added]
        await enqueue_all(connection, store.drafted(events.requests_changed(changes, self._clock.now())))
        return added

    async def restrict(self, connection: Connection, parents: Sequence[tuple[Waiting, Naming, str]]) -> None:
        """Restricts the data of persons whose erasure or correction waits, each with the proof it was accepted by."""
        await self.open(
            connection,
            [_child(one, naming, Right.RESTRICTION, proof) for one, naming, proof in parents],
        )

    async def preview(self, connection: Connection, parents: Sequence[tuple[Waiting, Naming]]) -> None:
        """Asks the holders what these erasures would touch: whoever must approve wants to know."""
        await self.open(connection, [preview_of(one.request_id, naming) for one, naming in parents])

    async def lift(
        self, connection: Connection, request: Request, naming: Naming, tokens: Sequence[bytes], *, by_officer: bool
    ) -> None:
        """The locked request waits no more, decided or taken back: the restriction of the meantime ends, too.

        A restriction that the person has asked for stays, and so does one that an officer has opened, also one beside
        this very request. Where an officer has decided about a correction the person is
        told before, as before every lifting by an officer (GDPR article 18(3)).
        """
        if (request.right, request.wait) not in _RESTRICTING:
            return
        for request_id, state in (await wait_store.children(connection, request.request_id, Right.RESTRICTION)).items():
            if state in movable(Move.WITHDRAW):
                end = {request_id: moved(state, Move.WITHDRAW)}
                await self._fanout.move(connection, {request_id: state}, end)
                continue
            in_force = state not in FINAL or state is State.FULFILLED
            if in_force and not await wait_store.restricted_otherwise(connection, request.request_id, tokens):
                await self.open(connection, [_lifting(request, naming, by_officer=by_officer)])

    async def end_moot(self, connection: Connection, liftings: Mapping[str, tuple[State, Sequence[bytes]]]) -> set[str]:
        """Takes back liftings that came by themselves where the data rests for another reason by now.

        They wait for a notice, and would end what the person or an officer wants; answers which those are.
        """
        if not liftings:
            return set()
        persons = {request_id: tokens for request_id, (_, tokens) in liftings.items()}
        moot = await wait_store.restricted_meanwhile(connection, persons)
        old = {request_id: liftings[request_id][0] for request_id in sorted(moot)}
        await self._fanout.move(connection, old, {name: moved(state, Move.WITHDRAW) for name, state in old.items()})
        await wait_store.wait(connection, dict.fromkeys(old, (Wait.UNSPECIFIED, None)))
        return moot


def _lifting(request: Request, naming: Naming, *, by_officer: bool) -> NewRequest:
    lifting = _child(request, naming, Right.LIFTING, request.identity_proof)
    if request.right is not Right.CORRECTION or not by_officer:
        return lifting
    return replace(lifting, door=OFFICER, reply_address=naming.reply_address, language=naming.language)


def preview_of(request_id: str, naming: Naming, number: int = 0) -> NewRequest:
    """A request of right PREVIEW for an erasure that is not accepted yet. The account does not see it."""
    return NewRequest(
        right=Right.PREVIEW,
        door="officer",
        account_id="",
        identifiers=naming.identifiers,
        idempotency_key=f"preview {number} of {request_id}",
        identity_proof=PREVIEW_PROOF,
        parent_id=request_id,
        tokens=naming.tokens,
    )


def _child(parent: Waiting | Request, naming: Naming, right: Right, proof: str) -> NewRequest:
    return NewRequest(
        right=right,
        door=parent.door,
        account_id=naming.account_id,
        identifiers=naming.identifiers,
        idempotency_key=f"{right} in the window of {parent.request_id}",
        identity_proof=proof,
        regime=parent.regime,
        parent_id=parent.request_id,
        tokens=naming.tokens,
        automatic=True,
    )
