"""The use cases that all rooms of this service stand on, constructed once."""

from random import SystemRandom

from igstats_kit.client import Channels
from igstats_kit.clock import Clock
from igstats_kit.config import read_secret
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from igstats_kit.tokens import Tokens

from igstats_privacy.changes import Changes
from igstats_privacy.children import Children
from igstats_privacy.config import PrivacyConfig
from igstats_privacy.drafts import Drafts
from igstats_privacy.exports import Exports
from igstats_privacy.fanout import Fanout
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.leases import Leases
from igstats_privacy.messages import grounds
from igstats_privacy.officer_ids import OfficerIds
from igstats_privacy.receipts import Receipts
from igstats_privacy.recipients import Recipients
from igstats_privacy.registry import Registry
from igstats_privacy.requests import Requests
from igstats_privacy.shares import Shares
from igstats_privacy.status_codes import StatusCodes
from igstats_privacy.triage import Triage
from igstats_privacy.upstream import AuditEvidence, StatsProfiles


class Core:
    """Requests from their opening to their end. Rooms take from here what they need."""

    def __init__(self, config: PrivacyConfig, database: Database, channels: Channels, clock: Clock) -> None:
        seal_key = read_secret(config.seal_key)
        self.database = database
        self.clock = clock
        self.sealer = Sealer(seal_key)
        self.codes = StatusCodes(seal_key)
        self.officer_ids = OfficerIds(self.sealer)
        self.identifiers = Identifiers(self.sealer, Tokens(read_secret(config.suppression_key)))
        self.changes = Changes()
        self.fanout = Fanout(clock, SystemRandom().random, grounds)
        self.registry = Registry(database, self.fanout, self.changes, clock)
        self.shares = Shares(database, self.sealer, clock, config.export_days)
        self.exports = Exports(database, self.sealer, self.identifiers, clock)
        self.profiles = StatsProfiles(channels.to("stats", config.stats_address))
        self.drafts = Drafts(self.identifiers, clock, letters=bool(config.smtp_url))
        self.children = Children(self.drafts, self.fanout, clock)
        self.recipients = Recipients(database, self.identifiers)
        self.triage = Triage(
            database,
            self.fanout,
            self.profiles,
            self.identifiers,
            self.recipients,
            self.changes,
            clock,
            children=self.children,
            policy=config.policy,
        )
        self.requests = Requests(
            database,
            self.fanout,
            self.identifiers,
            self.changes,
            clock,
            self.triage.wake,
            self.codes,
            self.drafts,
            self.children,
        )
        self.leases = Leases(database, self.identifiers, self.changes, clock)
        self.receipts = Receipts(self.fanout, clock, config.backup_days)
        self.evidence = AuditEvidence(channels.to("audit", config.audit_address), clock)
