"""What the last audit saw of the logs, in a file outside of the database: a database that is put back keeps it.

`igstats_audit.last_signed` keeps in the same folder what each log has signed last, and the two are not one. That moves
on every second, with whatever is signed, and keeps a service from starting. This moves on with an audit that found the
logs to extend what they were: what a fork has signed never takes its place, so each audit from then on tells the fork.
"""

import asyncio
import json
from pathlib import Path

from igstats_kit.log import get_logger

from igstats_audit.checks.history import Remembered, Signed
from igstats_audit.checks.logs import MARK
from igstats_audit.checks.report import NotPossibleError
from igstats_audit.durable import replace

_log = get_logger()


class LogMemory:
    """Keeps the logs as the last audit left them, written whole or not at all, in a folder that no backup holds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read(self) -> Remembered | None:
        """What the last audit left; None when there is no file.

        Raises:
            NotPossibleError: It cannot be read.
        """
        return await asyncio.to_thread(self._read)

    async def write(self, remembered: Remembered) -> None:
        """Replaces it, durable when this returns. A folder that cannot be written is told: what was there stays."""
        try:
            await asyncio.to_thread(self._write, remembered)
        except OSError as error:
            _log.warning("what the audit saw of the logs is not kept", exc_info=error)

    def _read(self) -> Remembered | None:
        try:
            said = json.loads((self._directory / MARK).read_bytes())
            logs = {str(log): Signed(int(one["size"]), bytes.fromhex(one["root"])) for log, one in said["logs"].items()}
            return Remembered(str(said["audit_id"]), logs)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"{MARK} in KEY_DIRECTORY cannot be read ({type(error).__name__}): find out who changed it"
            raise NotPossibleError(why) from error

    def _write(self, remembered: Remembered) -> None:
        logs = {log: {"size": one.size, "root": one.root.hex()} for log, one in remembered.logs.items()}
        said = json.dumps({"audit_id": remembered.audit_id, "logs": logs})
        replace(self._directory / MARK, said.encode())
