"""The two logs, each put together from its parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from igstats_kit.clock import Clock
from igstats_kit.config import read_secret
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.sql import Database

from igstats_audit.config import AuditConfig
from igstats_audit.cosignature import WitnessKey, key_ring
from igstats_audit.cosigned import Cosigned
from igstats_audit.cut import Aging, Cut
from igstats_audit.cut_store import SqlCuts
from igstats_audit.entry_store import Keys
from igstats_audit.last_signed import LastSigned
from igstats_audit.model import Log, LogStore
from igstats_audit.note import NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.sequencer import Sequencer
from igstats_audit.store import SqlLog
from igstats_audit.tables import CALL_DAYS, EVIDENCE_DAYS
from igstats_audit.tile_disk import Room, TileDisk
from igstats_audit.tiles import TileReader, Tiles
from igstats_audit.witness import Witnessing

DAYS = {Log.EVIDENCE: EVIDENCE_DAYS, Log.ACCESS: CALL_DAYS}


@dataclass(frozen=True, slots=True)
class OneLog:
    """A log: where it is kept, who writes it, and what is read from it."""

    store: LogStore
    tiles: Tiles
    proofs: Proofs
    files: TileReader
    sequencer: Sequencer
    signer: NoteSigner

    def attach(self, lifecycle: Lifecycle, memory: Path) -> None:
        """Opens the log before the service is ready, and adds its workers; in `memory` is what it has signed last."""
        last = LastSigned(memory, self.store.log, self.signer.name, self.proofs, self.sequencer)
        lifecycle.on_ready(self.sequencer.open)
        lifecycle.on_ready(last.require_continued)
        lifecycle.background(f"last signed {self.store.log}", last.run)
        lifecycle.background(f"sequencer {self.store.log}", self.sequencer.run)
        lifecycle.background(f"tiles {self.store.log}", lambda: self.files.run(self.sequencer.grown))

    def cosigned(self, memory: Path) -> Cosigned:
        """What the witness of this log has signed last, kept in `memory`."""
        return Cosigned(memory, self.store.log, self.proofs, self.signer)

    def attach_witness(self, lifecycle: Lifecycle, memory: Path, url: str, keys: Sequence[WitnessKey]) -> None:
        """Adds the worker that has the checkpoints of this log cosigned."""
        worker = Witnessing(url, keys, self.store.log, self.proofs, self.store, self.cosigned(memory))
        lifecycle.background(f"witness {self.store.log}", lambda: worker.run(self.files))


@dataclass(frozen=True, slots=True)
class Logs:
    """Both logs, and what cuts them."""

    evidence: OneLog
    access: OneLog
    cut: Cut

    def __getitem__(self, log: Log) -> OneLog:
        return self.evidence if log is Log.EVIDENCE else self.access

    def attach(
        self, lifecycle: Lifecycle, memory: Path, witness_url: str = "", witness_keys: Path | None = None
    ) -> None:
        """Adds all steps and workers; a witness only if there is one."""
        lifecycle.on_ready(self.cut.make_days)
        for one in (self.evidence, self.access):
            one.attach(lifecycle, memory)
        lifecycle.background("cut", self.cut.work)
        if witness_url:
            keys = key_ring(witness_keys.read_text(encoding="utf-8") if witness_keys else "")
            for one in (self.evidence, self.access):
                one.attach_witness(lifecycle, memory, witness_url, keys)


def origin(prefix: str, log: Log) -> str:
    """Name of a log in its checkpoints and keys."""
    return f"{prefix}/{log}"


def note_signers(config: AuditConfig) -> dict[Log, NoteSigner]:
    """What signs the checkpoints of each log."""
    files = {
        Log.EVIDENCE: (config.evidence_log_key, config.evidence_log_mldsa_key),
        Log.ACCESS: (config.access_log_key, config.access_log_mldsa_key),
    }
    return {
        one: NoteSigner(origin(config.log_origin, one), read_secret(key), read_secret(mldsa_key))
        for one, (key, mldsa_key) in files.items()
    }


def one_log(
    log: Log,
    database: Database,
    keys: Keys,
    signer: NoteSigner,
    clock: Clock,
    directory: Path,
    room: Room | None = None,
) -> OneLog:
    """Puts one log together; `directory` is the disk cache of the tiles of all logs, and `room` what they may take."""
    store = SqlLog(database, log, keys)
    tiles = Tiles(store, TileDisk(directory / log, room))
    proofs = Proofs(store, tiles)
    sequencer = Sequencer(store, proofs, signer, clock)
    return OneLog(store, tiles, proofs, TileReader(store, tiles, signer), sequencer, signer)


def both_logs(database: Database, evidence: OneLog, access: OneLog, clock: Clock) -> Logs:
    """Puts both logs together with what cuts them."""
    aging = {
        log: Aging(one.store, one.tiles, one.proofs, DAYS[log])
        for log, one in ((Log.EVIDENCE, evidence), (Log.ACCESS, access))
    }
    return Logs(evidence, access, Cut(aging, SqlCuts(database), evidence.sequencer, clock))
