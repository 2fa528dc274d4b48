"""Everything that privacy stores, declared: its own tables, those of its rooms, the kit's, and its streams."""

from igstats_kit.declare import Declarations
from igstats_kit.tables import KIT_TABLES

import igstats_privacy.canaries.tables
import igstats_privacy.decisions.tables
import igstats_privacy.letters.tables
import igstats_privacy.proofs.tables
import igstats_privacy.records.tables  # noqa: F401 - adds its tables to the metadata
from igstats_privacy.events import STREAMS
from igstats_privacy.tables import metadata

DECLARATIONS = Declarations([*metadata.sorted_tables, *KIT_TABLES], {stream.name: stream.data for stream in STREAMS})
