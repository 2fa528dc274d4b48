"""Pins: corrected values that a sync must not undo.

A value that comes from Instagram would be overwritten by the next sync with what the person says is wrong. So a
correction leaves a pin, which wins over the source until the source says the same.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.seal import Sealer

_KEEP = text(
    "INSERT INTO pins (token, field, sealed, request_id, digest) SELECT * FROM unnest(CAST(:tokens AS bytea[]),"
    " CAST(:fields AS text[]), CAST(:sealed AS bytea[]), CAST(:requests AS text[]), CAST(:digests AS bytea[]))"
    " ON CONFLICT (token, field) DO UPDATE SET sealed = excluded.sealed, request_id = excluded.request_id,"
    " digest = excluded.digest, created_at = excluded.created_at"
)
_OF = text("SELECT token, field, sealed FROM pins WHERE token = ANY(CAST(:tokens AS bytea[]))")
_RELEASE = text(
    "DELETE FROM pins USING unnest(CAST(:tokens AS bytea[]), CAST(:fields AS text[])) AS p(token, field)"
    " WHERE pins.token = p.token AND pins.field = p.field"
)


def value_digest(request_id: str, value: str | None) -> bytes:
    """SHA-256 over the canonical JSON of [request id, value]; empty for no value. The id salts short values."""
    if value is None:
        return b""
    canonical = json.dumps([request_id, value], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


@dataclass(frozen=True)
class Pin:
    """A value that the person of `token` had corrected; `field` is "store.column"."""

    token: bytes
    field: str
    value: str
    request_id: str


class Pins:
    """Keeps and applies pins, inside the caller's transaction. `sealer` is the service's own."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def keep(self, connection: AsyncConnection, pins: Sequence[Pin]) -> None:
        """Writes pins; a newer correction of the same field takes the place of the older one."""
        columns = {
            "tokens": [pin.token for pin in pins],
            "fields": [pin.field for pin in pins],
            "sealed": [self._sealer.seal(pin.value.encode(), _place(pin.token, pin.field)) for pin in pins],
            "requests": [pin.request_id for pin in pins],
            "digests": [value_digest(pin.request_id, pin.value) for pin in pins],
        }
        await connection.execute(_KEEP, columns)

    async def pins_for(self, connection: AsyncConnection, tokens: Collection[bytes]) -> dict[bytes, dict[str, str]]:
        """The pinned values of the tokens' persons: token -> field -> value."""
        found: dict[bytes, dict[str, str]] = defaultdict(dict)
        if tokens:
            for row in await connection.execute(_OF, {"tokens": list(tokens)}):
                token = bytes(row.token)
                opened = self._sealer.open(bytes(row.sealed), _place(token, row.field))
                found[token][row.field] = opened.decode()
        return dict(found)

    async def settle(
        self, connection: AsyncConnection, store: str, rows: Mapping[bytes, Mapping[str, Any]]
    ) -> dict[bytes, dict[str, Any]]:
        """What may be written to `store` of what a source says: token -> column -> value.

        A pinned value takes the place of the source's; where the source says the same, the pin has done its work and
        is released. The caller has asked the fence, so nobody corrects these persons meanwhile.
        """
        settled = {token: dict(row) for token, row in rows.items()}
        released: list[tuple[bytes, str]] = []
        for token, fields in (await self.pins_for(connection, rows)).items():
            for field, value in fields.items():
                place, _, column = field.partition(".")
                if place != store or column not in settled[token]:
                    continue
                if settled[token][column] == value:
                    released.append((token, field))
                settled[token][column] = value
        if released:
            binds = {"tokens": [token for token, _ in released], "fields": [field for _, field in released]}
            await connection.execute(_RELEASE, binds)
        return settled


def _place(token: bytes, field: str) -> str:
    return f"pins.sealed:{token.hex()}:{field}"
