"""Everything that the gateway stores, declared: its own tables, those of its rooms, the kit's, and its stream."""

from igstats_kit.declare import Declarations
from igstats_kit.tables import KIT_TABLES

import igstats_gateway.doors.drop.tables
import igstats_gateway.doors.tables  # noqa: F401 - adds its tables to the metadata
from igstats_gateway.events import ACCESS
from igstats_gateway.tables import metadata

TABLES = tuple(metadata.sorted_tables)
DECLARATIONS = Declarations([*TABLES, *KIT_TABLES], {ACCESS.name: ACCESS.data})
