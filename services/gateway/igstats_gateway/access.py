"""Who may call the gateway from inside: the security audit, for facts of keys; privacy, for persons on file."""

from igstats_kit.access import Access, AccessTable

ACCESS: AccessTable = {
    "/igstats.gateway.v1.ContactService/CountMatches": Access(frozenset({"privacy"})),
    "/igstats.gateway.v1.ContactService/ListAddresses": Access(frozenset({"privacy"})),
    "/igstats.gateway.v1.InspectionService/ListKeyFacts": Access(frozenset({"audit"})),
}
