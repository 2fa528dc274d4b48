"""Page tokens: opaque, sealed, and bound to the query that they belong to."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from igstats_kit.seal import Sealer, SealError

from igstats_stats.errors import page_token_invalid

DEFAULT_SIZE = 50
LARGEST_SIZE = 200


def size_of(asked: int) -> int:
    """Rows of a page: 0 means the default, more than the largest is cut."""
    return min(asked, LARGEST_SIZE) or DEFAULT_SIZE


class PageTokens:
    """Makes and reads page tokens. `query` names everything that must stay the same from page to page."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def make(self, query: Sequence[object], place: Sequence[object]) -> str:
        """The token of the page after `place`."""
        sealed = self._sealer.seal(json.dumps(place).encode(), _context(query))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def read(self, query: Sequence[object], token: str) -> list[Any]:
        """The place that a token names; empty for the first page.

        Raises:
            DomainError: PAGE_TOKEN_INVALID.
        """
        if not token:
            return []
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            place: list[Any] = json.loads(self._sealer.open(sealed, _context(query)))
        except (binascii.Error, ValueError, SealError):
            raise page_token_invalid() from None
        return place


def _context(query: Sequence[object]) -> str:
    return "page:" + json.dumps(list(query))
