"""How many letters leave for addresses that nobody has proved."""

import hashlib
from collections import Counter
from collections.abc import Iterable

from igstats_kit.clock import Clock

from igstats_privacy import export_store, mailing_store
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.identity import UNNEEDED_PROOF
from igstats_privacy.model import Request
from igstats_privacy.store import Connection


class Bounds:
    """An address is proved for the letters of a request that names it as its person's and is proved itself.

    Any other is just what somebody typed. A right that asks for no proof proves none. Whoever has proved who they are
    has a count of their own at each such address, so that no stranger's requests use it up.
    """

    def __init__(self, identifiers: Identifiers, clock: Clock) -> None:
        self._identifiers = identifiers
        self._clock = clock

    async def channel(self, connection: Connection, request: Request, address: str) -> bytes | None:
        """By which the letters of a request to this address are counted; None when they are not."""
        tokens = self._identifiers.mail_tokens(address)
        if request.identity_proof in {"", UNNEEDED_PROOF}:
            return tokens[0]
        named = await export_store.tokens_of(connection, request.request_id)
        if not set(named).isdisjoint(tokens):
            return None
        asker = request.account_token or min(named, default=b"")
        return hashlib.sha256(tokens[0] + asker).digest()

    async def take(self, connection: Connection, channels: Iterable[bytes]) -> dict[bytes, int]:
        """Counts a letter for each; answers how many may go, by channel."""
        return await mailing_store.take(connection, Counter(channels), self._clock.now(), mailing_store.MOST_UNASKED)
