"""The wiring of this room."""

from igstats_kit.lifecycle import Lifecycle

from igstats_privacy.config import PrivacyConfig
from igstats_privacy.core import Core
from igstats_privacy.records.activities import Controller
from igstats_privacy.records.breaches import Breaches
from igstats_privacy.records.clock_watch import ClockWatch
from igstats_privacy.records.request_ledger import RequestLedger
from igstats_privacy.records.servicer import RecordServicer


class RecordsRoom:
    """Records for the data protection officer, and the watch over the clocks."""

    def __init__(self, config: PrivacyConfig, core: Core) -> None:
        database, clock = core.database, core.clock
        self._watch = ClockWatch(database, clock)
        self.servicer = RecordServicer(
            RequestLedger(database, clock),
            Breaches(database, core.officer_ids, clock),
            self._watch,
            core.registry,
            _controller(config),
            clock,
        )

    def attach(self, lifecycle: Lifecycle) -> None:
        """Adds the worker."""
        lifecycle.background("clocks", self._watch.run)


def _controller(config: PrivacyConfig) -> Controller:
    return Controller(
        name=config.controller_name,
        email=config.controller_email,
        form=config.controller_form,
        address=config.controller_postal,
        dpo_email=config.dpo_email,
        dpo_phone=config.dpo_phone,
    )
