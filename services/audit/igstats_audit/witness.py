"""Asks a witness to cosign checkpoints (C2SP tlog-witness, add-checkpoint), so that nobody can be shown another log.

The witness keeps the newest tree that it has signed for a log. We send it the checkpoint with a proof that it continues
that tree; a witness that remembers another size says so (409) and is asked again from there. What comes back is
attached only after its signature has been verified.
"""

import asyncio
import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import aiohttp
from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger

from igstats_audit.cosignature import CosignatureError, WitnessKey, cosignatures
from igstats_audit.errors import TileMissingError
from igstats_audit.model import Head
from igstats_audit.note import Checkpoint, read_checkpoint
from igstats_audit.telemetry import WITNESSED

PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 10.0

_ATTEMPTS = 3
_BODY_LIMIT = 64 * 1024
_SIZE_TYPE = "text/x.tlog.size"
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n")
_CONFLICT = 409
_GOOD = 200
_TOO_MANY = 429
_SERVER_ERROR = 500


class Trouble(StrEnum):
    """Why there is no cosignature."""

    UNAVAILABLE = "UNAVAILABLE"
    LOG_UNKNOWN = "LOG_UNKNOWN"
    KEY_UNKNOWN = "KEY_UNKNOWN"
    PROOF_REFUSED = "PROOF_REFUSED"
    REQUEST_REFUSED = "REQUEST_REFUSED"
    ANSWER_MALFORMED = "ANSWER_MALFORMED"
    SIGNATURE_WRONG = "SIGNATURE_WRONG"
    OUT_OF_REACH = "OUT_OF_REACH"  # it remembers a tree whose hashes are cut
    AHEAD = "AHEAD"  # it has signed a larger tree: another writer was faster, or this log was set back
    FORK = "FORK"  # it has signed another tree of the same size


_TROUBLES = {403: Trouble.KEY_UNKNOWN, 404: Trouble.LOG_UNKNOWN, 422: Trouble.PROOF_REFUSED}


class WitnessError(Exception):
    """The witness has not cosigned."""

    def __init__(self, trouble: Trouble, text: str = "") -> None:
        super().__init__(f"{trouble}: {text}" if text else str(trouble))
        self.trouble = trouble


class Consistency(Protocol):
    """Proves that a tree continues an older one."""

    async def consistency(self, old: int, size: int) -> tuple[list[bytes], int]:
        """Path from the old size, and the newer size; raises DomainError when hashes of it are cut."""
        ...


class Files(Protocol):
    """Serves the checkpoint of the newest head."""

    def checkpoint(self, head: Head) -> str:
        """The checkpoint with all signatures of the log."""
        ...

    def attach(self, head: Head, cosignatures: Sequence[str]) -> None:
        """Adds lines to the checkpoint of this head, as long as it is the newest."""
        ...


class Heads(Protocol):
    """Knows the newest head."""

    async def head(self) -> Head:
        """Reads the head."""
        ...


class Kept(Protocol):
    """Keeps what the witness has signed beyond the next commit."""

    async def keep(self, checkpoint: Checkpoint, cosignatures: Sequence[str]) -> None:
        """Keeps the checkpoint with these lines."""
        ...


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    type: str
    text: str


class Witness:
    """One witness towards one log."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, keys: Sequence[WitnessKey], proofs: Consistency
    ) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._keys = keys
        self._proofs = proofs
        self._known = 0

    async def cosign(self, note: str) -> Sequence[str]:
        """Lines by which the witness signs the checkpoint of a note; they can be put under it as they are.

        Raises:
            WitnessError: It has not signed, or not this.
        """
        checkpoint = read_checkpoint(note)
        for _ in range(_ATTEMPTS):
            old = min(self._known, checkpoint.size)
            reply = await self._post(f"old {old}\n{await self._path(old, checkpoint.size)}\n{note}")
            if reply.status == _GOOD:
                lines = self._verified(reply.text, checkpoint)
                self._known = checkpoint.size
                return lines
            if reply.status != _CONFLICT:
                raise _refusal(reply)
            self._known = _remembered(reply, old, checkpoint.size)
        raise WitnessError(Trouble.UNAVAILABLE, "it remembers another size each time")

    async def _path(self, old: int, size: int) -> str:
        if old in {0, size}:
            return ""
        try:
            path, _ = await self._proofs.consistency(old, size)
        except DomainError as error:
            raise WitnessError(Trouble.OUT_OF_REACH, f"no proof from {old} to {size}") from error
        return "".join(f"{base64.b64encode(part).decode()}\n" for part in path)

    async def _post(self, body: str) -> _Reply:
        try:
            async with self._session.post(self._url, data=body.encode(), allow_redirects=False) as response:
                raw = await _limited(response)
                return _Reply(response.status, response.content_type, raw.decode())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise WitnessError(Trouble.UNAVAILABLE, type(error).__name__) from error
        except UnicodeDecodeError as error:
            raise WitnessError(Trouble.ANSWER_MALFORMED, "not UTF-8") from error

    def _verified(self, answer: str, checkpoint: Checkpoint) -> Sequence[str]:
        try:
            lines = cosignatures(answer, checkpoint, self._keys)
        except CosignatureError as error:
            raise WitnessError(Trouble.SIGNATURE_WRONG, str(error)) from error
        if not lines:
            raise WitnessError(Trouble.SIGNATURE_WRONG, "none of its keys is the one we know")
        return lines


class Witnessing:
    """Has the newest checkpoint of one log cosigned, at most once in a pause."""

    def __init__(
        self, url: str, keys: Sequence[WitnessKey], log: str, proofs: Consistency, heads: Heads, kept: Kept
    ) -> None:
        self._url = url
        self._keys = keys
        self._log = log
        self._proofs = proofs
        self._heads = heads
        self._kept = kept
        self._done = ""

    async def run(self, files: Files, pause: float = PAUSE_SECONDS) -> None:
        """Goes on until cancelled."""
        patience = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        async with aiohttp.ClientSession(timeout=patience, trust_env=False) as session:
            witness = Witness(session, self._url, self._keys, self._proofs)
            while True:
                await self.once(witness, files)
                await asyncio.sleep(pause)

    async def once(self, witness: Witness, files: Files) -> None:
        """Asks for the newest checkpoint, unless it is cosigned already or of an empty log."""
        try:
            head = await self._heads.head()
            if head.tree.size == 0 or head.checkpoint == self._done:
                return
            lines = await witness.cosign(files.checkpoint(head))
            files.attach(head, lines)
            await self._kept.keep(read_checkpoint(head.checkpoint), lines)
        except WitnessError as error:
            WITNESSED.labels(self._log, error.trouble).inc()
            get_logger().warning("the witness has not cosigned", reason=error.trouble, store=self._log)
        except DomainError as error:
            get_logger().warning("no checkpoint to cosign", reason=error.reason, store=self._log)
        except TileMissingError:  # the monitor names what is lost
            get_logger().warning("no proof for the witness: see the runbook on audit logs", store=self._log)
        else:
            self._done = head.checkpoint
            WITNESSED.labels(self._log, "COSIGNED").inc()


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > _BODY_LIMIT:
            raise WitnessError(Trouble.ANSWER_MALFORMED, "an endless answer")
    return bytes(body)


def _remembered(reply: _Reply, old: int, size: int) -> int:
    """The size that the witness says it has signed last."""
    form = _SIZE.fullmatch(reply.text)
    if form is None or reply.type != _SIZE_TYPE:
        if old == size:
            raise WitnessError(Trouble.FORK, f"it has signed another tree of {size}")
        raise WitnessError(Trouble.ANSWER_MALFORMED, "a conflict without a size")
    remembered = int(form[1])
    if remembered > size:
        raise WitnessError(Trouble.AHEAD, f"it has signed a tree of {remembered}, ours has {size}")
    if remembered == old:
        raise WitnessError(Trouble.FORK if old == size else Trouble.ANSWER_MALFORMED, f"it conflicts at {old}")
    return remembered


def _refusal(reply: _Reply) -> WitnessError:
    if reply.status >= _SERVER_ERROR or reply.status == _TOO_MANY:
        return WitnessError(Trouble.UNAVAILABLE, f"status {reply.status}")
    return WitnessError(_TROUBLES.get(reply.status, Trouble.REQUEST_REFUSED), f"status {reply.status}")
