"""What an operator does beside the servers: both logs go on under another name, and their public keys are shown."""

import asyncio
import contextlib
import sys

from igstats_kit import log
from igstats_kit.clock import SystemClock
from igstats_kit.sql import Database

from igstats_audit.config import AuditConfig
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.logs import OneLog, note_signers, one_log
from igstats_audit.model import Log, NewEntry
from igstats_audit.renaming import announcement, rename
from igstats_audit.store import SqlLog


async def rename_logs() -> None:
    """Signs both heads under the name and the keys of the settings, and says so in the evidence log."""
    config, clock = AuditConfig.load(), SystemClock()
    log.configure(config.service)
    database = Database(config.database_url)
    try:
        keys = DataKeys(FileKeyStore(config.key_directory), DataKeyTable(database), clock)
        await keys.ready()
        signers = note_signers(config)
        said = []
        for one, signer in signers.items():
            old = await rename(SqlLog(database, one, keys), signer)
            if old is not None:
                said.append(announcement(one, old, signer.name, clock.now()))
        evidence = one_log(Log.EVIDENCE, database, keys, signers[Log.EVIDENCE], clock, config.tile_directory)
        await _append(evidence, said)
    finally:
        await database.close()
    sys.stdout.write("".join(f"{entry.payload.decode()}\n" for entry in said))


async def _append(evidence: OneLog, entries: list[NewEntry]) -> None:
    if not entries:
        return
    await evidence.sequencer.open()
    writer = asyncio.create_task(evidence.sequencer.run())
    try:
        await evidence.sequencer.append(entries)
    finally:
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer


async def verifier_keys() -> None:
    """Prints the public keys of both logs, one a line: what the monitor is given, and whoever verifies."""
    signers = note_signers(AuditConfig.load()).values()
    sys.stdout.write("".join(f"{key}\n" for signer in signers for key in signer.verifier_keys))


BY_HAND = {"rename-logs": rename_logs, "verifier-keys": verifier_keys}
