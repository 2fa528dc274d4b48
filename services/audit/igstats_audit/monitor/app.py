"""The one place where the monitor is put together."""

import os
from datetime import timedelta

from igstats_kit import log
from igstats_kit.client import Channels
from igstats_kit.clock import SystemClock
from igstats_kit.lifecycle import Lifecycle
from igstats_kit.server import RpcServer
from igstats_kit.sql import Database

from igstats_audit.config import MonitorConfig
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.logs import DAYS, origin
from igstats_audit.model import Log
from igstats_audit.monitor.files import ServedFiles
from igstats_audit.monitor.finding_store import SqlFindings
from igstats_audit.monitor.findings import Findings
from igstats_audit.monitor.heads import Keys
from igstats_audit.monitor.look import Looker
from igstats_audit.monitor.memory import MemoryFiles
from igstats_audit.monitor.store import SqlRows
from igstats_audit.monitor.watch import Watch

_CONNECTIONS = 2
_NICE = 10  # it looks at everything again and again: on a machine that it shares, those who answer come first


async def monitor() -> None:
    """Runs the monitor until it is told to stop. It serves nothing but its health."""
    config = MonitorConfig.load()
    if config.monitor_directory is None:
        raise SystemExit("IGSTATS_AUDIT_MONITOR_DIRECTORY says where the monitor remembers what it has seen")
    if config.log_verifier_keys is None:
        raise SystemExit("IGSTATS_AUDIT_LOG_VERIFIER_KEYS names the file that `verifier-keys` prints")
    vkeys = config.log_verifier_keys.read_text(encoding="utf-8")
    keys = {name: Keys.among(vkeys, origin(config.log_origin, name)) for name in Log}
    os.nice(_NICE)
    log.configure(config.service)
    clock = SystemClock()
    database = Database(config.database_url, pool_size=_CONNECTIONS)
    channels = Channels(config)
    channel = channels.to("audit", config.audit_address)
    data_keys = DataKeys(FileKeyStore(config.key_directory), DataKeyTable(database), clock)
    memories = MemoryFiles(config.monitor_directory)

    lookers = []
    for name in Log:
        rows, files = SqlRows(database, name, data_keys), ServedFiles(channel, name)
        lookers.append(Looker(rows, files, keys[name], memories.load(name), DAYS[name]))
    grace = timedelta(seconds=config.monitor_grace_seconds)
    watch = Watch(lookers, memories, Findings(SqlFindings(database)), clock, grace=grace)

    lifecycle = Lifecycle(RpcServer(config, {}))
    for close in (database.close, channels.close):
        lifecycle.closing(close)
    lifecycle.background("monitor", lambda: watch.run(config.monitor_seconds))
    await lifecycle.run()
