"""The wiring of this room."""

from igstats_privacy.config import PrivacyConfig
from igstats_privacy.core import Core
from igstats_privacy.decisions.deciding import Deciding
from igstats_privacy.decisions.holds import Holds
from igstats_privacy.decisions.messages import personal_stores, row_count
from igstats_privacy.decisions.previews import Previews
from igstats_privacy.decisions.servicer import DecisionServicer


class DecisionsRoom:
    """Decisions of officers."""

    def __init__(self, config: PrivacyConfig, core: Core) -> None:
        deciding = Deciding(
            core.database,
            core.requests,
            core.changes,
            core.clock,
            core.triage.wake,
            config.policy,
            row_count,
            core.officer_ids,
        )
        previews = Previews(
            core.database, core.children, core.identifiers, core.officer_ids, core.clock, core.triage.wake
        )
        self.holds = Holds(
            core.database,
            core.registry,
            core.profiles,
            core.identifiers,
            core.children,
            core.clock,
            core.triage.wake,
            personal_stores,
            core.officer_ids,
        )
        self.servicer = DecisionServicer(deciding, previews, self.holds)
