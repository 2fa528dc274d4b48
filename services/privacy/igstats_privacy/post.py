"""The seam through which letters leave: written in the caller's transaction, sent after its commit."""

from collections.abc import Mapping
from typing import Protocol

from igstats_privacy.store import Connection


class Post(Protocol):
    """Sends letters to persons."""

    @property
    def is_open(self) -> bool:
        """Whether letters leave here at all."""
        ...

    async def send(
        self,
        letter: str,
        to: str,
        language: str,
        values: Mapping[str, str],
        *,
        connection: Connection,
        request_id: str,
    ) -> None:
        """Takes a letter: the name of its template, the address, a language (BCP 47, "" when unknown), what it says."""
        ...
