"""Who may call the gateway from inside: the security audit, for facts of keys."""

from igstats_kit.access import Access, AccessTable

ACCESS: AccessTable = {
    "/igstats.gateway.v1.InspectionService/ListKeyFacts": Access(frozenset({"audit"})),
}
