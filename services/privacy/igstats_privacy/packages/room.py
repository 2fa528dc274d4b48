"""The wiring of this room."""

from igstats_privacy.core import Core
from igstats_privacy.packages import described
from igstats_privacy.packages.excerpts import Excerpts
from igstats_privacy.packages.links import Links
from igstats_privacy.packages.packages import Packages


class PackagesRoom:
    """What persons receive."""

    def __init__(self, core: Core) -> None:
        self.packages = Packages(core.exports, described)
        self.links = Links(core.database, core.exports, self.packages, core.identifiers, core.clock)
        self.excerpts = Excerpts(
            core.database,
            core.requests,
            core.drafts,
            core.exports,
            self.packages,
            core.identifiers,
            core.officer_ids,
            core.clock,
        )
