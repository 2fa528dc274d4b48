"""Who may call the gateway from inside: nobody. Its internal server answers health checks only."""

from igstats_kit.access import AccessTable

ACCESS: AccessTable = {}
