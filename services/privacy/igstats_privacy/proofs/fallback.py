"""What happens to a request that nobody has proved: the person still gets what needs no proof.

Access falls back to the categories of data that are held, erasure to an opt-out (11 CCR 7022, 7024). The child is
opened in the transaction that ends its parent, while the names are still there.
"""

from collections.abc import Sequence

from igstats_kit.clock import Clock
from igstats_kit.outbox import enqueue_all
from igstats_kit.record import record

from igstats_privacy import events, identity
from igstats_privacy import store as core
from igstats_privacy.drafts import Drafts
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.model import Change, NewRequest, Regime, Right, State
from igstats_privacy.proofs import store
from igstats_privacy.proofs.rules import FALLBACKS
from igstats_privacy.store import Connection, Opening


class ProofFallback:
    """Opens the children."""

    def __init__(self, drafts: Drafts, identifiers: Identifiers, clock: Clock) -> None:
        self._drafts = drafts
        self._identifiers = identifiers
        self._clock = clock

    async def expiring(self, connection: Connection, request_ids: Sequence[str]) -> list[str]:
        """Opens what these requests fall back to, each child once; answers the ids of the children."""
        parents = await store.unproved(connection, request_ids, FALLBACKS)
        if not parents:
            return []
        now = self._clock.now()
        children = {parent[0]: self._child(*parent) for parent in parents}
        added = await core.add(connection, list(children.values()), [])
        changes = [Change(request_id, None, State.RECEIVED) for request_id in sorted(added)]
        await enqueue_all(connection, core.drafted(events.requests_changed(changes, now)))
        for parent_id, child in children.items():
            if child.request.request_id in added:
                payload = {"right": child.request.right, "child": child.request.request_id}
                await record(connection, "privacy", "request.fell_back", payload, now=now, request_id=parent_id)
        return sorted(added)

    def _child(self, parent_id: str, right: Right, regime: Regime, door: str, sealed: bytes) -> Opening:
        naming = self._identifiers.open(parent_id, sealed)
        return self._drafts.of(
            NewRequest(
                right=FALLBACKS[right],
                door=door,
                account_id=naming.account_id,
                identifiers=naming.identifiers,
                idempotency_key=f"fallback of {parent_id}",
                identity_proof=identity.UNNEEDED_PROOF,
                regime=regime,
                reply_address=naming.reply_address,
                language=naming.language,
                parent_id=parent_id,
            )
        )
